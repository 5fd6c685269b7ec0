"""`python -m serving.server --models DIR`: serve every model in a folder, or what a configuration file lists."""

import os
import sys

from serving.faults import explained
from serving.server import serve
from serving.server.settings import settings_from


def main() -> int:
    """Serve until a signal; exit code 0 after a clean end, 1 with one sentence after a failed start."""
    settings = settings_from(None, "python -m serving.server", __doc__)
    # Otherwise TensorFlow's messages about its build would bury the lines about the models.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        serve(settings)
    except OSError as error:
        print(f"error: {explained(error)}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
