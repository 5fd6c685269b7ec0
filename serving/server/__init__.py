"""An embedded server that speaks TensorFlow Serving's gRPC and REST, for machines without its binary.

Run it with `python -m serving.server --models DIR`, or call `serving.server.app.serve`. A request passes through few
hands: `grpc_service` or `rest` decodes it, `repository` finds the model, `servable` runs it; `errors` holds what can go
wrong on the way, in the words of TensorFlow Serving.
"""
