"""The pipeline's own last components: the assembler, the check on a real server, and a pusher that renames."""

import hashlib
import time
from pathlib import Path

import numpy as np
from tfx.types import Artifact
from tfx.types.standard_artifacts import InfraBlessing, Model, ModelBlessing, PushedModel
from tfx.utils import path_utils
from tfx.v1.dsl.components import InputArtifact, OutputArtifact, Parameter, component

from models.export import export_text_to_image
from models.language_model import TEMPERATURE
from models.proposals import proposals
from models.saving import load_model
from models.text_to_image import TextToImage
from serving.validation import Verdict, validate
from serving.warmup import Request, write_warmup
from tfx_pipeline.components.artifacts import ModelCards
from tfx_pipeline.names import FUSED
from tfx_pipeline.pushing.cards import read_card
from tfx_pipeline.pushing.versions import PARTS_FILE, push

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
    copies_blessing: InputArtifact[ModelBlessing],
    model: OutputArtifact[Model],
    blessing: OutputArtifact[ModelBlessing],
) -> None:
    """Compose the fused text-to-image model of three blessed ones; with fewer, assemble nothing and bless nothing.

    A generator must have been blessed by the CopyCheck too. It carries the language model that it was trained with, so
    that model is asked for its blessing alone.
    """
    blessings = (language_model_blessing, generator_blessing, restorer_blessing, copies_blessing)
    blessed = all(item.get_int_custom_property("blessed") == 1 for item in blessings)
    blessing.set_int_custom_property("blessed", int(blessed))
    blessing.set_int_custom_property("version", int(time.time()))
    if not blessed:
        return
    files = [
        Path(serving_path(artifact)) / "assets.extra" / f"{name}.keras"
        for name, artifact in (("generator", generator), ("restorer", restorer))
    ]
    out = Path(serving_path(model))
    fused = TextToImage(*map(load_model, files))
    export_text_to_image(fused, out, prompts=proposals(fused.generator.language_model))
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    (out / PARTS_FILE).write_text("\n".join(digests), encoding="utf-8")
    write_warmup(out, FUSED, [request for batch in WARMUP_BATCHES for request in warmups(batch)])


def serving_path(model: Artifact) -> str:
    """Where a Model artifact keeps its SavedModel."""
    return str(path_utils.serving_model_path(model.uri))


def warmups(batch: int) -> list[Request]:
    """Requests of one batch size for a server to play while it loads, so that no user waits for the first trace."""
    yes = np.ones(batch, bool)
    inputs = {"prompt": np.resize(np.asarray(PROMPTS, object), batch), "seed": np.arange(batch, dtype=np.int64)}
    options = {"temperature": np.full(batch, TEMPERATURE, np.float32), "expand": yes, "refine": yes}
    finer = inputs | options | {"candidates": np.ones(batch, np.int64), "scale": np.full(batch, 4, np.int64)}
    other = {"to_prompt": inputs["prompt"], "to_seed": inputs["seed"] + 1, "share": np.full(batch, 0.5, np.float32)}
    return [
        ("serving_default", inputs),
        ("options", inputs | options),
        ("scaled", finer),
        ("blend", finer | other),
        ("facts", {"language": np.resize(np.asarray(["en", "zh"], object), batch)}),
    ]


@component
def ServingValidator(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    blessing: OutputArtifact[InfraBlessing],
) -> None:
    """Load the fused model in the embedded server, in a process of its own, and send it its warm-up requests."""
    if model_blessing.get_int_custom_property("blessed") == 1:
        verdict = validate(Path(serving_path(model)), name=FUSED)
    else:
        verdict = Verdict(False, "nothing was assembled, since a model was not blessed", 0, 0.0)
    blessing.set_int_custom_property("blessed", int(verdict.ok))
    blessing.set_string_custom_property("reason", verdict.reason)
    blessing.set_float_custom_property("median_ms", verdict.median_ms)


@component
def Pusher(
    model: InputArtifact[Model],
    model_blessing: InputArtifact[ModelBlessing],
    infra_blessing: InputArtifact[InfraBlessing],
    cards: InputArtifact[ModelCards],
    name: Parameter[str],
    base: Parameter[str],
    standing: Parameter[str],
    pushed_model: OutputArtifact[PushedModel],
) -> None:
    """Push a model with its card to `base/<version>`, where all models of the run and the server's check are blessed.

    TFX's Pusher differs in two points: here a version appears whole or not at all, and an unchanged model stays put.
    `standing` is not read: it is there so that the cache does not leave a folder empty that someone has emptied.
    """
    blessed = all(item.get_int_custom_property("blessed") == 1 for item in (model_blessing, infra_blessing))
    pushed_model.set_int_custom_property("pushed", int(blessed))
    if blessed:
        place = push(Path(serving_path(model)), Path(base), read_card(Path(cards.uri), name))
        pushed_model.set_string_custom_property("pushed_destination", str(place))
        pushed_model.set_string_custom_property("pushed_version", place.name)
