"""An embedded server with TensorFlow Serving's gRPC and REST APIs, for machines without its binary.

Run it with `python -m serving.server --models DIR`, or call `serve`; `settings` defines all flags.

`grpc_service` or `rest` (with `json_requests` and `json_answers`) decodes a request. `repository` finds the version to
use. `predictor` checks the `limits` and passes the request to `batching` or directly to the `servable`. `source` reads
from `model_config` what to serve, and `storage` lists the versions on disk. `ports`, `access`, `metrics` and
`request_log` handle every request; `errors` defines the errors, with TensorFlow Serving's messages.
"""

import os
import resource
import sys

from serving.greeting import check_free
from serving.server.settings import Settings

FEWEST_FILES = 64


def leave_keras_out() -> None:
    """Prevent TensorFlow from importing Keras, which SavedModels do not need; this saves two seconds."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    if "tensorflow" not in sys.modules and os.environ["TF_USE_LEGACY_KERAS"] == "1":
        sys.modules.setdefault("tf_keras", None)  # type: ignore[arg-type]


def check_ports(settings: Settings) -> None:
    """Raise OSError if a requested port is in use."""
    asked = {
        "gRPC": (settings.port, "--port"),
        "REST": (settings.rest_api_port if settings.serves_rest else 0, "--rest_api_port"),
        "The studio": (settings.studio_port, "--studio_port"),
    }
    for what, (port, flag) in asked.items():
        if port > 0:
            check_free(what, settings.host, port, flag)


def check_open_files() -> None:
    """Raise OSError if the limit on open files is too low: gRPC would crash, and models would not load."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise OSError(
            f"This process may open only {most} files: raise the limit on open files, {FEWEST_FILES} or more, with "
            "`ulimit -n 4096`"
        )


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight may then finish.

    Prints a line for each version that becomes ready, fails or is unloaded, and `ready: grpc HOST:PORT rest HOST:PORT`
    once both ports answer.

    Raises:
        ValueError: the configuration is invalid, or a model in it does not load.
        OSError: a folder or file does not exist, a port is in use, or the limit on open files is too low.

    """
    from serving.server.errors import StatusError
    from serving.server.mirror import first_mirror
    from serving.server.model_config import first_configs
    from serving.server.options import Options

    try:
        check_open_files()
        mirror = first_mirror(settings)
        configs = first_configs(settings)
        options = Options.read(settings)
        check_ports(settings)
        leave_keras_out()
        # TensorFlow takes seconds to import, so a wrong folder or flag is reported before.
        from serving.server.app import run

        run(settings, options, configs, mirror)
    except StatusError as error:
        raise ValueError(error.status) from error
