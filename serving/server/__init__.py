"""An embedded server that speaks TensorFlow Serving's gRPC and REST, for machines without its binary.

Run it with `python -m serving.server --models DIR`, or call `serve`. A request passes through few hands: `grpc_service`
or `rest` decodes it, `repository` finds the model, `servable` runs it; `errors` holds what can go wrong on the way, in
the words of TensorFlow Serving.
"""

from pathlib import Path


def serve(
    models: Path, *, host: str = "127.0.0.1", port: int = 8500, rest_port: int = 8501, poll_seconds: float = 1.0
) -> None:
    """Serve every model in a folder until SIGTERM or SIGINT.

    Prints a line for each model, then `ready: grpc HOST:PORT rest HOST:PORT` once both ports answer.

    Args:
        models: a folder of `<model>/<version>/saved_model.pb`; models and versions that appear later are taken up.
        host: the address to listen on; 0.0.0.0 opens the server to the network.
        port: the port of gRPC; 0 takes a free one.
        rest_port: the port of REST; 0 takes a free one.
        poll_seconds: how often to look for new versions; 0 looks once.

    Raises:
        FileNotFoundError: no such folder.
        OSError: a port that is taken.

    """
    if not models.is_dir():
        raise FileNotFoundError(f"{models} is no folder of models: train and push one with `easel run`, or make it")
    # TensorFlow takes seconds to import, which a wrong folder or flag should not wait for.
    from serving.server.app import run

    run(models, host=host, port=port, rest_port=rest_port, poll_seconds=poll_seconds)
