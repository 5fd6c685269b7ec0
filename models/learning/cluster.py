"""The machines of a distributed training, from TF_CONFIG, which TensorFlow, Vertex AI and Kubeflow's TFJob set."""

import json
import os
from dataclasses import dataclass

from models.learning.settings import ConfigError


class WorkerError(Exception):
    """A machine of a training has died or could not be reached; the message says how to continue."""


@dataclass(frozen=True)
class Cluster:
    """The machines of a training.

    Attributes:
        workers: The addresses as host:port, the chief first.
        index: Index of this machine among the workers.
    """

    workers: tuple[str, ...] = ()
    index: int = 0

    def __str__(self) -> str:
        """The value of TF_CONFIG."""
        cluster, task = {"worker": self.workers}, {"type": "worker", "index": self.index}
        return json.dumps({"cluster": cluster, "task": task})


def cluster_of_tf_config() -> Cluster:
    """The cluster in TF_CONFIG, and the index of this machine; empty if it is not set.

    Raises:
        ConfigError: TF_CONFIG is invalid, or this machine is not a worker (for example, a parameter server).
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
