"""`python -m serving.server --models DIR`: serve every model in a folder."""

import argparse
import os
import sys
from pathlib import Path

from serving.server import serve


def main() -> int:
    """Serve until a signal; exit code 0 after a clean end, 1 with one sentence after a failed start."""
    options = _parser().parse_args()
    # Else TensorFlow's notes on its own build would bury the lines that tell what is served.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # A SavedModel runs without Keras, which TensorFlow imports all the same; the older one takes a third less time.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    try:
        serve(
            options.models,
            host=options.host,
            port=options.port,
            rest_port=options.rest_api_port,
            poll_seconds=options.file_system_poll_wait_seconds,
        )
    except OSError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving.server", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--models", type=Path, required=True, help="folder of <model>/<version>/saved_model.pb")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 opens it to the network")
    parser.add_argument("--port", type=int, default=8500, help="port of gRPC; 0 takes a free one")
    parser.add_argument("--rest_api_port", type=int, default=8501, help="port of REST; 0 takes a free one")
    parser.add_argument(
        "--file_system_poll_wait_seconds", type=float, default=1.0, help="how often to look for versions; 0 looks once"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
