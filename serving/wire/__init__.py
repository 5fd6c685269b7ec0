"""Own copies of TensorFlow Serving's messages, so that a client needs neither TensorFlow nor its serving API.

`serving_pb2.py` and `serving_pb2.pyi` are generated from `serving.proto`, and their like from `config.proto`.
Regenerate them from the repository root with an older protoc than the installed one, because generated code refuses a
protobuf runtime older than itself:

    uvx --from "grpcio-tools==1.74.0" python -m grpc_tools.protoc -I. --python_out=. --pyi_out=. serving/wire/*.proto
"""
