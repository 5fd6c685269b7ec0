"""The models of a bundle, without TensorFlow, beside the graph that is served."""

import io
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tiny_models import shake, tiny_generator, tiny_language_model, tiny_restorer
from typer.testing import CliRunner

pytest.importorskip("ai_edge_litert", reason="Install LiteRT: make install-dev")

from easel.cli import app
from models import spelling, text
from models.bundle import FACTS, FORMAT, export_bundle
from models.language_model import LanguageModel
from models.patterns import patterns
from models.pretrained import load_pretrained
from models.text_to_image import TextToImage
from models.vocabulary import RESERVED, character_vocabulary
from serving.bundle import facts
from serving.bundle.deep import restore_deep
from serving.bundle.drawing import Artist
from serving.bundle.facts import BundleError, Facts
from serving.bundle.randomness import normal, uniform
from serving.bundle.text import Tokenizer
from serving.client import Client, ServingError
from serving.local import LocalClient
from serving.noise import noise_sigma
from serving.tiles import TILE, tiled

REPOSITORY = Path(__file__).parents[2]
PROMPTS = (
    "a cat",
    "a cat under a tree at night",
    "a big dgo to the left of a red hosue",
    "一只可爱的猫咪",
    "雪地里有一只狗，天上有月亮",
    "",
    "Two birds above a boat on the sea",
    "an zxqwv beside the 🐠",
    "three mushrooms in the forest when it rains",
    "A Castle,  behind\ttrees",
)
SEEDS = (0, 1, -1, 7, 12345, 2**31, 2**40 + 3, -(2**63), 2**63 - 1, 99)
ODD_TEXTS = (
    *PROMPTS,
    "\N{COMBINING ACUTE ACCENT}e\N{COMBINING ACUTE ACCENT}",
    "ÀÉÎ İstanbul ΣΑΣ ǅ ﬁ",
    "\0a\u00adb\u200bc\ufeff\u2028d",
    "می\u200cخواهم हिन्दी 한국어 עברית",
    "a" * 45 + " " + "b" * 90,
    "word " * 60,
    "▁▁ house▁cat",
    "cat,dog.tree!house",
    "¼ x² № ㊙ 👨‍👩‍👧",
    "   ",
)


@pytest.fixture(scope="module")
def model() -> TextToImage:
    return load_pretrained()


@pytest.fixture(scope="module")
def bundle(model: TextToImage, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundle")
    export_bundle(model, out, version=3, prompts={"en": ["a cat", "a dog"], "zh": ["猫"]})
    return out


@pytest.fixture(scope="module")
def artist(bundle: Path) -> Artist:
    return Artist(bundle)


@pytest.fixture(scope="module")
def client(bundle: Path) -> Client:
    return LocalClient(bundle)


def pixels(picture: Image.Image) -> NDArray[np.int16]:
    return np.asarray(picture.convert("RGB")).astype(np.int16)


def most_apart(one: NDArray[Any], other: NDArray[Any]) -> int:
    return int(np.abs(one.astype(np.int16) - other.astype(np.int16)).max())


# ---- the same pictures -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_200_prompts_and_seeds_give_the_pictures_of_the_graph(model: TextToImage, artist: Artist) -> None:
    prompts = [prompt for prompt in PROMPTS for _ in range(20)]
    seeds = [seed + turn for turn in range(20) for seed in SEEDS if abs(seed) < 2**62][: len(prompts)]
    seeds = [seeds[number % len(seeds)] for number in range(len(prompts))]
    expected = model.generate(prompts, seed=seeds)
    drawn = [artist.draw(prompt, seed=seed).picture for prompt, seed in zip(prompts, seeds, strict=True)]
    assert len({picture.tobytes() for picture in drawn}) > 150
    apart = [most_apart(*pair) for pair in zip(drawn, expected, strict=True)]
    assert max(apart) <= 1, [prompts[at] for at, worst in enumerate(apart) if worst > 1]


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"expand": False, "refine": False},
        {"temperature": 0.0},
        {"temperature": 1.5},
        {"candidates": 4},
        {"scale": 2},
        {"scale": 4, "refine": False},
    ],
    ids=str,
)
def test_every_option_gives_the_picture_of_the_graph(
    model: TextToImage, artist: Artist, options: dict[str, Any]
) -> None:
    for prompt, seed in zip(PROMPTS[:4], SEEDS[5:9], strict=True):
        expected = model.generate(prompt, seed=seed, **options)
        assert most_apart(artist.draw(prompt, seed=seed, **options).picture, expected) <= 1


def test_between_two_prompts_lies_the_picture_of_the_graph(model: TextToImage, artist: Artist) -> None:
    reader = model.generator.language_model
    ends, shares = tf.constant(["a red house", "a boat on the sea"]), tf.constant([0.3])
    embeddings = tf.split(reader.embed_texts(ends), 2)
    seeds = [tf.constant([seed], tf.int64) for seed in (5, 6)]
    expected = model.draw_between(embeddings[0], seeds[0], embeddings[1], seeds[1], shares, tf.constant([True]))
    drawn = artist.draw("a red house", seed=5, expand=False, to_prompt="a boat on the sea", to_seed=6, share=0.3)
    assert most_apart(drawn.picture, expected[0].numpy()) <= 1
    assert drawn.caption == "a red house"


def test_captions_are_those_of_the_graph(model: TextToImage, artist: Artist) -> None:
    language_model = model.generator.language_model
    texts = [text for text in ODD_TEXTS if text.strip()]
    seeds = list(range(len(texts)))
    for length in (None, 0, 3):
        expected = language_model.generate(texts, seed=seeds, temperature=0.7, length=length)
        written = [
            artist.language_model.continue_text(text, seed, 0.7, length)
            for text, seed in zip(texts, seeds, strict=True)
        ]
        assert written == expected


def test_embeddings_are_those_of_the_graph(model: TextToImage, artist: Artist) -> None:
    expected = model.generator.language_model.embed(list(ODD_TEXTS))
    read = np.concatenate([artist.language_model.embed(text) for text in ODD_TEXTS])
    np.testing.assert_allclose(read, expected, atol=1e-4)


@pytest.mark.slow
def test_a_function_of_the_plane_and_two_layers_of_lstm_are_bundled_too(tmp_path: Path) -> None:
    reader = tiny_language_model(depth=2)
    shake(reader, 0.5)
    tiny = TextToImage(tiny_generator(reader), tiny_restorer())
    shake(tiny.restorer)
    export_bundle(tiny, tmp_path)
    artist = Artist(tmp_path)
    for prompt, scale in (("a red circle", 1), ("一个红色圆形", 2)):
        drawn = artist.draw(prompt, seed=3, scale=scale)
        assert drawn.caption == reader.generate(prompt, seed=3)
        assert most_apart(drawn.picture, tiny.generate(prompt, seed=3, scale=scale)) <= 1


def test_models_that_a_bundle_cannot_hold_are_refused(model: TextToImage, tmp_path: Path) -> None:
    exact = LanguageModel(character_vocabulary("abc"), exact=True)
    with pytest.raises(ValueError, match="The language model is exact"):
        export_bundle(TextToImage(tiny_generator(exact), model.restorer), tmp_path)
    drawer: Any = model.restorer
    with pytest.raises(TypeError, match="A Restorer is no DrawingModel"):
        export_bundle(TextToImage(drawer, model.restorer), tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- restoring -------------------------------------------------------------------------------------------------------


def damaged(height: int, width: int) -> NDArray[np.uint8]:
    random = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width]
    plain = np.stack([x * 255 // width, y * 255 // height, (x + y) % 256], axis=-1)
    return np.clip(plain + random.normal(0, 12, plain.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 50), (330, 90)])
@pytest.mark.parametrize(("noise", "blur"), [(None, 0.0), (10.0, 0.0), (0.0, 1.2)])
def test_pictures_of_any_size_are_restored_as_by_the_graph(
    model: TextToImage, artist: Artist, height: int, width: int, noise: float | None, blur: float
) -> None:
    picture = damaged(height, width)
    expected = model.restorer.restore(picture, noise=noise, blur=blur)
    restored = artist.restorer.restore(picture, None, -1.0 if noise is None else noise, blur)
    assert most_apart(restored, expected) <= 1
    assert most_apart(restored, picture) > 1


@pytest.mark.slow
def test_drawings_and_photographs_may_have_restorers_of_their_own(tmp_path: Path) -> None:
    reader = tiny_language_model()
    tiny = TextToImage(tiny_generator(reader), tiny_restorer())
    other = tiny_restorer((8, 8))
    for seed, each in enumerate((tiny.restorer, other)):
        shake(each, 0.1 + 0.1 * seed)
    export_bundle(tiny, tmp_path, restorer=other)
    artist, picture = Artist(tmp_path), damaged(40, 52)
    assert most_apart(artist.restorer.restore(picture, None, 10.0, 0.0), other.restore(picture, noise=10.0)) <= 1
    assert most_apart(artist.draw("a red circle", seed=3).picture, tiny.generate("a red circle", seed=3)) <= 1
    assert most_apart(other.restore(picture, noise=10.0), tiny.restorer.restore(picture, noise=10.0)) > 1


def test_holes_are_filled_as_by_the_graph(model: TextToImage, artist: Artist) -> None:
    picture = damaged(60, 80)
    mask = np.zeros((60, 80), bool)
    mask[10:30, 20:50] = True
    expected = model.restorer.restore(picture, mask, 0.0)
    assert most_apart(artist.restorer.restore(picture, mask, 0.0, 0.0), expected) <= 1


def test_pictures_are_enlarged_as_by_the_graph(model: TextToImage, artist: Artist) -> None:
    picture = damaged(40, 52)
    assert most_apart(artist.restorer.enlarge(picture), model.restorer.enlarge(picture)) <= 1


def test_tiles_through_a_client_make_the_whole(client: Client, artist: Artist) -> None:
    """Larger than a tile on both sides, so that each of four tiles is a request of its own."""
    picture = damaged(TILE + 41, TILE + 90)
    sigma = noise_sigma(picture)
    counts = []

    def restored(part: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(client.restore(Image.fromarray(part), noise_sigma=sigma))

    whole = tiled(restored, picture, advance=lambda done, total: counts.append((done, total)))
    assert counts == [(1, 4), (2, 4), (3, 4), (4, 4)]
    expected = artist.restorer.restore(picture, None, -1.0, 0.0)
    assert most_apart(whole, picture) > 10
    assert most_apart(whole, expected) <= 1


def grey(height: int, width: int, most: int) -> NDArray[np.uint16]:
    """A slope with noise, over a twentieth to all of 0..most."""
    x = np.linspace(0.05, 0.95, width)[None] + np.random.default_rng(2).normal(0, 0.04, (height, width))
    return np.rint(np.clip(x, 0, 1) * most).astype(np.uint16)


def test_greys_of_16_bits_without_noise_stay_as_they_are(artist: Artist) -> None:
    picture = grey(40, 52, 2**16 - 1)
    np.testing.assert_array_equal(restore_deep(artist.restorer, picture, 0.0, 0.0), picture)


def test_greys_of_16_bits_are_restored_as_those_of_8_bits(artist: Artist) -> None:
    picture = np.rint(np.clip(damaged(60, 48)[..., 0], 0, 255)).astype(np.uint8)
    low, high = np.percentile(picture, (0.1, 99.9))
    assert (low, high) == (0, 255) or high - low > 200
    deep = restore_deep(artist.restorer, picture.astype(np.uint16) * 257, 12.0 * 257, 0.0)
    stretched = np.clip((picture - low) * 255 / (high - low), 0, 255)
    planes = np.repeat(stretched[None, :, :, None], 3, axis=-1).astype(np.float32) / np.float32(127.5) - 1
    change = artist.restorer.repair(planes, None, 12.0 * 255 / (high - low), 0.0) - planes
    expected = picture * 257.0 + change[0].mean(axis=-1) * 127.5 * 257 * (high - low) / 255
    assert np.abs(deep - np.clip(expected, 0, 2**16 - 1)).max() <= 2
    assert np.abs(deep.astype(int) - picture.astype(int) * 257).max() > 257


def test_twelve_bits_lose_none_of_their_levels(artist: Artist) -> None:
    """What a satellite fills of 16 bits would be sixteen of 256 grey levels."""
    narrow = grey(64, 64, 2**12 - 1)
    sigma = noise_sigma(narrow)
    restored = restore_deep(artist.restorer, narrow, sigma, 0.0).astype(int)
    wide = restore_deep(artist.restorer, narrow * 16, sigma * 16, 0.0)
    assert np.abs(restored * 16 - wide).max() <= 16
    assert len(np.unique(restored)) > 1000


def test_the_command_line_keeps_16_bits_and_says_what_it_did(bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(grey(40, 52, 2**16 - 1)).save(tmp_path / "deep.png")
    arguments = ["restore", str(tmp_path / "deep.png"), "-o", str(tmp_path / "out.png")]
    done = CliRunner().invoke(app, [*arguments, "--local", "--root", str(bundle)])
    assert done.exit_code == 0, done.output
    assert re.search(
        r"52 x 40 pixels: reduced noise \(standard deviation [\d.e+]+ of 65,535 grey levels, estimated\)", done.stdout
    )
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == "I;16"
        assert len(np.unique(np.asarray(image))) > 256
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1 and "has greys of 16 bits, which are restored with --local" in refused.stderr


def test_the_command_line_says_which_noise_it_estimated(bundle: Path, tmp_path: Path) -> None:
    Image.fromarray(damaged(60, 80)).save(tmp_path / "in.png")
    arguments = ["restore", str(tmp_path / "in.png"), "-o", str(tmp_path / "out.png"), "--local", "--root", str(bundle)]
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout.splitlines()[-1])
    assert told["noise_sigma"] == pytest.approx(noise_sigma(damaged(60, 80))) and told["noise_estimated"]
    given = CliRunner().invoke(app, [*arguments, "--noise", "20", "--enlarge"])
    assert (
        "160 x 120 pixels: reduced noise (standard deviation 20 of 255 grey levels), doubled the size." in given.stdout
    )


# ---- the parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("stream", "size"), [(0, 1), (1, 72), (4, 6), (3, 1001)])
def test_random_numbers_are_those_of_tensorflow(seed: int, stream: int, size: int) -> None:
    pair = tf.constant([seed, stream], tf.int64)
    np.testing.assert_array_equal(uniform(seed, stream, size), tf.random.stateless_uniform([size], pair))
    np.testing.assert_allclose(normal(seed, stream, size), tf.random.stateless_normal([size], pair), atol=2e-6)


def both_tokenizers(model: TextToImage) -> tuple[text.Tokenizer, Tokenizer]:
    theirs = model.generator.language_model.tokenizer
    vocabulary = model.generator.language_model.vocabulary
    letters = "".join(spelling.latin_letters(vocabulary[len(RESERVED) :]))
    common = sorted(spelling.COMMON)
    return theirs, Tokenizer(
        {
            "vocabulary": vocabulary,
            "length": theirs.length,
            "letters": letters,
            "common": common,
            "patterns": patterns(),
        }
    )


def decoded(strings: tf.Tensor) -> list[str]:
    return [string.decode() for string in strings.numpy()]


def random_texts(count: int) -> Sequence[str]:
    """Letters, marks and signs of everywhere, and words with an error."""
    random = np.random.default_rng(3)
    code_points = np.concatenate([random.integers(32, 0x3000, (count, 6)), random.integers(0, 0x20000, (count, 3))], 1)
    texts = ["".join(chr(point) for point in row if not 0xD800 <= point < 0xE000) for row in code_points]
    words = ["house", "cat", "mushroom", "butterfly", "night", "behind"]
    for at in range(0, count, 2):
        word = list(random.choice(words))
        word.insert(int(random.integers(len(word))), chr(int(random.integers(97, 123))))
        if at % 4:
            del word[int(random.integers(len(word)))]
        texts[at] += " " + "".join(word)
    return texts


def test_texts_are_read_as_in_the_graph(model: TextToImage) -> None:
    theirs, ours = both_tokenizers(model)
    texts = [*ODD_TEXTS, *random_texts(400)]
    tensor = tf.constant(texts)
    assert [ours.normalise(each) for each in texts] == decoded(text.normalise(tensor))
    assert [ours.tokenize(each) for each in texts] == theirs.tokenize(tensor).numpy().tolist()
    assert [ours.tokenize_known(each) for each in texts] == theirs.tokenize_known(tensor).numpy().tolist()
    assert [ours.unknown(each) for each in texts] == decoded(theirs.unknown(tensor))
    corrected = [ours.correct(each) for each in texts]
    assert corrected == decoded(theirs.correct(tensor))
    assert sum(one != other for one, other in zip(corrected, texts, strict=True)) > 20


# ---- requests --------------------------------------------------------------------------------------------------------


def test_a_client_draws_from_a_bundle(client: Client, artist: Artist) -> None:
    first, second = client.generate("a big dgo and a zxqwv", seed=[3, 4], refine=False)
    assert (first.seed, first.version, first.unknown_words) == (3, 3, ("zxqwv",))
    assert first.read_as == "a big dog and a zxqwv"
    assert first.expanded_prompt.startswith(first.read_as)
    expected = artist.draw("a big dgo and a zxqwv", seed=4, refine=False).picture
    assert most_apart(pixels(second.image), expected) == 0


def test_a_client_asks_a_bundle_for_whatever_a_server_is_asked(client: Client, model: TextToImage) -> None:
    (between,) = client.generate("a cat", seed=1, to_prompt="a dog", share=0.75, scale=2)
    assert between.image.size == (128, 128)
    assert between.expanded_prompt.startswith("a dog")
    told = client.facts(languages=["en", "zh", "fr"])
    assert (told.picture_size, dict(told.prompts)) == (64, {"en": ("a cat", "a dog"), "zh": ("猫",), "fr": ()})
    assert client.continue_prompt("a cat", seed=2).startswith("a cat")
    (embedding,) = client.predict("language_model", {"caption": np.array(["a cat"])}, signature="embed")["embedding"]
    np.testing.assert_allclose(embedding, model.generator.language_model.embed("a cat"), atol=1e-4)
    picture = Image.fromarray(damaged(40, 48))
    mask = Image.new("L", (48, 40))
    mask.paste(255, (5, 5, 20, 20))
    restored = client.restore(picture, mask=mask)
    assert (restored.size, restored.info["model_version"]) == ((48, 40), 3)
    assert client.restore(picture, blur_sigma=1.0).size == (48, 40)
    assert client.enlarge(picture).size == (96, 80)
    assert client.status("restorer") == [(3, "AVAILABLE")]
    assert client.signatures("restorer")["inpaint"].inputs["mask_bytes"] == ("string", (None,))


@pytest.mark.parametrize(
    ("model_name", "signature", "inputs", "told"),
    [
        ("generator", "serving_default", {}, 'The bundle holds no "generator", but text_to_image'),
        ("restorer", "repaint", {}, "has no signature repaint: choose among serving_default, sharpen"),
        ("language_model", "embed", {"text": np.array(["a"])}, "there is no input text: give caption"),
        ("language_model", "embed", {}, "the input caption is missing"),
        (
            "text_to_image",
            "draw",
            {"prompt": np.array(["a"]), "seed": np.array([1]), "scale": np.array([9])},
            "scale must",
        ),
        ("restorer", "enlarge", {"image_bytes": np.array([b"no"], object)}, "image_bytes holds no picture"),
    ],
)
def test_a_wrong_request_is_refused_with_the_reason(
    client: Client, model_name: str, signature: str, inputs: dict[str, Any], told: str
) -> None:
    with pytest.raises(ServingError, match=told):
        client.predict(model_name, inputs, signature=signature)


def test_a_version_that_the_bundle_lacks_is_refused(client: Client) -> None:
    with pytest.raises(ServingError, match="The bundle holds version 3 and no 2"):
        client.generate("a cat", version=2)


def test_a_mask_of_another_size_is_refused(client: Client) -> None:
    def encoded(picture: Image.Image) -> bytes:
        out = io.BytesIO()
        picture.save(out, "PNG")
        return out.getvalue()

    inputs = {
        "image_bytes": np.array([encoded(Image.new("RGB", (16, 16)))], object),
        "mask_bytes": np.array([encoded(Image.new("L", (8, 8)))], object),
        "noise_sigma": np.array([0.0], np.float32),
    }
    with pytest.raises(ServingError, match="differ in size"):
        client.predict("restorer", inputs, signature="inpaint")


# ---- the folder ------------------------------------------------------------------------------------------------------


def test_the_writer_and_the_reader_agree_on_the_format() -> None:
    assert (facts.FACTS, facts.FORMAT) == (FACTS, FORMAT)


def test_a_folder_without_a_bundle_or_with_one_of_another_format_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="holds no bundle: write one with `easel export litert"):
        Facts.load(tmp_path)
    (tmp_path / FACTS).write_text(json.dumps({"format": FORMAT + 1}))
    with pytest.raises(BundleError, match=f"has format {FORMAT + 1}, and this release reads format {FORMAT}"):
        Facts.load(tmp_path)


def test_drawing_imports_neither_tensorflow_nor_keras(bundle: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from serving.local import LocalClient; "
        f"LocalClient(Path({str(bundle)!r})).generate('a cat'); "
        "print(sorted({'tensorflow', 'keras', 'tfx', 'jax'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
