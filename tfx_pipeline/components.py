"""The pipeline's own components: the assembler, the check on a real server, and a pusher that renames atomically."""

import filecmp
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2
from tfx.components.pusher import executor as pusher
from tfx.components.pusher.component import Pusher
from tfx.dsl.components.base.executor_spec import ExecutorClassSpec
from tfx.proto import pusher_pb2
from tfx.types import Artifact, artifact_utils
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing
from tfx.utils import path_utils, proto_utils
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, component

from models.export import export_text_to_image
from models.text_to_image import TextToImage

PROMPTS = ("a red circle", "今天的天气很好")
WARMUP_BATCHES = (1, 4, 16)


@component
def Assembler(
    language_model: InputArtifact[Model],
    generator: InputArtifact[Model],
    restorer: InputArtifact[Model],
    language_model_blessing: InputArtifact[ModelBlessing],
    generator_blessing: InputArtifact[ModelBlessing],
    restorer_blessing: InputArtifact[ModelBlessing],
    model: OutputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
) -> None:
    """Compose the fused text-to-image model of three blessed ones; with fewer, assemble nothing and bless nothing.

    The generator carries the language model that it was trained with, so that model is asked for its blessing alone.
    """
    blessings = (language_model_blessing, generator_blessing, restorer_blessing)
    blessed = all(item.get_int_custom_property("blessed") == 1 for item in blessings)
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_int_custom_property("version", int(time.time()))
    if not blessed:
        return
    parts = {
        name: keras.saving.load_model(Path(serving_path(artifact)) / "assets.extra" / f"{name}.keras")
        for name, artifact in (("generator", generator), ("restorer", restorer))
    }
    out = Path(serving_path(model))
    export_text_to_image(TextToImage(**parts), out)
    write_warmup(out, "text_to_image")


def serving_path(model: Artifact) -> str:
    """Where a Model artifact keeps its SavedModel."""
    return str(path_utils.serving_model_path(model.uri))


def write_warmup(saved_model: Path, name: str) -> None:
    """Record requests for a server to play while it loads the model, so that no user waits for the first trace."""
    file = saved_model / "assets.extra" / "tf_serving_warmup_requests"
    with tf.io.TFRecordWriter(str(file)) as writer:
        for batch in WARMUP_BATCHES:
            prompts = np.resize(np.asarray(PROMPTS, object), batch)
            seeds = np.arange(batch, dtype=np.int64)
            yes = np.ones(batch, bool)
            options = {"temperature": np.full(batch, 0.5, np.float32), "expand": yes, "refine": yes}
            for signature, extra in (("serving_default", {}), ("options", options)):
                inputs = {"prompt": prompts, "seed": seeds, **extra}
                writer.write(predict_log(name, signature, inputs).SerializeToString())


def predict_log(name: str, signature: str, inputs: dict[str, Any]) -> prediction_log_pb2.PredictionLog:
    """One Predict request as a warm-up record."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = name, signature
    for key, value in inputs.items():
        request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
    return prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))


@component
def ServingValidator(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    blessing: OutputArtifact[InfraBlessing],
) -> None:
    """Load the fused model in the embedded server, in a process of its own, and send it its warm-up requests."""
    if model_blessing.get_int_custom_property("blessed") != 1:
        verdict: dict[str, Any] = {"ok": False, "reason": "nothing was assembled, since a model was not blessed"}
    else:
        verdict = validate(serving_path(model), "text_to_image")
    blessing.set_int_custom_property("blessed", int(verdict["ok"]))
    blessing.set_string_custom_property("reason", str(verdict["reason"]))
    if "median_ms" in verdict:
        blessing.set_float_custom_property("median_ms", float(verdict["median_ms"]))


def validate(saved_model: str, name: str) -> dict[str, Any]:
    """Ask `serving.validation` for its verdict on a SavedModel; a crash is a verdict too."""
    command = [sys.executable, "-m", "serving.validation", saved_model, "--name", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.strip().splitlines()
    try:
        verdict = json.loads(lines[-1])
    except (IndexError, json.JSONDecodeError):
        reason = f"the check ended with code {done.returncode}: {done.stderr.strip()[-400:]}"
        return {"ok": False, "reason": reason}
    return dict(verdict)


class AtomicExecutor(pusher.Executor):  # type: ignore[misc]
    """TFX's Pusher with two differences: a version appears whole or not at all, and an unchanged model stays put.

    The version is the one that the blessing names, so that all models of a run share it.
    """

    def Do(
        self,
        input_dict: dict[str, list[Artifact]],
        output_dict: dict[str, list[Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Copy a blessed model beside its destination and rename it into place."""
        self._log_startup(input_dict, output_dict, exec_properties)
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            self._MarkNotPushed(pushed)
            return
        destination = pusher_pb2.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        version = artifact_utils.get_single_instance(input_dict["model_blessing"]).get_int_custom_property("version")
        base = Path(destination.filesystem.base_directory)
        place = push(Path(self.GetModelPath(input_dict)), base, version)
        self._MarkPushed(pushed, pushed_destination=str(place), pushed_version=place.name)


class AtomicPusher(Pusher):  # type: ignore[misc]
    """TFX's Pusher with `AtomicExecutor`."""

    EXECUTOR_SPEC = ExecutorClassSpec(AtomicExecutor)


def push(saved_model: Path, base: Path, version: int) -> Path:
    """Make `base/version` from a SavedModel in one rename, unless the newest version there is the same.

    Returns:
        The folder that now serves the model.
    """
    base.mkdir(parents=True, exist_ok=True)
    versions = sorted(int(path.name) for path in base.iterdir() if path.name.isdigit())
    if versions and same_tree(saved_model, base / str(versions[-1])):
        return base / str(versions[-1])
    partial = base / f".{version}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(saved_model, partial)
    return partial.rename(base / str(version))


def same_tree(first: Path, second: Path) -> bool:
    """Whether two folders hold the same files with the same bytes."""
    names = [
        sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) for root in (first, second)
    ]
    if names[0] != names[1]:
        return False
    _, different, unreadable = filecmp.cmpfiles(first, second, names[0], shallow=False)
    return not different and not unreadable
