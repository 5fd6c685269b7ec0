"""An embedded server that speaks TensorFlow Serving's gRPC and REST, for machines without its binary.

Run it with `python -m serving.server --models DIR`, or call `serve`; `settings` holds every flag.

A request passes through few hands: `grpc_service` or `rest` (with `json_requests` and `json_answers`) decodes it,
`repository` finds the version that answers, `predictor` holds it against the `limits` and hands it to `batching` or
straight to the `servable`. `source` reads what to serve from `model_config`, and `storage` which versions there are;
`ports`, `access`, `metrics` and `request_log` stand at the door; `errors` holds what can go wrong, in TensorFlow
Serving's words.
"""

import os
import resource
import sys

from serving.greeting import check_free
from serving.server.settings import Settings

FEWEST_FILES = 64


def leave_keras_out() -> None:
    """Keep TensorFlow, when it is imported, from importing Keras: a SavedModel runs without, two seconds sooner."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    if "tensorflow" not in sys.modules and os.environ["TF_USE_LEGACY_KERAS"] == "1":
        sys.modules.setdefault("tf_keras", None)  # type: ignore[arg-type]


def check_ports(settings: Settings) -> None:
    """Raise OSError where a port that the settings ask for is taken."""
    asked = {
        "gRPC": (settings.port, "--port"),
        "REST": (settings.rest_api_port if settings.serves_rest else 0, "--rest_api_port"),
        "The studio": (settings.studio_port, "--studio_port"),
    }
    for what, (port, flag) in asked.items():
        if port > 0:
            check_free(what, settings.host, port, flag)


def check_open_files() -> None:
    """Raise OSError where this process may open too few files, with which gRPC crashes and models do not load."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < FEWEST_FILES:
        raise OSError(
            f"This process may open only {most} files: raise the limit on open files, {FEWEST_FILES} or more, with "
            "`ulimit -n 4096`"
        )


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests under way may then finish.

    Prints a line for each version that becomes ready, fails or goes, and `ready: grpc HOST:PORT rest HOST:PORT` once
    both ports answer.

    Raises:
        ValueError: a configuration that makes no sense, or a model in it that does not load.
        OSError: no such folder or file, a port that is taken, or too few files that may be open.

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
        # TensorFlow takes seconds to import, which a wrong folder or flag should not wait for.
        from serving.server.app import run

        run(settings, options, configs, mirror)
    except StatusError as error:
        raise ValueError(error.status) from error
