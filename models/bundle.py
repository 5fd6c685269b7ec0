"""Export of a bundle, which draws and restores without TensorFlow, on a laptop, on a phone or in a browser.

The networks are LiteRT files. Strings, random numbers and loops over networks are left to `serving.bundle`, which
implements them in NumPy with the constants in `bundle.json`.
"""

import inspect
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from keras import ops

from models.damage import MAX_SIGMA, Damaged, enlarge
from models.drawing import DrawingModel
from models.export import Tensors, frozen
from models.language_model import PENALTY, TRIES, LanguageModel
from models.patterns import patterns
from models.restorer import TILE, Restorer
from models.restorer_network import LEAST_SIGMA, STRIDE, prepared
from models.spelling import COMMON, latin_letters
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED

FACTS = "bundle.json"
FORMAT = 3
"""Version of the bundle format; readers refuse other versions."""

Shape = tuple[int | None, ...]


class Network(NamedTuple):
    """A function of tensors with one row each.

    Attributes:
        run: The function; the names of its arguments are those of the inputs.
        shapes: Shapes of the inputs.
        dtypes: Dtypes of inputs by name, where they are not float32.
    """

    run: Callable[..., Tensors]
    shapes: Sequence[Shape]
    dtypes: Mapping[str, tf.DType] = {}

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """The specs of the inputs."""
        names = inspect.signature(self.run).parameters
        named = zip(names, self.shapes, strict=True)
        return [tf.TensorSpec(shape, self.dtypes.get(name, tf.float32), name) for name, shape in named]


def export_bundle(
    model: TextToImage,
    out: Path,
    *,
    version: int = 1,
    prompts: Mapping[str, Sequence[str]] | None = None,
    restorer: Restorer | None = None,
) -> None:
    """Write a bundle into a folder; takes half a minute.

    Args:
        model: A model whose generator is a `DrawingModel` and whose language model is not exact.
        out: Folder to write.
        version: Version of the models, as written into the metadata of pictures.
        prompts: Example prompts by language.
        restorer: Restores pictures of users; None for the model's own restorer, which also refines drawings.

    Raises:
        TypeError: The generator is not a `DrawingModel`.
        ValueError: The language model is exact.
    """
    generator, refiner = model.generator, model.restorer
    if not isinstance(generator, DrawingModel):
        raise TypeError(f"A {type(generator).__name__} is no DrawingModel: only the parts of one can be bundled.")
    reader = generator.language_model
    if reader.exact:
        raise ValueError("The language model is exact: only one that normalises texts can be bundled.")
    files = {
        "reader.tflite": (reader, reading(reader)),
        "drawer.tflite": (generator, drawing(generator)),
    }
    restorers = {"refiner.tflite": refiner} | ({"restorer.tflite": restorer} if restorer else {})
    out.mkdir(parents=True, exist_ok=True)
    for name, (owner, networks) in files.items():
        (out / name).write_bytes(converted(owner, networks))
    for name, each in restorers.items():
        (out / name).write_bytes(converted(each, restoring(each)))
    facts = {
        "format": FORMAT,
        "version": version,
        "networks": {name: [network.run.__name__ for network in networks] for name, (_, networks) in files.items()},
        "picture_size": generator.picture_size,
        "prompts": {language: list(some) for language, some in (prompts or {}).items()},
        "draws": [draw._asdict() for draw in generator.draws],
        "text": {
            "vocabulary": reader.vocabulary,
            "length": reader.length,
            "letters": "".join(latin_letters(reader.vocabulary[len(RESERVED) :])),
            "common": sorted(COMMON),
            "patterns": patterns(),
        },
        "tries": TRIES,
        "penalty": PENALTY,
        "states": [reader.depth, 2, 1, reader.width],
        "restorers": [
            {"file": name, "tile": TILE, "margin": each.reach, "multiple": STRIDE, "clean": LEAST_SIGMA / MAX_SIGMA}
            for name, each in restorers.items()
        ],
    }
    (out / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def reading(model: LanguageModel) -> list[Network]:
    """`step`, one step of the LSTM, and `read`, from all pieces and the outputs of the LSTM to the embedding."""

    def step(piece: tf.Tensor, states: tf.Tensor) -> Tensors:
        logits, after = model.step(piece, [tf.unstack(layer) for layer in tf.unstack(states)])
        return {
            "logits": logits,
            "states_after": tf.stack([tf.stack(layer) for layer in after]),
            "excludes": tf.cast(model.excluded_by(piece), tf.float32),
        }

    def read(pieces: tf.Tensor, outputs: tf.Tensor) -> Tensors:
        return {"embedding": model.reader(ops.concatenate([model.tokens(pieces), outputs], axis=-1), pieces)}

    states, length = (model.depth, 2, 1, model.width), model.length
    return [
        Network(step, [(1,), states], {"piece": tf.int32}),
        Network(read, [(1, length), (1, length, model.width)], {"pieces": tf.int32}),
    ]


def drawing(model: DrawingModel) -> list[Network]:
    """`noise` from an embedding and random numbers, `sketch` from an embedding and noise, and `finer` at a scale."""

    def noise(embedding: tf.Tensor, chances: tf.Tensor) -> Tensors:
        parts = tf.split(chances, [draw.size for draw in model.draws], axis=1)
        shaped = (tf.reshape(part, [1, *draw.shape]) for part, draw in zip(parts, model.draws, strict=True))
        return {"noise": model.noise(embedding, *shaped)}

    def sketch(embedding: tf.Tensor, noise: tf.Tensor) -> Tensors:
        return {"picture": model.sketch(embedding, noise)}

    def finer(embedding: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor) -> Tensors:
        return {"picture": model.sketch(embedding, noise, scale)}

    embedding = (1, model.language_model.embedding_size)
    likeliest = tuple(model.likeliest(tf.zeros(embedding)).shape)
    return [
        Network(noise, [embedding, (1, sum(draw.size for draw in model.draws))]),
        Network(sketch, [embedding, likeliest]),
        Network(finer, [embedding, likeliest, ()], {"scale": tf.int32}),
    ]


def restoring(model: Restorer) -> list[Network]:
    """`prepare`, `fill` and `enlarge`, which have no weights, and `restore`, which removes known damage."""

    def prepare(picture: tf.Tensor, noise: tf.Tensor, blur: tf.Tensor, enlarged: tf.Tensor) -> Tensors:
        whole = Damaged(picture, tf.zeros_like(picture[..., :1]), noise, blur, enlarged)
        return {"known": prepared(whole, holes=False)[-1]}

    def fill(picture: tf.Tensor, mask: tf.Tensor, noise: tf.Tensor, blur: tf.Tensor, enlarged: tf.Tensor) -> Tensors:
        filled, _, known = prepared(Damaged(picture, mask, noise, blur, enlarged))
        return {"filled": filled, "known": known}

    def restore(picture: tf.Tensor, mask: tf.Tensor, known: tf.Tensor) -> Tensors:
        return {"restored": model([picture, mask, known])}

    def double(picture: tf.Tensor) -> Tensors:
        return {"doubled": enlarge(picture)}

    picture, mask = (1, None, None, 3), (1, None, None, 1)
    levels: list[Shape] = [(1,)] * 3
    return [
        Network(prepare, [picture, *levels]),
        Network(fill, [picture, mask, *levels]),
        Network(restore, [picture, mask, (1, 3)]),
        Network(double, [picture]),
    ]


def converted(owner: keras.Model, networks: Sequence[Network]) -> bytes:
    """A LiteRT file with a signature for each network, all of which share the weights of `owner`."""
    archive = keras.export.ExportArchive()
    for network, run in zip(networks, frozen([owner], *(network.run for network in networks)), strict=True):
        archive.add_endpoint(network.run.__name__, run, input_signature=network.signature)
    with tempfile.TemporaryDirectory() as folder:
        archive.write_out(folder, verbose=False)
        names = [network.run.__name__ for network in networks]
        content: Any = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=names).convert()
    return bytes(content)
