"""Small SavedModels with the signatures that Easel serves, made without training."""

from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_text

ECHO_TYPES = {
    name: tf.as_dtype(name)
    for names in (
        "float32 float64 half bfloat16 complex64 bool string",
        "int8 int16 int32 int64 uint8 uint16 uint32 uint64",
    )
    for name in names.split()
}

TO_TRY = {"en": ["a zorb", "two zorbs"], "zh": ["一只猫"]}


def export(module: tf.Module, folder: Path, **signatures: tf.types.experimental.PolymorphicFunction) -> Path:
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return folder


def spec(dtype: tf.DType, name: str, shape: list[int | None] | None = None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name=name)


def half_plus(folder: Path, addend: float) -> Path:
    module = tf.Module()
    module.addend = tf.Variable(addend)

    @tf.function(input_signature=[spec(tf.float32, "x")])
    def half_plus_addend(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": 0.5 * x + module.addend}

    @tf.function(input_signature=[spec(tf.float32, "x")])
    def picky(x: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="x must be below 10")]):
            return {"y": tf.identity(x), "total": tf.reduce_sum(x)}

    @tf.function(input_signature=[spec(tf.int32, "turns", [])])
    def slow(turns: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.while_loop(lambda turn: turn < turns, lambda turn: [turn + 1], [0])[0]}

    return export(module, folder, serving_default=half_plus_addend, picky=picky, slow=slow)


def echo(folder: Path) -> Path:
    def echo_of(dtype: tf.DType) -> tf.types.experimental.PolymorphicFunction:
        return tf.function(lambda x: {"y": tf.identity(x), "shape": tf.shape(x)}, input_signature=[spec(dtype, "x")])

    module = tf.Module()
    module.functions = {name: echo_of(dtype) for name, dtype in ECHO_TYPES.items()}

    @tf.function(input_signature=[spec(tf.int32, "a"), spec(tf.string, "b")])
    def pair(a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"a": tf.identity(a), "b": tf.identity(b), "b_bytes": tf.identity(b)}

    return export(module, folder, serving_default=module.functions["float32"], pair=pair, **module.functions)


def counter(folder: Path) -> Path:
    """Tell how often it was called since it was loaded."""
    module = tf.Module()
    module.calls = tf.Variable(0, dtype=tf.int64)

    @tf.function(input_signature=[spec(tf.string, "who", [None])])
    def count(who: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"calls": tf.fill(tf.shape(who), module.calls.assign_add(1))}

    return export(module, folder, serving_default=count)


def text_to_image(folder: Path) -> Path:
    """Draw a square whose grey level is a hash of prompt and seed; words that begin with z are unknown, kat is cat."""
    module = tf.Module()

    def square(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        grey, side = row
        return tf.io.encode_png(tf.fill([side, side, 3], tf.cast(grey, tf.uint8)))

    def grey_of(prompt: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.to_hash_bucket_fast(prompt + "#" + tf.strings.as_string(seed), 256), tf.float32)

    def drawn(
        prompt: tf.Tensor,
        seed: tf.Tensor,
        caption: tf.Tensor,
        scale: tf.Tensor | None = None,
        grey: tf.Tensor | None = None,
    ) -> dict[str, tf.Tensor]:
        grey = grey_of(prompt, seed) if grey is None else grey
        sides = 8 * (tf.ones_like(seed) if scale is None else scale)
        pictures = tf.map_fn(square, (grey, sides), fn_output_signature=tf.string)
        unknown = tf.strings.regex_replace(prompt, r"(^|\s)[^z\s]\S*", "")
        read = tf.strings.regex_replace(prompt, r"\bkat\b", "cat")
        reading = {"unknown_words": unknown, "read_as": tf.where(read == prompt, "", read)}
        return {"image_bytes": pictures, "expanded_prompt": caption, **reading}

    asked = [spec(tf.string, "prompt", [None]), spec(tf.int64, "seed", [None])]
    chosen = [spec(tf.float32, "temperature", [None]), spec(tf.bool, "expand", [None]), spec(tf.bool, "refine", [None])]

    @tf.function(input_signature=asked)
    def default(prompt: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        return drawn(prompt, seed, prompt + " on black")

    @tf.function(input_signature=asked + chosen)
    def options(
        prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, expand: tf.Tensor, refine: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        heat = tf.strings.as_string(temperature, precision=1)
        caption = tf.where(expand, prompt + " at " + heat, prompt)
        return drawn(prompt, seed, tf.where(refine, caption, caption + " unrefined"))

    @tf.function(input_signature=[*asked, *chosen, spec(tf.int64, "candidates", [None])])
    def candidates(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        *asked, count = inputs
        best = options(*asked)
        return {**best, "expanded_prompt": best["expanded_prompt"] + " of " + tf.strings.as_string(count)}

    @tf.function(
        input_signature=[*asked, *chosen, spec(tf.int64, "candidates", [None]), spec(tf.int64, "scale", [None])]
    )
    def scaled(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        *others, count, scale = inputs
        best, one = candidates(*others, count)["expanded_prompt"], options(*others)["expanded_prompt"]
        return drawn(inputs[0], inputs[1], tf.where(count == 1, one, best), scale)

    finest = [spec(tf.int64, "candidates", [None]), spec(tf.int64, "scale", [None])]
    other = [spec(tf.string, "to_prompt", [None]), spec(tf.int64, "to_seed", [None]), spec(tf.float32, "share", [None])]

    @tf.function(input_signature=[*asked, *chosen, *finest, *other])
    def blend(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        prompt, seed, *how, to_prompt, to_seed, share = inputs
        grey = (1 - share) * grey_of(prompt, seed) + share * grey_of(to_prompt, to_seed)
        nearer = tf.where(share < 0.5, prompt, to_prompt)
        return drawn(prompt, seed, options(nearer, seed, *how[:3])["expanded_prompt"], how[-1], grey)

    @tf.function(input_signature=[spec(tf.string, "language", [None])])
    def facts(language: tf.Tensor) -> dict[str, tf.Tensor]:
        prompts = tf.where((language == "en")[:, tf.newaxis], TO_TRY["en"], [*TO_TRY["zh"], ""])
        return {"prompts": prompts, "picture_size": tf.fill(tf.shape(language), tf.constant(8, tf.int64))}

    drawing = {"draw": scaled, "options": options, "candidates": candidates, "scaled": scaled, "blend": blend}
    return export(module, folder, serving_default=default, facts=facts, **drawing)


def restorer(folder: Path) -> Path:
    """Add the noise level and a hundred times the blur to every grey level, paint the hole white, and double pixels."""
    module = tf.Module()

    def shifted(inputs: tuple[tf.Tensor, ...]) -> tf.Tensor:
        encoded, sigma, mask = inputs
        image = tf.cast(tf.io.decode_png(encoded, channels=3), tf.float32) + sigma
        holes = tf.io.decode_png(mask, channels=1) > 127
        return tf.io.encode_png(tf.cast(tf.where(holes, 255.0, image), tf.uint8))

    asked = [spec(tf.string, "image_bytes", [None]), spec(tf.float32, "noise_sigma", [None])]

    @tf.function(input_signature=asked)
    def default(image_bytes: tf.Tensor, noise_sigma: tf.Tensor) -> dict[str, tf.Tensor]:
        whole = tf.io.encode_png(tf.zeros([1, 1, 1], tf.uint8))
        return inpaint(image_bytes, noise_sigma, tf.fill(tf.shape(image_bytes), whole))

    @tf.function(input_signature=[*asked, spec(tf.string, "mask_bytes", [None])])
    def inpaint(image_bytes: tf.Tensor, noise_sigma: tf.Tensor, mask_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = (image_bytes, noise_sigma, mask_bytes)
        return {"image_bytes": tf.map_fn(shifted, inputs, fn_output_signature=tf.string)}

    @tf.function(input_signature=[*asked, spec(tf.float32, "blur_sigma", [None])])
    def sharpen(image_bytes: tf.Tensor, noise_sigma: tf.Tensor, blur_sigma: tf.Tensor) -> dict[str, tf.Tensor]:
        return default(image_bytes, noise_sigma + 100 * blur_sigma)

    def doubled(encoded: tf.Tensor) -> tf.Tensor:
        image = tf.io.decode_png(encoded, channels=3)
        return tf.io.encode_png(tf.repeat(tf.repeat(image, 2, axis=0), 2, axis=1))

    @tf.function(input_signature=asked[:1])
    def enlarge(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"image_bytes": tf.map_fn(doubled, image_bytes)}

    return export(module, folder, serving_default=default, inpaint=inpaint, sharpen=sharpen, enlarge=enlarge)


def language_model(folder: Path) -> Path:
    """Normalise the prompt with an operation of tensorflow_text and append the seed.

    By pieces, continue it as the fake text_to_image expands it.
    """
    module = tf.Module()

    @tf.function(
        input_signature=[
            spec(tf.string, "prompt", [None]),
            spec(tf.int64, "seed", [None]),
            spec(tf.float32, "temperature", [None]),
        ]
    )
    def default(prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor) -> dict[str, tf.Tensor]:
        words = tensorflow_text.normalize_utf8(prompt, "NFKC")
        heat = tf.strings.as_string(temperature, precision=1)
        return {"text": words + " " + tf.strings.as_string(seed) + " " + heat}

    @tf.function(
        input_signature=[
            spec(tf.string, "prompt", [None]),
            spec(tf.int64, "seed", [None]),
            spec(tf.float32, "temperature", [None]),
            spec(tf.int32, "length", [None]),
        ]
    )
    def continue_by(
        prompt: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, length: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        heat = tf.strings.as_string(temperature, precision=1)
        two = tf.where(length > 1, tf.strings.join([" ", heat]), "")
        return {"text": tf.strings.join([prompt, tf.where(length > 0, " at", ""), two])}

    @tf.function(input_signature=[spec(tf.string, "caption", [None])])
    def embed(caption: tf.Tensor) -> dict[str, tf.Tensor]:
        length = tf.cast(tf.strings.length(caption), tf.float32)
        return {"embedding": length[:, tf.newaxis] * tf.constant(np.arange(4), tf.float32)}

    return export(module, folder, serving_default=default, continue_by=continue_by, embed=embed)
