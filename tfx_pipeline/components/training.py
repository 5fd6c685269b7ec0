"""What every Trainer runs."""

import hashlib
import json
import shutil
from pathlib import Path

import keras
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.utils import path_utils

from models.learning.settings import LearningConfig
from tfx_pipeline.kinds import KINDS, keras_file
from tfx_pipeline.training.job import Job


def train(fn_args: FnArgs) -> None:
    """Train the kind of model that `custom_config` names, and save it as a Keras model.

    Its backups go once it is saved. The Exporter makes of it what is judged and served.
    """
    job = job_of(fn_args)
    keras.utils.set_random_seed(job.config.seed)
    model = KINDS[job.model].train(job)
    folder = Path(fn_args.serving_model_dir)
    folder.mkdir(parents=True, exist_ok=True)
    model.save(keras_file(folder, job.model))
    shutil.rmtree(job.checkpoints, ignore_errors=True)


def job_of(fn_args: FnArgs) -> Job:
    """What TFX gives a Trainer, in our terms."""
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
    """A short hash of everything that decides a training."""
    inputs = [sorted(fn_args.train_files), fn_args.transform_graph_path, fn_args.base_model]
    return hashlib.sha256(json.dumps([inputs, fn_args.custom_config]).encode()).hexdigest()[:12]


def warm_file(artifact: str, kind: str) -> Path | None:
    """The Keras model in a Model artifact; None for no artifact, and for one that has been removed."""
    file = keras_file(Path(path_utils.serving_model_path(artifact)), kind)
    return file if artifact and file.is_file() else None
