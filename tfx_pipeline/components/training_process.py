"""The process of one machine in a shared training; TF_CONFIG names the machines.

The first line of standard input contains the arguments of the Trainer. Standard output is a log, whose last line says
why a training failed.
"""

import json
import logging
import os
import signal
import sys
import threading

from models.learning.cluster import WorkerError, cluster_of_tf_config
from tfx_pipeline.together import GONE, await_workers


def main() -> int:
    """Train to the end as the chief, or as a worker until this process is terminated.

    Returns:
        The exit code.
    """
    arguments = json.loads(sys.stdin.readline())
    threading.Thread(target=end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    log_to_output()
    try:
        train(arguments)
    except Exception as error:
        logging.exception("The training failed.")
        print(" ".join(str(error).split()), flush=True)
        return GONE if isinstance(error, WorkerError) else 1
    return 0


def train(arguments: dict[str, object]) -> None:
    """Train as one of the machines of TF_CONFIG.

    Raises:
        WorkerError: A worker did not join, or has died.
    """
    # The output of C++ libraries during their import belongs in the log, not on the screen.
    screen = os.dup(2)
    os.dup2(1, 2)
    from tfx.components.trainer.fn_args_utils import FnArgs

    from models.learning.workers import new_strategy, watching_workers
    from tfx_pipeline.components.training import learn

    os.dup2(screen, 2)
    cluster = cluster_of_tf_config()
    if not cluster.index:
        await_workers(cluster.workers)
    with watching_workers(), new_strategy().scope():
        learn(FnArgs(**arguments))
    if cluster.index:
        # The chief, which is still saving the model, would mistake a finished worker for a dead one.
        end_with_parent()


def end_with_parent() -> None:
    """Exit when standard input closes, which happens when the parent process ends."""
    while os.read(0, 1):
        pass
    os._exit(1)


def log_to_output() -> None:
    """Send the log records of all libraries to standard output."""
    handler = logging.StreamHandler(sys.stdout)
    for name in ("", "absl", "tensorflow"):
        logger = logging.getLogger(name)
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.INFO)


if __name__ == "__main__":
    sys.exit(main())
