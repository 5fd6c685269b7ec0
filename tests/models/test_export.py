import re
from collections import Counter
from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import predict_pb2
from tiny_models import PROMPTS, SIZE, TO_TRY, pictures

from models.export import export_judged, export_text_to_image
from models.language_model import LanguageModel
from models.options import CANDIDATES, SCALE
from models.restorer import Restorer
from models.text_to_image import TextToImage
from serving.server.servable import Servable

Serve = Callable[..., dict[str, NDArray[Any]]]
PROMPT, SEED = {"prompt": tf.string, "seed": tf.int64}, {"seed": tf.int64}
IMAGE = {"image_bytes": tf.string}
DAMAGED = {**IMAGE, "noise_sigma": tf.float32}
DRAWN = {**IMAGE, **dict.fromkeys(("expanded_prompt", "read_as", "unknown_words"), tf.string)}
OPTIONS = {"temperature": tf.float32, "expand": tf.bool, "refine": tf.bool}
FINEST = {"candidates": tf.int64, "scale": tf.int64}
OTHER = {"to_prompt": tf.string, "to_seed": tf.int64, "share": tf.float32}
SIGNATURES = {
    ("text_to_image", "serving_default"): (PROMPT, DRAWN),
    ("text_to_image", "draw"): ({**PROMPT, **OPTIONS, **FINEST}, DRAWN),
    ("text_to_image", "options"): ({**PROMPT, **OPTIONS}, DRAWN),
    ("text_to_image", "candidates"): ({**PROMPT, **OPTIONS, "candidates": tf.int64}, DRAWN),
    ("text_to_image", "scaled"): ({**PROMPT, **OPTIONS, **FINEST}, DRAWN),
    ("text_to_image", "blend"): ({**PROMPT, **OPTIONS, **FINEST, **OTHER}, DRAWN),
    ("text_to_image", "facts"): ({"language": tf.string}, {"prompts": tf.string, "picture_size": tf.int64}),
    ("language_model", "serving_default"): ({**PROMPT, "temperature": tf.float32}, {"text": tf.string}),
    ("language_model", "continue_by"): (
        {**PROMPT, "temperature": tf.float32, "length": tf.int32},
        {"text": tf.string},
    ),
    ("language_model", "embed"): ({"caption": tf.string}, {"embedding": tf.float32}),
    ("generator", "serving_default"): ({"caption": tf.string, **SEED}, IMAGE),
    ("restorer", "serving_default"): (DAMAGED, IMAGE),
    ("restorer", "sharpen"): ({**DAMAGED, "blur_sigma": tf.float32}, IMAGE),
    ("restorer", "inpaint"): ({**DAMAGED, "mask_bytes": tf.string}, IMAGE),
    ("restorer", "enlarge"): (IMAGE, IMAGE),
}
MODELS = sorted({model for model, _ in SIGNATURES})


@pytest.fixture(scope="session")
def load(exported: Callable[[str], Path]) -> Callable[[str], Any]:
    return cache(lambda model: tf.saved_model.load(str(exported(model))))


@pytest.fixture(scope="session")
def serve(load: Callable[[str], Any]) -> Serve:
    def call(model: str, signature: str, **inputs: Any) -> dict[str, NDArray[Any]]:
        dtypes, _ = SIGNATURES[model, signature]
        tensors = {name: tf.constant(value, dtypes[name]) for name, value in inputs.items()}
        outputs = load(model).signatures[signature](**tensors)
        return {name: output.numpy() for name, output in outputs.items()}

    return call


@pytest.fixture(scope="session")
def executed(exported: Callable[[str], Path]) -> Callable[..., Counter[str]]:
    """How often TensorFlow runs each kind of operation to draw two prompts."""
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session()
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(exported("text_to_image")))
    traced = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)

    def run(signature: str, **options: list[Any]) -> Counter[str]:
        inputs, metadata = {"prompt": PROMPTS[:2], "seed": [1, 2]} | options, tf.compat.v1.RunMetadata()
        names = loaded.signature_def[signature]
        fed = {names.inputs[name].name: rows for name, rows in inputs.items()}
        session.run([output.name for output in names.outputs.values()], fed, options=traced, run_metadata=metadata)
        labels = [node.timeline_label for device in metadata.step_stats.dev_stats for node in device.node_stats]
        return Counter(kind for label in labels for kind in re.findall(r" = (\w+)\(", label))

    return run


def convolutions(counts: Counter[str]) -> int:
    return sum(count for kind, count in counts.items() if "Conv2D" in kind)


def png(picture: NDArray[np.uint8]) -> bytes:
    return tf.io.encode_png(picture).numpy()


def decoded(encoded: bytes) -> NDArray[np.uint8]:
    assert encoded.startswith(b"\x89PNG")
    return tf.io.decode_png(encoded).numpy()


def test_the_table_of_signatures_is_complete(load: Callable[[str], Any]) -> None:
    served = {(model, signature) for model in MODELS for signature in load(model).signatures}
    assert served == set(SIGNATURES)


@pytest.mark.parametrize(("model", "signature"), SIGNATURES)
def test_a_signature_takes_and_gives_what_the_table_says(
    load: Callable[[str], Any], model: str, signature: str
) -> None:
    function = load(model).signatures[signature]
    inputs, outputs = SIGNATURES[model, signature]
    _, taken = function.structured_input_signature
    assert {name: (spec.dtype, spec.shape.as_list()) for name, spec in taken.items()} == {
        name: (dtype, [None]) for name, dtype in inputs.items()
    }
    assert {name: spec.dtype for name, spec in function.structured_outputs.items()} == outputs
    ranks = {name: spec.shape.rank for name, spec in function.structured_outputs.items()}
    assert ranks == {name: 2 if name in ("embedding", "prompts") else 1 for name in outputs}


@pytest.mark.parametrize("model", MODELS)
def test_no_signature_needs_xla(exported: Callable[[str], Path], model: str) -> None:
    saved = saved_model_pb2.SavedModel.FromString((exported(model) / "saved_model.pb").read_bytes())
    functions = [function for graph in saved.meta_graphs for function in graph.graph_def.library.function]
    assert len(functions) >= 2
    assert not [function.signature.name for function in functions if function.attr["_XlaMustCompile"].b]


@pytest.mark.parametrize(("model", "part_of"), [("restorer", "restorer"), ("language_model", "language_model")])
def test_a_served_model_holds_its_weights_once(
    exported: Callable[[str], Path], request: pytest.FixtureRequest, model: str, part_of: str
) -> None:
    """The bytes of a weight that no other one shares, in all files; the baseline of perplexity is not served."""
    weights = {each.path: each.numpy() for each in request.getfixturevalue(part_of).variables}
    files = [file.read_bytes() for file in exported(model).rglob("*") if file.is_file()]
    found = {
        path: sum(content.count(weight.tobytes()) for content in files)
        for path, weight in weights.items()
        if weight.size > 20
    }
    assert len(found) > 3
    assert all(count == ("unigram" not in path) for path, count in found.items())


def test_a_large_weight_is_a_variable_and_draws_the_same(
    text_to_image: TextToImage, exported: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.export.LARGEST_CONSTANT", 4096)
    export_text_to_image(text_to_image, tmp_path)
    inputs = {"prompt": np.array(PROMPTS[:2], object), "seed": np.array([1, 2])}
    ways = [
        Servable("text_to_image", 1, folder).run("serving_default", inputs)
        for folder in (tmp_path, exported("text_to_image"))
    ]
    assert (tmp_path / "saved_model.pb").stat().st_size < (exported("text_to_image") / "saved_model.pb").stat().st_size
    assert [each["image_bytes"].tolist() for each in ways[:1]] == [ways[1]["image_bytes"].tolist()]


def test_signatures_that_draw_share_one_graph(exported: Callable[[str], Path]) -> None:
    """A server optimizes a graph for each set of tensors that it runs, which takes seconds."""
    (meta,) = saved_model_pb2.SavedModel.FromString(
        (exported("text_to_image") / "saved_model.pb").read_bytes()
    ).meta_graphs
    drawing = [each for name, each in meta.signature_def.items() if "prompt" in each.inputs]
    assert len(drawing) == 6
    assert len({tuple(sorted(info.name for info in each.outputs.values())) for each in drawing}) == 1
    assert len({each.inputs["prompt"].name for each in drawing}) == 1


def test_language_model_serves_what_it_generates(serve: Serve, language_model: LanguageModel) -> None:
    seeds, temperatures = list(range(len(PROMPTS))), [0.0, 0.5, 1.0, 1.5] * 2
    (texts,) = serve("language_model", "serving_default", prompt=PROMPTS, seed=seeds, temperature=temperatures).values()
    for text, prompt, seed, temperature in zip(texts, PROMPTS, seeds, temperatures, strict=True):
        assert text.decode() == language_model.generate(prompt, seed=seed, temperature=temperature)


def test_growing_lengths_show_a_caption_as_it_is_written(serve: Serve, language_model: LanguageModel) -> None:
    seeds, lengths = [3] * 8, list(range(8))
    inputs = {"prompt": ["a red"] * 8, "seed": seeds, "temperature": [0.5] * 8, "length": lengths}
    texts = [text.decode() for text in serve("language_model", "continue_by", **inputs)["text"]]
    assert texts[0] == "a red" and len(texts[-1]) > len(texts[0])
    assert all(longer.startswith(text) for text, longer in pairwise(texts))
    assert language_model.generate("a red", seed=3, temperature=0.5).startswith(texts[-1])


def test_language_model_serves_its_embeddings(serve: Serve, language_model: LanguageModel) -> None:
    embeddings = serve("language_model", "embed", caption=PROMPTS)["embedding"]
    np.testing.assert_allclose(embeddings, language_model.embed(PROMPTS), atol=1e-6)


def test_generator_serves_what_it_draws(serve: Serve, text_to_image: TextToImage) -> None:
    seeds = list(range(len(PROMPTS)))
    encoded = serve("generator", "serving_default", caption=PROMPTS, seed=seeds)["image_bytes"]
    drawn = text_to_image.generator.generate(PROMPTS, seed=seeds).astype(int)
    assert abs(np.stack([decoded(row) for row in encoded]) - drawn).max() <= 1


def test_text_to_image_serves_what_it_draws(serve: Serve, text_to_image: TextToImage) -> None:
    seeds = list(range(len(PROMPTS)))
    served = serve("text_to_image", "serving_default", prompt=PROMPTS, seed=seeds)
    drawn = np.stack([decoded(row) for row in served["image_bytes"]])
    assert drawn.shape == (len(PROMPTS), SIZE, SIZE, 3)
    assert abs(text_to_image.generate(PROMPTS, seed=seeds).astype(int) - drawn).max() <= 1
    continued = text_to_image.generator.language_model.generate(PROMPTS, seed=seeds)
    told = zip(PROMPTS, served["unknown_words"], continued, strict=True)
    expected = [prompt if unknown else text for prompt, unknown, text in told]
    assert [caption.decode() for caption in served["expanded_prompt"]] == expected


def test_every_signature_of_text_to_image_tells_corrections_and_unknown_words(serve: Serve) -> None:
    row = {"temperature": 0.5, "expand": True, "refine": True, "candidates": 1, "scale": 1}
    row |= {"to_prompt": "a red circle", "to_seed": 1, "share": 0.4}
    for (model, signature), (inputs, outputs) in SIGNATURES.items():
        if model == "text_to_image" and "unknown_words" in outputs:
            asked = {name: [value] * 2 for name, value in row.items() if name in inputs}
            told = serve(model, signature, prompt=["A  red zorb", "a red cirlce"], seed=[1, 2], **asked)
            assert told["unknown_words"].tolist() == [b"zorb", b""]
            assert told["read_as"].tolist() == [b"", b"a red circle"]
            assert told["expanded_prompt"][1].startswith(b"a red circle")


def test_a_corrected_prompt_is_drawn_as_if_it_had_been_typed_right(serve: Serve) -> None:
    drawn = serve("text_to_image", "serving_default", prompt=["a red cirlce", "a red circle"], seed=[1, 1])
    assert drawn["image_bytes"][0] == drawn["image_bytes"][1]
    how = {"prompt": ["a red cirlce", "a red circle"], "seed": [1, 1], "temperature": [0.5, 0.5]}
    texts = serve("language_model", "serving_default", **how)["text"]
    assert texts[0] == texts[1]


def test_facts_tell_prompts_by_language_and_the_size_of_pictures(serve: Serve) -> None:
    told = serve("text_to_image", "facts", language=["zh", "en", "fr"])
    prompts = [[prompt.decode() for prompt in row] for row in told["prompts"]]
    assert prompts == [[*TO_TRY["zh"], ""], TO_TRY["en"], ["", ""]]
    assert told["picture_size"].tolist() == [SIZE] * 3


def test_a_model_without_prompts_tells_none(text_to_image: TextToImage, tmp_path: Path) -> None:
    export_text_to_image(text_to_image, tmp_path)
    told = tf.saved_model.load(str(tmp_path)).signatures["facts"](language=tf.constant(["en"]))
    assert (told["prompts"].shape, told["picture_size"].numpy().tolist()) == ((1, 0), [SIZE])


def test_options_go_by_row(serve: Serve, text_to_image: TextToImage) -> None:
    options = {"temperature": [0.0, 0.5, 1.0, 0.7], "expand": [False, False, True, True], "refine": [False, True] * 2}
    served = serve("text_to_image", "options", prompt=["A  red"] * 4, seed=[7] * 4, **options)
    captions = served["expanded_prompt"]
    assert captions[:2].tolist() == [b"A  red"] * 2
    assert all(caption.startswith(b"A  red") and len(caption) > 6 for caption in captions[2:])
    for row in range(4):
        chosen = {name: values[row] for name, values in options.items()}
        alone = text_to_image.generate("A  red", seed=7, **chosen).astype(int)
        assert abs(alone - decoded(served["image_bytes"][row])).max() <= 1


def test_a_server_fills_in_what_a_request_to_draw_leaves_out(exported: Callable[[str], Path], serve: Serve) -> None:
    servable = Servable("text_to_image", 1, exported("text_to_image"), warmups=0)
    request, row = predict_pb2.PredictRequest(), {"prompt": ["a red", "红"], "seed": [1, 2]}
    request.model_spec.signature_name = "draw"
    for name, values in (row | {"expand": [False, True]}).items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(values, SIGNATURES["text_to_image", "draw"][0][name]))
    answer = servable.answer(request).outputs
    plain = {"temperature": [0.3] * 2, "expand": [False, True], "refine": [True] * 2}
    expected = serve("text_to_image", "options", **row, **plain)
    assert list(answer["expanded_prompt"].string_val) == expected["expanded_prompt"].tolist()
    for drawn, wanted in zip(answer["image_bytes"].string_val, expected["image_bytes"], strict=True):
        assert abs(decoded(drawn).astype(int) - decoded(wanted)).max() <= 1


def test_candidates_go_by_row(serve: Serve, text_to_image: TextToImage) -> None:
    plain = {"temperature": [0.5] * 3, "expand": [True] * 3, "refine": [True] * 3}
    asked = {"prompt": ["a", "红", "a red"], "seed": [1, 2, 3], **plain}
    served = serve("text_to_image", "candidates", **asked, candidates=[1, 7, 3])["image_bytes"]
    for row, candidates in enumerate([1, 7, 3]):
        prompt, seed = asked["prompt"][row], asked["seed"][row]
        alone = text_to_image.generate(prompt, seed=seed, temperature=0.5, candidates=candidates).astype(int)
        assert abs(alone - decoded(served[row])).max() <= 1


@pytest.mark.parametrize("signature", ["draw", "scaled"])
def test_scales_go_by_row(serve: Serve, text_to_image: TextToImage, signature: str) -> None:
    plain = {"temperature": [0.5] * 3, "expand": [True] * 3, "refine": [True, False, True], "candidates": [1, 1, 3]}
    asked = {"prompt": ["a", "红", "a red"], "seed": [1, 2, 3], **plain, "scale": [1, 3, 2]}
    served = serve("text_to_image", signature, **asked)["image_bytes"]
    for row in range(3):
        how = {name.replace("prompt", "prompts"): values[row] for name, values in asked.items()}
        alone = text_to_image.generate(**how).astype(int)
        assert alone.shape == (asked["scale"][row] * SIZE,) * 2 + (3,)
        assert abs(alone - decoded(served[row])).max() <= 1


def test_a_blend_leads_from_one_picture_to_the_other(serve: Serve) -> None:
    plain = {"temperature": [0.5] * 3, "expand": [True] * 3, "refine": [True] * 3, "candidates": [1, 3, 1]}
    first, last = (
        {"prompt": ["a red", "红", "a"], "seed": [1, 2, 3]},
        {"prompt": ["a blue", "红", "a zorb"], "seed": [4, 5, 3]},
    )
    how = {**plain, "scale": [2, 1, 1]}
    other = {f"to_{name}": values for name, values in last.items()}
    blends = {
        share: serve("text_to_image", "blend", **first, **how, **other, share=[share] * 3) for share in (0, 0.4, 0.6, 1)
    }
    for share, end in ((0, first), (1, last)):
        alone = serve("text_to_image", "scaled", **end, **how)
        assert blends[share]["expanded_prompt"].tolist() == alone["expanded_prompt"].tolist()
        for drawn, expected in zip(blends[share]["image_bytes"], alone["image_bytes"], strict=True):
            assert abs(decoded(drawn).astype(int) - decoded(expected)).max() <= 1
    assert blends[0.4]["expanded_prompt"].tolist() == blends[0]["expanded_prompt"].tolist()
    assert blends[0.6]["expanded_prompt"].tolist() == blends[1]["expanded_prompt"].tolist()
    assert blends[0.4]["unknown_words"].tolist() == [b"", b"", b"zorb"]
    steps = [decoded(blends[share]["image_bytes"][0]).astype(int) for share in (0, 0.4, 0.6, 1)]
    nearer, further = abs(steps[1] - steps[0]).mean(), abs(steps[2] - steps[0]).mean()
    assert 0 < nearer < further


@pytest.mark.parametrize("scale", [SCALE.least - 1, SCALE.most + 1])
def test_scales_out_of_range_are_refused(serve: Serve, scale: int) -> None:
    asked = {"prompt": ["a"], "seed": [1], "temperature": [0.5], "expand": [True], "refine": [True], "candidates": [1]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{SCALE.rule}, not"):
        serve("text_to_image", "scaled", **asked, scale=[scale])


@pytest.mark.parametrize("candidates", [CANDIDATES.least - 1, -1, CANDIDATES.most + 1])
def test_candidates_out_of_range_are_refused(serve: Serve, candidates: int) -> None:
    asked = {"prompt": ["a"], "seed": [1], "temperature": [0.5], "expand": [True], "refine": [True]}
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{CANDIDATES.rule}, not"):
        serve("text_to_image", "candidates", **asked, candidates=[candidates])


def test_restorer_serves_pictures_of_several_sizes_together(serve: Serve, restorer: Restorer) -> None:
    damaged = [pictures(1, 16)[0], pictures(1, 33)[0][:21], pictures(1, 9)[0]]
    inputs = {"image_bytes": [png(picture) for picture in damaged], "noise_sigma": [10.0, -1.0, 0.0]}
    served = serve("restorer", "serving_default", **inputs)["image_bytes"]
    for row, picture, sigma in zip(served, damaged, inputs["noise_sigma"], strict=True):
        restored = decoded(row)
        assert restored.shape == picture.shape
        assert abs(restorer.restore(picture, noise=sigma).astype(int) - restored).max() <= 1


def test_sharpen_hears_the_blur(serve: Serve, restorer: Restorer) -> None:
    (picture,) = pictures(1, 24)
    inputs = {"image_bytes": [png(picture)] * 2, "noise_sigma": [0.0, 0.0], "blur_sigma": [0.0, 1.5]}
    plain, sharp = (decoded(row) for row in serve("restorer", "sharpen", **inputs)["image_bytes"])
    assert abs(restorer.restore(picture, noise=0.0).astype(int) - plain).max() <= 1
    assert abs(restorer.restore(picture, noise=0.0, blur=1.5).astype(int) - sharp).max() <= 1
    assert not np.array_equal(plain, sharp)


def test_enlarge_doubles_pictures_of_several_sizes_together(serve: Serve, restorer: Restorer) -> None:
    small = [pictures(1, 16)[0], pictures(1, 33)[0][:21]]
    served = serve("restorer", "enlarge", image_bytes=[png(picture) for picture in small])["image_bytes"]
    for row, picture in zip(served, small, strict=True):
        large = decoded(row)
        assert large.shape == (2 * picture.shape[0], 2 * picture.shape[1], 3)
        assert abs(restorer.enlarge(picture).astype(int) - large).max() <= 1


def test_restorer_takes_grey_and_transparent_pictures_and_jpeg(serve: Serve) -> None:
    (picture,) = pictures(1)
    opaque = np.concatenate([picture, np.full((SIZE, SIZE, 1), 255, np.uint8)], axis=2)
    encoded = [png(picture[..., :1]), png(opaque), tf.io.encode_jpeg(picture).numpy(), png(picture)]
    served = serve("restorer", "serving_default", image_bytes=encoded, noise_sigma=[5.0] * 4)["image_bytes"]
    assert [decoded(row).shape for row in served] == [(SIZE, SIZE, 3)] * 4
    assert served[1] == served[3]


def test_inpaint_fills_the_white_part_of_the_mask(serve: Serve, restorer: Restorer) -> None:
    (picture,), mask = pictures(1), np.zeros((SIZE, SIZE, 1), np.uint8)
    mask[4:9, 3:12] = 255
    mask[0, 0] = 127
    inputs = {"image_bytes": [png(picture)], "mask_bytes": [png(mask)], "noise_sigma": [5.0]}
    (served,) = serve("restorer", "inpaint", **inputs)["image_bytes"]
    expected = restorer.restore(picture, mask=mask[..., 0] > 127, noise=5.0)
    assert abs(expected.astype(int) - decoded(served)).max() <= 1
    assert not np.array_equal(expected, restorer.restore(picture, noise=5.0))


@pytest.mark.parametrize("shape", [(SIZE, 8, 1), (1, 1, 1), (SIZE + 1, SIZE, 3)])
def test_a_mask_of_another_size_is_named(serve: Serve, shape: tuple[int, ...]) -> None:
    (picture,), mask = pictures(1), np.zeros(shape, np.uint8)
    message = "mask_bytes and image_bytes differ in size; the mask must be"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        serve("restorer", "inpaint", image_bytes=[png(picture)], mask_bytes=[png(mask)], noise_sigma=[5.0])


def test_a_picture_that_cannot_be_read_is_an_error(serve: Serve) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        serve("restorer", "serving_default", image_bytes=[b"no picture"], noise_sigma=[5.0])


@pytest.mark.parametrize(("signature", "more"), [("options", {}), ("draw", {}), ("draw", {"scale": [2, 2]})])
def test_what_is_not_asked_for_is_not_computed(
    executed: Callable[..., Counter[str]], signature: str, more: dict[str, Any]
) -> None:
    draw = partial(executed, signature, temperature=[0.5, 0.5], **more)
    both = draw(expand=[True, True], refine=[True, True])
    as_written = draw(expand=[False, False], refine=[True, True])
    unrefined = draw(expand=[True, True], refine=[False, False])
    assert both["BlockLSTM"] > as_written["BlockLSTM"] == 1  # To read the captions.
    assert convolutions(both) == convolutions(as_written)
    # These finer drawings have no noise, and the restorer's network is left out for them as well.
    assert (convolutions(both) > 0) == ("scale" not in more)
    assert convolutions(unrefined) == 0


def test_what_the_judges_call_stands_apart(restorer: Restorer, tmp_path: Path) -> None:
    def evaluate(examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"length": tf.strings.length(examples)}

    export_judged(restorer, [evaluate], tmp_path)
    signatures = tf.saved_model.load(str(tmp_path)).signatures
    # Keras also exports the first endpoint as the default.
    assert set(signatures) == {"evaluate", "serving_default"}
    assert signatures["evaluate"](examples=tf.constant([b"", b"abc"]))["length"].numpy().tolist() == [0, 3]
