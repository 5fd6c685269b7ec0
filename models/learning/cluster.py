"""The machines that train together, as TensorFlow has them: TF_CONFIG in the environment."""

import json
import os

from models.learning.settings import ConfigError


def worker_addresses() -> list[str]:
    """The machines that TF_CONFIG names, the chief first; none without it.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        cluster = json.loads(os.environ.get("TF_CONFIG") or "{}").get("cluster", {})
        return [*cluster.get("chief", []), *cluster.get("worker", [])]
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"TF_CONFIG is not what TensorFlow reads: {error}.") from None
