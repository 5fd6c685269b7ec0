"""The served signatures: inputs and outputs of each model in TensorFlow Serving.

No signature uses XLA, because the stock server refuses compiled ones unless it is started with a flag.
Values whose names end in `_bytes` are base64-encoded in JSON.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import config_pb2, rewriter_config_pb2, saved_model_pb2

from models.drawing import Drawer
from models.language_model import LanguageModel
from models.options import OPTIONS, SEED
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

LARGEST_CONSTANT = 2**20
"""Size of a weight in bytes above which a served model keeps it as a variable: constants are copied in memory."""
DRAWING = {"serving_default": 2, "options": 5, "candidates": 6, "scaled": 7, "draw": 7}
"""Signatures that draw, and how many of the inputs of `blend` each takes, counted from the first."""
ONE_PASS = config_pb2.ConfigProto()
"""Graph optimization options of a served model: a second pass takes as long as the first and finds nothing more."""
ONE_PASS.graph_options.rewrite_options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
ONE_PASS.graph_options.rewrite_options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT


def export_language_model(model: LanguageModel, out: Path) -> None:
    """Write `serving_default` (prompt, seed, temperature -> text) and `embed` (caption -> embedding).

    `continue_by` also takes length, the maximum number of pieces to add; increasing lengths show a caption as it is
    written. Spelling errors of one letter in a prompt are corrected, as in `export_text_to_image`.
    """
    whole = tf.constant([model.length])

    def continue_by(prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, length: tf.Tensor = whole) -> Tensors:
        lengths = tf.broadcast_to(length, tf.shape(seed))
        return {"text": model.continue_texts(model.tokenizer.correct(prompt), seed, temperature, lengths)}

    def embed(caption: tf.Tensor) -> Tensors:
        return {"embedding": model.embed_texts(caption)}

    write(out, model, frozen([model], continue_by, embed), {"serving_default": ("continue_by", 3)})


def export_generator(model: Drawer, out: Path) -> None:
    """Write `serving_default` (caption, seed -> image_bytes)."""

    def serving_default(caption: tf.Tensor, seed: tf.Tensor) -> Tensors:
        return {"image_bytes": encode_png(to_uint8(model.draw(caption, seed)))}

    write(out, model, frozen([model], serving_default))


def export_restorer(model: Restorer, out: Path) -> None:
    """Write `serving_default` (image_bytes, noise_sigma -> image_bytes), `inpaint`, `sharpen` and `enlarge`.

    `inpaint` also takes mask_bytes, `sharpen` also takes blur_sigma, and `enlarge` takes only image_bytes and doubles
    the sides. Pictures may have any size from 8 pixels per side, and rows may differ in size. `noise_sigma` is in grey
    levels of 0..255; if it is negative, the noise is estimated. `blur_sigma` is in pixels. A mask is a picture of the
    same size, white in the hole.
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

    sharp = tf.constant([0.0])

    def sharpen(image_bytes: tf.Tensor, noise_sigma: tf.Tensor, blur_sigma: tf.Tensor = sharp) -> Tensors:
        blurs = tf.broadcast_to(blur_sigma, tf.shape(noise_sigma))
        return each(sharpen_one, (image_bytes, noise_sigma, blurs))

    def inpaint(image_bytes: tf.Tensor, mask_bytes: tf.Tensor, noise_sigma: tf.Tensor) -> Tensors:
        return each(inpaint_one, (image_bytes, mask_bytes, noise_sigma))

    def enlarge(image_bytes: tf.Tensor) -> Tensors:
        return each(enlarge_one, image_bytes)

    write(out, model, frozen([model], sharpen, inpaint, enlarge), {"serving_default": ("sharpen", 2)})


def export_text_to_image(model: TextToImage, out: Path, *, prompts: Mapping[str, Sequence[str]] | None = None) -> None:
    """Write `serving_default` (prompt, seed), signatures that also take options of `models.options`, and `facts`.

    `draw` takes temperature, expand, refine, candidates and scale; `blend` takes all options, and interpolates between
    the pictures of two prompts and seeds. Options that a request leaves out have their defaults. `options`,
    `candidates` and `scaled`, which take three, four and five options, are deprecated.

    All process rows independently and return image_bytes; expanded_prompt (of the nearer prompt); read_as, the (nearer)
    prompt with spelling errors of one letter corrected, or an empty string if there are none; and unknown_words, the
    words missing from the vocabulary (of both prompts, if two are blended).

    `facts` (language -> prompts, picture_size) describes the model: example `prompts` in a language, such as `en`,
    padded with empty ones, and the side in pixels of a picture at scale 1.
    """
    reader = model.generator.language_model
    # Defaults of arguments become defaults of the signature; they have one row, whatever the batch size of a request.
    without = {"to_prompt": "", "to_seed": 0}
    left_out = {
        option.name: tf.constant([without.get(option.name, option.default)], option.dtype)
        for option in OPTIONS.values()
    }

    def blend(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        temperature: tf.Tensor = left_out["temperature"],
        expand: tf.Tensor = left_out["expand"],
        refine: tf.Tensor = left_out["refine"],
        candidates: tf.Tensor = left_out["candidates"],
        scale: tf.Tensor = left_out["scale"],
        to_prompt: tf.Tensor = left_out["to_prompt"],
        to_seed: tf.Tensor = left_out["to_seed"],
        share: tf.Tensor = left_out["share"],
    ) -> Tensors:
        def by_row(column: tf.Tensor) -> tf.Tensor:
            return tf.broadcast_to(column, tf.shape(seed))

        shares, refining, scales = by_row(share), by_row(refine), by_row(scale)
        blending, rows = tf.where(shares > 0), tf.size(seed)

        def both(start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
            """The start of all rows, then the end of the rows that blend."""
            return tf.concat([by_row(start), tf.gather_nd(by_row(end), blending)], axis=0)

        def ends(column: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return column[:rows], tf.tensor_scatter_nd_update(column[:rows], blending, column[rows:])

        asked, seeds = both(prompt, to_prompt), both(seed, to_seed)
        warmth, expanding, counts = (both(column, column) for column in (temperature, expand, candidates))
        read = model.read(asked)
        captions = model.captions(read, seeds, warmth, expanding)
        embeddings = reader.embed_texts(captions)
        chosen = model.choose(embeddings, seeds, counts)
        # Upscaled pictures are drawn one by one, which bounds memory.
        groups = tf.where(scales == 1, tf.zeros_like(scales), tf.range(1, tf.size(scales, tf.int64) + 1))
        drawn = [end for pair in zip(ends(embeddings), ends(chosen), strict=True) for end in pair]
        pictures = in_groups(groups, model.draw_between, *drawn, shares, refining, scales)
        nearer_caption, nearer_prompt, nearer_read = (
            tf.where(shares < 0.5, *ends(column)) for column in (captions, asked, read)
        )
        start, end = ends(read)
        return {
            "image_bytes": pictures,
            "expanded_prompt": nearer_caption,
            "read_as": tf.where(nearer_read == nearer_prompt, "", nearer_read),
            "unknown_words": reader.tokenizer.unknown(tf.where(shares > 0, tf.strings.join([start, end], " "), start)),
        }

    (blending,) = frozen([model.generator, model.restorer], blend)
    narrower = {name: ("blend", count) for name, count in DRAWING.items()}
    write(out, model.generator, [blending, facts_of(model, prompts or {})], narrower)


def in_groups(groups: tf.Tensor, draw: Callable[..., tf.Tensor], *columns: tf.Tensor) -> tf.Tensor:
    """In the graph: the encoded pictures of rows, string[b], drawn one group at a time.

    Args:
        groups: int[b], the group of each row; all rows of a group have the same scale.
        draw: Draws rows, all at the scale given by its last argument.
        columns: Arguments of `draw`, with b rows each; the last is the scale, int64[b].
    """
    numbers, group_of_row = tf.unique(groups)

    def step(number: tf.Tensor, pictures: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        rows = tf.where(group_of_row == number)
        *some, scale = (tf.gather_nd(column, rows) for column in columns)
        return number + 1, tf.tensor_scatter_nd_update(pictures, rows, encode_png(draw(*some, scale[0])))

    nothing = (tf.constant(0), tf.fill(tf.shape(groups), ""))
    return tf.while_loop(lambda number, _: number < tf.size(numbers), step, nothing, parallel_iterations=1)[1]


def facts_of(model: TextToImage, prompts: Mapping[str, Sequence[str]]) -> Callable[..., Tensors]:
    """The signature `facts`; see `export_text_to_image`."""
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
    """Write the signatures for evaluation, which take serialized examples; the weights stay variables."""
    write(out, model, endpoints)


def write(
    out: Path,
    model: Any,
    endpoints: Sequence[Callable[..., Tensors]],
    narrower: Mapping[str, tuple[str, int]] | None = None,
) -> None:
    """Write a SavedModel with the endpoints as signatures, by name.

    Args:
        out: Folder to write.
        model: The model of the endpoints, whose tokenizer they may use.
        endpoints: Functions of batched tensors; the names of their arguments determine the dtypes.
        narrower: Further signatures: the name of an endpoint, and how many of its arguments each takes; the others
            have defaults.
    """
    archive = keras.export.ExportArchive()
    reader = getattr(model, "language_model", model)
    if isinstance(reader, LanguageModel):
        archive.track(reader.tokenizer)

    def add(name: str, endpoint: Callable[..., Tensors], parameters: Sequence[str]) -> Callable[..., Tensors]:
        specs = [tf.TensorSpec([None], DTYPES[each], name=each) for each in parameters]
        return cast(Callable[..., Tensors], archive.add_endpoint(name, endpoint, input_signature=specs))

    named = {endpoint.__name__: endpoint for endpoint in endpoints}
    taken = {name: list(inspect.signature(endpoint).parameters) for name, endpoint in named.items()}
    added = {name: add(name, endpoint, taken[name]) for name, endpoint in named.items()}
    for name, (wide, count) in (narrower or {}).items():
        add(name, taking(count, added[wide], named[wide]), taken[wide][:count])
    archive.write_out(str(out), verbose=False)
    make_ready(out / "saved_model.pb", {name: wide for name, (wide, _) in (narrower or {}).items()})


def taking(count: int, added: Callable[..., Tensors], endpoint: Callable[..., Tensors]) -> Callable[..., Tensors]:
    """A signature that takes the first `count` arguments of an endpoint."""

    def narrower(*inputs: tf.Tensor) -> Tensors:
        return added(*inputs)

    parameters = list(inspect.signature(endpoint).parameters.values())[:count]
    narrower.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return narrower


def make_ready(file: Path, wider: Mapping[str, str]) -> None:
    """Reduce the time of the first calls to a SavedModel, when a server optimizes each graph, which takes seconds.

    Signatures that are others with fewer inputs share the graphs of these, `wider`, and all graphs are optimized in
    one pass.
    """
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    (meta,) = saved.meta_graphs
    for name, wide in wider.items():
        narrow = meta.signature_def[name]
        for field in ("inputs", "outputs"):
            for each, info in getattr(narrow, field).items():
                info.CopyFrom(getattr(meta.signature_def[wide], field)[each])
    library = meta.graph_def.library.function
    for node in itertools.chain(meta.graph_def.node, *(function.node_def for function in library)):
        if "config_proto" in node.attr:
            config = config_pb2.ConfigProto.FromString(node.attr["config_proto"].s)
            config.MergeFrom(ONE_PASS)
            node.attr["config_proto"].s = config.SerializeToString()
    file.write_bytes(saved.SerializeToString())


def bytes_of(variable: keras.Variable) -> int:
    """The size of a variable in bytes."""
    return int(np.prod(variable.shape)) * tf.as_dtype(variable.dtype).size


def frozen(models: Sequence[keras.Model], *endpoints: Callable[..., Tensors]) -> list[Callable[..., Tensors]]:
    """The endpoints with weights as constants, whose layout TensorFlow optimizes once instead of at every call.

    Each constant has a function of its own that all endpoints call, so a SavedModel contains it once. TensorFlow
    inlines it wherever it is used, in every branch and loop, so weights above `LARGEST_CONSTANT` stay variables.
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
    """A scope in which variables up to `LARGEST_CONSTANT` are constants of the graph that reads them.

    Constants of an outer graph would be inputs of a branch or loop body, and their layout would not be optimized.
    """

    def __init__(self, variables: Sequence[keras.Variable]) -> None:
        super().__init__()
        self.functions = {
            id(variable): constant_function(variable.numpy())
            for variable in variables
            if bytes_of(variable) <= LARGEST_CONSTANT
        }
        self.by_graph: dict[tuple[Any, int], tf.Tensor] = {}

    def get_current_value(self, ref: keras.Variable) -> tf.Tensor | None:
        """The constant for a variable; None for one that is larger, or of another model."""
        key = (tf.compat.v1.get_default_graph(), id(ref))
        if key not in self.by_graph and id(ref) in self.functions:
            self.by_graph[key] = self.functions[id(ref)]()
        return self.by_graph.get(key)


def constant_function(value: NDArray[Any]) -> Callable[[], tf.Tensor]:
    """A graph function that returns a constant."""
    return tf.function(lambda: tf.constant(value), autograph=False)
