"""The served signatures: what each model takes and gives over TensorFlow Serving.

XLA is left out of every signature, since the stock server refuses compiled ones unless it is started with a flag.
Names that end in `_bytes` travel as base64 in JSON.
"""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from models.drawing import Drawer
from models.language_model import LanguageModel
from models.options import OPTIONS, SEED, TEMPERATURE
from models.pictures import decode, decode_mask, encode_png
from models.restorer import Restorer
from models.tensors import to_float, to_uint8
from models.text_to_image import TextToImage

Tensors = dict[str, tf.Tensor]
DTYPES: Mapping[str, tf.DType] = {
    **{option.name: tf.as_dtype(option.dtype) for option in (SEED, *OPTIONS.values())},
    "prompt": tf.string,
    "caption": tf.string,
    "language": tf.string,
    "length": tf.int32,
    "image_bytes": tf.string,
    "mask_bytes": tf.string,
    "noise_sigma": tf.float32,
    "blur_sigma": tf.float32,
    "examples": tf.string,
}


def export_language_model(model: LanguageModel, out: Path) -> None:
    """Write `serving_default` (prompt, seed, temperature -> text) and `embed` (caption -> embedding).

    `continue_by` also takes length, the most pieces to add: lengths that grow show a caption as it is written. Typing
    errors of one letter in a prompt are corrected, as in `export_text_to_image`.
    """

    def serving_default(prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor) -> Tensors:
        return {"text": model.continue_texts(model.tokenizer.correct(prompt), seed, temperature)}

    def continue_by(prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, length: tf.Tensor) -> Tensors:
        return {"text": model.continue_texts(model.tokenizer.correct(prompt), seed, temperature, length)}

    def embed(caption: tf.Tensor) -> Tensors:
        return {"embedding": model.embed_texts(caption)}

    write(out, model, frozen([model], serving_default, continue_by, embed))


def export_generator(model: Drawer, out: Path) -> None:
    """Write `serving_default` (caption, seed -> image_bytes)."""

    def serving_default(caption: tf.Tensor, seed: tf.Tensor) -> Tensors:
        return {"image_bytes": encode_png(to_uint8(model.draw(caption, seed)))}

    write(out, model, frozen([model], serving_default))


def export_restorer(model: Restorer, out: Path) -> None:
    """Write `serving_default` (image_bytes, noise_sigma -> image_bytes) and what else the restorer does.

    `inpaint` also takes mask_bytes, `sharpen` also takes blur_sigma, and `enlarge` takes image_bytes alone and doubles
    their sides. Pictures may be of any size from 8 pixels a side, each row its own; `noise_sigma` is in grey levels of
    0..255, and a negative one is estimated; `blur_sigma` is in pixels. A mask is a picture of the same size, white
    where the hole is.
    """

    def restored(image: tf.Tensor, mask: tf.Tensor | None, sigma: tf.Tensor, blur: tf.Tensor) -> tf.Tensor:
        masks = None if mask is None else mask[None]
        picture = model.restore_batch(to_float(image)[None], masks, sigma[None], blur[None])
        return tf.io.encode_png(to_uint8(picture)[0])

    def sharpen_one(row: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return restored(decode(row[0]), None, row[1], row[2])

    def inpaint_one(row: tuple[tf.Tensor, tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, mask = decode(row[0]), decode_mask(row[1])
        same = tf.debugging.Assert(
            tf.reduce_all(tf.shape(image)[:2] == tf.shape(mask)[:2]),
            ["mask_bytes and image_bytes differ in size; the mask must be", tf.shape(image)[:2]],
        )
        with tf.control_dependencies([same]):
            return restored(image, mask, row[2], tf.zeros_like(row[2]))

    def enlarge_one(image_bytes: tf.Tensor) -> tf.Tensor:
        return tf.io.encode_png(to_uint8(model.enlarge_batch(to_float(decode(image_bytes))[None]))[0])

    def each(one: Callable[..., tf.Tensor], rows: Any) -> Tensors:
        return {"image_bytes": tf.map_fn(one, rows, fn_output_signature=tf.string)}

    def serving_default(image_bytes: tf.Tensor, noise_sigma: tf.Tensor) -> Tensors:
        return each(sharpen_one, (image_bytes, noise_sigma, tf.zeros_like(noise_sigma)))

    def sharpen(image_bytes: tf.Tensor, noise_sigma: tf.Tensor, blur_sigma: tf.Tensor) -> Tensors:
        return each(sharpen_one, (image_bytes, noise_sigma, blur_sigma))

    def inpaint(image_bytes: tf.Tensor, mask_bytes: tf.Tensor, noise_sigma: tf.Tensor) -> Tensors:
        return each(inpaint_one, (image_bytes, mask_bytes, noise_sigma))

    def enlarge(image_bytes: tf.Tensor) -> Tensors:
        return each(enlarge_one, image_bytes)

    write(out, model, frozen([model], serving_default, sharpen, inpaint, enlarge))


def export_text_to_image(model: TextToImage, out: Path, *, prompts: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write `serving_default` (prompt, seed), signatures that take `models.options` too, and `facts`.

    `draw` takes temperature, expand, refine, candidates and scale, each with its default for requests that leave it
    out; `blend` takes all options, and draws the picture a share of the way from that of the prompt and seed to that of
    the other prompt and seed. `options`, `candidates` and `scaled`, which take three, four and five options, are
    deprecated. All go by row, and give image_bytes, expanded_prompt (of the nearer prompt), read_as, the (nearer)
    prompt with typing errors of one letter corrected, empty where there are none, and unknown_words, those that the
    vocabulary lacks (of both prompts).

    `facts` (language -> prompts, picture_size) describes the model: the `prompts` to try in a language, such as `en`,
    padded with empty ones, and the side in pixels of a picture at scale 1.
    """
    reader = model.generator.language_model
    # As defaults of arguments they become those of the signature: one row, whatever the rows of a request.
    given = (option for option in OPTIONS.values() if option.default is not None)
    left_out = {option.name: tf.constant([option.default], option.dtype) for option in given}

    def answered(image_bytes: tf.Tensor, captions: tf.Tensor, prompts: tf.Tensor, read: tf.Tensor) -> Tensors:
        return {
            "image_bytes": image_bytes,
            "expanded_prompt": captions,
            "read_as": tf.where(read == prompts, "", read),
            "unknown_words": reader.tokenizer.unknown(read),
        }

    def options(
        prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, expand: tf.Tensor, refine: tf.Tensor
    ) -> Tensors:
        read = model.read(prompt)
        captions = model.captions(read, seed, temperature, expand)
        return answered(encode_png(model.draw_captions(captions, seed, refine)), captions, prompt, read)

    def embedded(
        prompts: tf.Tensor, seeds: tf.Tensor, temperature: tf.Tensor, expand: tf.Tensor, candidates: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        read = model.read(prompts)
        captions = model.captions(read, seeds, temperature, expand)
        embeddings = reader.embed_texts(captions)
        return embeddings, model.choose(embeddings, seeds, candidates), captions, read

    def each(draw: Callable[..., tf.Tensor], *rows: tf.Tensor) -> tf.Tensor:
        """Draw row by row, since each has a size of its own; the last of the rows is their scale."""

        def one(row: tuple[tf.Tensor, ...]) -> tf.Tensor:
            *inputs, scale = row
            return tf.io.encode_png(draw(*(part[None] for part in inputs), scale)[0])

        return tf.map_fn(one, rows, fn_output_signature=tf.string)

    def draw(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor = left_out["temperature"],
        expand: tf.Tensor = left_out["expand"],
        refine: tf.Tensor = left_out["refine"],
        candidates: tf.Tensor = left_out["candidates"],
        scale: tf.Tensor = left_out["scale"],
    ) -> Tensors:
        how = [tf.broadcast_to(column, tf.shape(seed)) for column in (temperature, expand, refine, candidates, scale)]
        warmth, expanding, refining, counts, scales = how
        embeddings, seeds, captions, read = embedded(prompt, seed, warmth, expanding, counts)
        pictures = tf.cond(
            tf.reduce_all(scales == 1),
            lambda: encode_png(model.draw_embedded(embeddings, seeds, refining)),
            lambda: each(model.draw_embedded, embeddings, seeds, refining, scales),
        )
        return answered(pictures, captions, prompt, read)

    def blend(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
        expand: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor,
        scale: tf.Tensor,
        to_prompt: tf.Tensor,
        to_seed: tf.Tensor,
        share: tf.Tensor,
    ) -> Tensors:
        shared = (tf.concat([column, column], 0) for column in (temperature, expand, candidates))
        prompts, seeds = (tf.concat(ends, 0) for ends in ((prompt, to_prompt), (seed, to_seed)))
        embeddings, chosen, captions, read = (tf.split(column, 2) for column in embedded(prompts, seeds, *shared))
        drawn = (embeddings[0], chosen[0], embeddings[1], chosen[1])
        pictures = each(model.draw_between, *drawn, share, refine, scale)
        nearer = (tf.where(share < 0.5, *ends) for ends in (captions, (prompt, to_prompt), read))
        unknown = reader.tokenizer.unknown(tf.strings.join(read, " "))
        return answered(pictures, *nearer) | {"unknown_words": unknown}

    drawing = frozen([model.generator, model.restorer], options, draw, blend)

    def candidates(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
        expand: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor,
    ) -> Tensors:
        return drawing[1](prompt, seed, temperature, expand, refine, candidates, tf.ones_like(seed))

    def scaled(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor,
        expand: tf.Tensor,
        refine: tf.Tensor,
        candidates: tf.Tensor,
        scale: tf.Tensor,
    ) -> Tensors:
        return drawing[1](prompt, seed, temperature, expand, refine, candidates, scale)

    def serving_default(prompt: tf.Tensor, seed: tf.Tensor) -> Tensors:
        yes = tf.fill(tf.shape(seed), True)
        return drawing[0](prompt, seed, tf.fill(tf.shape(seed), TEMPERATURE.default), yes, yes)

    write(out, model.generator, [serving_default, *drawing, candidates, scaled, facts_of(model, prompts or {})])


def facts_of(model: TextToImage, prompts: Mapping[str, Sequence[str]]) -> Callable[..., Tensors]:
    """The endpoint `facts`; see `export_text_to_image`."""
    longest = max(map(len, prompts.values()), default=0)
    padded = {code: tf.constant([*some, *[""] * (longest - len(some))], tf.string) for code, some in prompts.items()}

    def facts(language: tf.Tensor) -> Tensors:
        suggested = tf.fill([tf.shape(language)[0], longest], "")
        for code, some in padded.items():
            suggested = tf.where((language == code)[:, None], some, suggested)
        size = tf.constant(model.generator.picture_size, tf.int64)
        return {"prompts": suggested, "picture_size": tf.fill(tf.shape(language), size)}

    return facts


def export_judged(model: Any, endpoints: Sequence[Callable[..., Tensors]], out: Path) -> None:
    """Write what the pipeline's judges call, on serialized examples; the weights are variables."""
    write(out, model, endpoints)


def write(out: Path, model: Any, endpoints: Sequence[Callable[..., Tensors]]) -> None:
    """Write a SavedModel whose signatures are the endpoints, by name.

    Args:
        out: Folder to write.
        model: The model of the endpoints, whose tokenizer they may use.
        endpoints: Functions of batched tensors; their arguments' names decide the dtypes.
    """
    archive = keras.export.ExportArchive()
    reader = getattr(model, "language_model", model)
    if isinstance(reader, LanguageModel):
        archive.track(reader.tokenizer)
    for endpoint in endpoints:
        names = inspect.signature(endpoint).parameters
        signature = [tf.TensorSpec([None], DTYPES[name], name=name) for name in names]
        archive.add_endpoint(endpoint.__name__, endpoint, input_signature=signature)
    archive.write_out(str(out), verbose=False)


def frozen(models: Sequence[keras.Model], *endpoints: Callable[..., Tensors]) -> list[Callable[..., Tensors]]:
    """The endpoints with weights as constants, which TensorFlow lays out for its kernels once, not at every call.

    The constants stand in one function that all endpoints call, so a SavedModel holds them once. TensorFlow inlines it
    when it loads an endpoint, and leaves out what that one does not use.
    """
    scope = Constants([variable for model in models for variable in model.variables])

    def one(endpoint: Callable[..., Tensors]) -> Callable[..., Tensors]:
        @functools.wraps(endpoint)
        def with_constants(*inputs: tf.Tensor) -> Tensors:
            with scope:
                return endpoint(*inputs)

        return tf.function(with_constants, autograph=False)

    return [one(endpoint) for endpoint in endpoints]


class Constants(keras.StatelessScope):  # type: ignore[misc]
    """A scope in which variables are constants of the graph that asks for them.

    Constants of an outer graph would reach a branch or the body of a loop as its inputs, and be laid out at every call.
    """

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        super().__init__()
        values = [variable.numpy() for variable in variables]
        self.all = tf.function(lambda: [tf.constant(value) for value in values], autograph=False)
        self.places = {id(variable): place for place, variable in enumerate(variables)}
        self.by_graph: dict[Any, list[tf.Tensor]] = {}

    def get_current_value(self, ref: keras.Variable) -> tf.Tensor | None:
        """The constant for a variable; None for one of another model."""
        graph = tf.compat.v1.get_default_graph()
        if graph not in self.by_graph:
            self.by_graph[graph] = self.all()
        place = self.places.get(id(ref))
        return None if place is None else self.by_graph[graph][place]
