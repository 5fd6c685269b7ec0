"""The machines that train together, as TensorFlow, Vertex AI and Kubeflow's TFJob name them: TF_CONFIG."""

import json
import os
from dataclasses import dataclass

from models.learning.settings import ConfigError


class WorkerError(Exception):
    """A machine of a training that has gone or never came; the message says how to go on."""


@dataclass(frozen=True)
class Cluster:
    """The machines of a training.

    Attributes:
        workers: Each as host:port, the chief first.
        index: Which of them this machine is.
    """

    workers: tuple[str, ...] = ()
    index: int = 0

    def __str__(self) -> str:
        """As TF_CONFIG has it."""
        cluster, task = {"worker": self.workers}, {"type": "worker", "index": self.index}
        return json.dumps({"cluster": cluster, "task": task})


def cluster_of_tf_config() -> Cluster:
    """The machines that TF_CONFIG names and which of them this one is; none without it.

    Raises:
        ConfigError: If it cannot be read, or this machine takes no part in a training, as a parameter server.
    """
    try:
        config = json.loads(os.environ.get("TF_CONFIG") or "{}")
        cluster, task = config.get("cluster", {}), config.get("task", {})
        chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
        role, number = task.get("type", "chief" if chiefs else "worker"), int(task.get("index", 0))
        everyone = (*chiefs, *workers)
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigError(f"TF_CONFIG is not what TensorFlow reads: {error}.") from None
    index = number + (len(chiefs) if role == "worker" else 0)
    if everyone and (role not in ("chief", "worker") or index >= len(everyone)):
        raise ConfigError(f"TF_CONFIG makes this machine {role} {number}, which is not among its chief and workers.")
    return Cluster(everyone, index) if everyone else Cluster()
