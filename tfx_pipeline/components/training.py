"""The module of every Trainer, on one or several machines."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import path_utils

from models import pretrained
from models.learning.cluster import cluster_of_tf_config
from models.learning.settings import LearningConfig
from models.learning.workers import is_chief
from tfx_pipeline.kinds import KINDS, keras_file
from tfx_pipeline.runs.root import Root
from tfx_pipeline.together import SharedTraining, lead
from tfx_pipeline.training.job import Job

ORIGIN_FILE = "started_from.txt"
ARGUMENTS = (
    "train_files",
    "eval_files",
    "transform_graph_path",
    "base_model",
    "serving_model_dir",
    "model_run_dir",
    "custom_config",
)
"""The fields of TFX's FnArgs that a training reads."""


def train(fn_args: FnArgs) -> None:
    """Train the kind of model that `custom_config` names, in this process or with the machines of TF_CONFIG.

    Raises:
        WorkerError: One of these machines did not join, or has died.
    """
    cluster, given = cluster_of_tf_config(), fn_args.custom_config
    if len(cluster.workers) < 2:
        learn(fn_args)
        return
    arguments = {name: getattr(fn_args, name) for name in ARGUMENTS}
    file = Root(Path(given["checkpoints"]).parents[1]).shared_training
    lead(file, SharedTraining(given["model"], cluster.workers, arguments))


def learn(fn_args: FnArgs) -> None:
    """Train and save a Keras model; with several machines, only the chief saves it.

    The backups are removed after saving. The Exporter exports the model for evaluation and serving.
    """
    job = job_of(fn_args)
    keras.utils.set_random_seed(job.config.seed)
    model = KINDS[job.model].train(job)
    if not is_chief():
        return
    folder = Path(fn_args.serving_model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(keras_file(folder, job.model))
    write_origin(folder, fn_args.custom_config["warm_start"] if job.started else "")
    shutil.rmtree(job.checkpoints, ignore_errors=True)


def write_origin(folder: Path, origin: str) -> None:
    """Store the origin of the initial weights beside a trained model; empty for a training from scratch."""
    (folder / ORIGIN_FILE).write_text(origin, encoding="utf-8")


def read_origin(folder: Path) -> str:
    """The origin stored by `write_origin`."""
    file = folder / ORIGIN_FILE
    return file.read_text(encoding="utf-8") if file.is_file() else "not recorded"


def job_of(fn_args: FnArgs) -> Job:
    """The job described by TFX's arguments of a Trainer."""
    given = fn_args.custom_config
    kind = KINDS[given["model"]]
    return Job(
        model=kind.name,
        config=LearningConfig.model_validate_json(given["config"]),
        train_files=fn_args.train_files,
        eval_files=fn_args.eval_files,
        transform_graph=fn_args.transform_graph_path,
        base=keras_file(Path(fn_args.base_model), kind.base) if kind.base else None,
        run_dir=Path(fn_args.model_run_dir),
        checkpoints=Path(given["checkpoints"]) / fingerprint(fn_args),
        warm_start=warm_file(given["warm_start"], kind.name),
    )


def fingerprint(fn_args: FnArgs) -> str:
    """A short hash of everything that determines a training."""
    inputs = [sorted(fn_args.train_files), fn_args.transform_graph_path, fn_args.base_model]
    return hashlib.sha256(json.dumps([inputs, fn_args.custom_config]).encode()).hexdigest()[:12]


def warm_file(origin: str, kind: str) -> Path | None:
    """The Keras model that a training starts from.

    Args:
        origin: A Model artifact, or pretrained weights by their `models.pretrained.origin`; empty for none.
        kind: The name of the trained model.

    Returns:
        The file; None if `origin` is empty or the artifact was removed.
    """
    if origin.startswith(pretrained.ORIGIN):
        return pretrained.weights_file(kind)
    file = keras_file(Path(path_utils.serving_model_path(origin)), kind)
    return file if origin and file.is_file() else None
