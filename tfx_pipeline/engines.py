"""Where the data steps run, in this process or on another Beam runner, and which machines train together."""

import re
import socket
from collections.abc import Sequence

from models.learning.cluster import Cluster, cluster_of_tf_config
from models.learning.networks import NETWORKS
from models.learning.settings import ConfigError, LearningConfig

# The image is never started. Without it, TFX packages itself for remote workers, which takes seconds per component.
NO_IMAGE = "--sdk_container_image=none"
# Beam would list the installed packages with pip, which is not installed.
NO_LIST = "--experiments=disable_logging_submission_environment"
IN_PROCESS = ("--direct_running_mode=in_memory", "--direct_num_workers=1", NO_IMAGE)
NEEDED: dict[str, tuple[str, ...]] = {
    "DirectRunner": (),
    "PortableRunner": ("job_endpoint",),
    "FlinkRunner": ("flink_master",),
    "SparkRunner": ("spark_master_url",),
    "DataflowRunner": ("project", "region", "temp_location", "sdk_container_image"),
}
"""The Beam runners that the components support, with the required options of each."""
PATIENCE = 5.0
ADDRESS = re.compile(r"\S+:\d+")


def beam_args(runner: str = "DirectRunner", options: Sequence[str] = ()) -> tuple[str, ...]:
    """Arguments for Beam.

    Args:
        runner: One of `NEEDED`.
        options: Options of Beam, `name=value`, or `name` for a flag; leading dashes are removed.

    Raises:
        ConfigError: The runner does not exist, or a required option is missing.
    """
    given = dict(option.lstrip("-").partition("=")[::2] for option in options)
    if runner not in NEEDED:
        raise ConfigError(f"There is no Beam runner {runner!r}: choose one of {', '.join(NEEDED)}.")
    if "runner" in given:
        raise ConfigError(f"The Beam option runner is {given['runner']!r}: name it with --beam-runner.")
    if missing := [name for name in NEEDED[runner] if not given.get(name)]:
        raise ConfigError(f"{runner} needs {' '.join(f'--beam-option {name}=...' for name in missing)}.")
    flags = tuple(f"--{name}={value}" if value else f"--{name}" for name, value in given.items())
    if runner == "DirectRunner":
        return (*IN_PROCESS, *flags)
    if not given.keys() & {"environment_type", "sdk_container_image"}:
        raise ConfigError(
            f"{runner} starts workers, which need Easel: add --beam-option sdk_container_image=IMAGE, or --beam-option "
            "environment_type=EXTERNAL --beam-option environment_config=HOST:PORT for a running worker pool."
        )
    return (f"--runner={runner}", NO_LIST, *flags, *(() if "sdk_container_image" in given else (NO_IMAGE,)))


def is_in_process(args: Sequence[str]) -> bool:
    """Whether the data steps run in this process and its children, because Beam's arguments name no other runner."""
    return not any(arg.startswith("--runner=") for arg in args)


def check_job_server(args: Sequence[str]) -> None:
    """Check that the job server answers, if Beam's arguments name one.

    Raises:
        ConfigError: The job server does not answer.
    """
    for endpoint in (arg.partition("=")[2] for arg in args if arg.startswith("--job_endpoint=")):
        host, _, port = endpoint.rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No Beam job server answers at {endpoint!r} ({error}): start one, or correct --beam-option "
                "job_endpoint."
            ) from None


def training_cluster(named: str | None = None) -> Cluster:
    """The machines that share each training, of which this one is the chief.

    Args:
        named: host:port of each, separated by commas, this machine first; None for those of TF_CONFIG.

    Raises:
        ConfigError: The list is invalid, or this machine is not the first.
    """
    if named is None:
        cluster = cluster_of_tf_config()
        if cluster.index:
            raise ConfigError(
                f"TF_CONFIG makes this machine worker {cluster.index} of the training: run `easel worker` here, and "
                f"`easel run` on the first machine, {cluster.workers[0]}."
            )
        return cluster
    workers = tuple(named.split(","))
    if len(set(workers)) < max(2, len(workers)) or not all(ADDRESS.fullmatch(worker) for worker in workers):
        raise ConfigError(
            f"--workers is {named!r}: give HOST:PORT of this machine, then of the others, with commas between."
        )
    return Cluster(workers)


def worker_address() -> str:
    """host:port of this machine, a worker according to TF_CONFIG.

    Raises:
        ConfigError: This machine is not a worker according to TF_CONFIG.
    """
    cluster = cluster_of_tf_config()
    if not cluster.workers:
        raise ConfigError("Which worker is this machine? Give --address HOST:PORT, as --workers of `easel run` has it.")
    if not cluster.index:
        raise ConfigError("TF_CONFIG makes this machine the first of the training: run `easel run` here.")
    return cluster.workers[cluster.index]


def check_batches(config: LearningConfig, cluster: Cluster) -> None:
    """Check that the machines of a cluster can share batches evenly.

    Raises:
        ConfigError: A batch size is not a multiple of twice the number of machines.
    """
    section = NETWORKS[config.drawing.network].section
    drawing = getattr(config.drawing, section) if section else config.drawing
    sizes = {
        "language": config.language.batch_size,
        f"drawing.{section}".rstrip("."): drawing.batch_size,
        "restoration": config.restoration.batch_size,
    }
    workers = len(cluster.workers)
    for name, size in sizes.items():
        if workers > 1 and size % (2 * workers):
            raise ConfigError(
                f"{name}.batch_size is {size}, which {workers} workers cannot share: give a multiple of {2 * workers}."
            )
