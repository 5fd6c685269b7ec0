import asyncio
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from fake_models import TO_TRY
from odd_pictures import encoded, halves, profile, turned
from PIL import Image
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from typer.testing import CliRunner

from easel.cli import app
from models.options import OPTIONS
from serving import requests
from serving.client import AsyncClient, Client, ServingError
from serving.images import ImageLike, on_white, read_picture
from serving.local import LocalClient
from serving.process import ServerProcess
from serving.wire import serving_pb2


@pytest.fixture(scope="module", params=["server", "local"])
def client(request: pytest.FixtureRequest, server: ServerProcess, models: Path) -> Iterator[Client]:
    """A client of a server, and one that does without: the same calls with the same answers."""
    is_local = request.param == "local"
    with LocalClient(models) if is_local else Client(server.grpc_address, timeout=30.0) as client:
        yield client


def grey(level: int, mode: str = "RGB") -> Image.Image:
    return Image.new("L", (8, 8), level).convert(mode)


def left_half() -> Image.Image:
    """A mask, white at the left."""
    mask = Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 8))
    return mask


def level(image: Image.Image) -> set[int]:
    return set(np.asarray(image).ravel().tolist())


def test_import_needs_no_tensorflow() -> None:
    heavy = "{'tensorflow', 'keras', 'tfx', 'aiohttp', 'tensorflow_serving', 'numpy', 'PIL'}"
    code = f"import sys, serving.client, serving.process; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.strip() == "[]"


def test_generate_one(client: Client) -> None:
    (picture,) = client.generate("a red circle", seed=7)
    assert (picture.prompt, picture.seed) == ("a red circle", 7)
    assert picture.expanded_prompt == "a red circle on black"
    assert picture.image.size == (8, 8)
    assert picture.png.startswith(b"\x89PNG")
    assert picture._repr_png_() == picture.png


def test_generate_many(client: Client) -> None:
    pictures = client.generate(["a", "b", "c"], seed=[1, 2, 3])
    assert [(picture.prompt, picture.seed) for picture in pictures] == [("a", 1), ("b", 2), ("c", 3)]
    assert pictures[1] == client.generate("b", seed=2)[0]


def test_generate_broadcasts_prompt_and_seed(client: Client) -> None:
    assert [picture.seed for picture in client.generate(["a", "b"], seed=5)] == [5, 5]
    assert [picture.prompt for picture in client.generate("a", seed=range(3))] == ["a"] * 3
    assert [picture.seed for picture in client.generate("a", seed=np.array([1, 2]))] == [1, 2]


def test_generate_options(client: Client) -> None:
    captions = [
        client.generate("a", **options)[0].expanded_prompt
        for options in (
            {"temperature": 0.5},
            {"temperature": 0.5, "expand": False},
            {"expand": False, "refine": False},
            {"candidates": 4},
            {"candidates": 2, "expand": False},
        )
    ]
    assert captions == ["a at 0.5", "a", "a unrefined", "a at 0.3 of 4", "a of 2"]


def test_words_that_the_model_does_not_know_are_told(client: Client) -> None:
    known, unknown = client.generate(["a red circle", "a zorb on a zörb"], scale=2)
    assert (known.unknown_words, unknown.unknown_words) == ((), ("zorb", "zörb"))
    (twice,) = client.generate("a zorb beside a zorb")
    assert twice.unknown_words == ("zorb",)


def test_a_corrected_prompt_is_told(client: Client) -> None:
    right, corrected = client.generate(["a cat", "a kat"], refine=False)
    assert (right.read_as, corrected.read_as, corrected.prompt) == ("", "a cat", "a kat")


def test_the_command_line_names_unknown_words_and_corrections(server: ServerProcess, tmp_path: Path) -> None:
    options = ["-n", "2", "-o", str(tmp_path / "a.png"), "--server", server.grpc_address]
    command = ["generate", "a zorb and a zoo", *options]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and "Unknown words: zorb, zoo.\n" in done.stdout
    told = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert (told["unknown_words"], told["read_as"]) == (["zorb", "zoo"], "")
    done = CliRunner().invoke(app, ["generate", "a kat", *options])
    assert "Read as 'a cat'.\n" in done.stdout
    done = CliRunner().invoke(app, ["generate", "a star", *options])
    assert "Unknown words" not in done.stdout and "Read as" not in done.stdout


def test_a_model_tells_its_size_and_prompts_to_try(client: Client) -> None:
    facts = client.facts()
    assert facts.picture_size == 8
    assert facts.prompts == {language: tuple(prompts) for language, prompts in TO_TRY.items()}
    with pytest.raises(ServingError, match="canary"):
        client.facts(label="canary")


def test_a_model_of_an_earlier_release_tells_neither_unknown_words_nor_corrections() -> None:
    answer = serving_pb2.PredictResponse()
    for name in ("image_bytes", "expanded_prompt"):
        answer.outputs[name].string_val.append(b"a zorb")
    (picture,) = requests.generate("a zorb", seed=0).read(answer)
    assert (picture.expanded_prompt, picture.unknown_words, picture.read_as) == ("a zorb", (), "")


def test_a_share_blends_with_another_seed_and_another_prompt(client: Client) -> None:
    def grey_of(prompt: str, **how: Any) -> int:
        (picture,) = client.generate(prompt, **how)
        return level(picture.image).pop()

    here, seed, prompt = grey_of("a", seed=1), grey_of("a", seed=2), grey_of("b", seed=1)
    assert grey_of("a", seed=1, to_seed=2, share=0.5) == pytest.approx((here + seed) / 2, abs=1)
    assert grey_of("a", seed=1, to_prompt="b", share=0.25) == pytest.approx(0.75 * here + 0.25 * prompt, abs=1)
    assert grey_of("a", seed=1, to_prompt="b", to_seed=2, share=1) == grey_of("b", seed=2)
    many = client.generate(["a", "b"], seed=[1, 2], scale=2, to_seed=2**64 - 1, share=0.75)
    assert [(picture.to_prompt, picture.to_seed, picture.share) for picture in many] == [(None, -1, 0.75)] * 2
    assert [level(picture.image).pop() for picture in many] == [
        grey_of("a", seed=1, to_prompt="a", to_seed=-1, share=0.75),
        grey_of("b", seed=2, to_prompt="b", to_seed=-1, share=0.75),
    ]
    (unmoved,) = client.generate("a", seed=1, to_prompt="b", share=0)
    assert (unmoved.to_prompt, unmoved.share) == (None, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [("share", -0.1), ("share", math.nan), ("temperature", -1), ("candidates", 0), ("scale", 9), ("to_seed", 2**64)],
)
def test_an_option_out_of_its_range_is_refused(client: Client, name: str, value: float) -> None:
    with pytest.raises(ServingError, match=rf"must be from \S+ to \S+, not {value}$") as caught:
        client.generate("a", **{"share": 0.5, name: value})
    assert caught.value.code == "INVALID_ARGUMENT"


def test_an_option_that_does_not_exist_is_named(client: Client) -> None:
    with pytest.raises(TypeError, match="a drawing has no option tempreature: choose from temperature, expand,"):
        client.generate("a", tempreature=0.5)


def test_none_stands_for_the_default(client: Client) -> None:
    assert client.generate("a", **dict.fromkeys(OPTIONS)) == client.generate("a")


def test_a_scale_makes_pictures_larger_and_changes_nothing_else(client: Client) -> None:
    (small,), (large,) = (client.generate("a", seed=3, candidates=2, scale=scale) for scale in (1, 3))
    assert (small.image.size, large.image.size) == ((8, 8), (24, 24))
    assert large.expanded_prompt == small.expanded_prompt and large.scale == 3


@pytest.mark.parametrize(("prompt", "seed"), [([], 0), (["a", "b"], [1, 2, 3]), ("a", [])])
def test_generate_refuses_what_does_not_fit(client: Client, prompt: str | list[str], seed: int | list[int]) -> None:
    with pytest.raises(ServingError, match="give one seed, or one for each prompt") as caught:
        client.generate(prompt, seed=seed)
    assert caught.value.code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("seed", [1.5, "42", None, [1, 2.0], np.float32(3)])
def test_a_seed_that_is_no_integer_is_refused(client: Client, seed: Any) -> None:
    with pytest.raises(TypeError, match="seed must be an integer, not "):
        client.generate("a", seed=seed)


def test_seeds_may_be_numpys_own(client: Client) -> None:
    assert client.generate("a", seed=np.int64(-1))[0].seed == client.generate("a", seed=np.uint64(2**64 - 1))[0].seed


@pytest.mark.parametrize(("seed", "following"), [(2**63 - 1, 1 - 2**63), (2**64 - 1, 1), (-(2**63), 2 - 2**63)])
def test_the_command_line_advises_a_seed_that_works(
    server: ServerProcess, tmp_path: Path, seed: int, following: int
) -> None:
    command = [Path(sys.executable).with_name("easel"), "generate", "a", "-n", "2", "-o", tmp_path / "a.png"]
    for each, last in ((seed, following), (following, None)):
        arguments = ["--server", server.grpc_address, "--seed", str(each)]
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert last is None or f"Another seed draws another picture: --seed {last}\n" in done.stdout


def test_the_command_line_refuses_a_seed_of_more_bits(server: ServerProcess) -> None:
    command = [Path(sys.executable).with_name("easel"), "generate", "a", "--server", server.grpc_address]
    done = subprocess.run([*command, "--seed", str(2**64)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "seed must be from -9223372036854775808 to 18446744073709551615, not 18446744073709551616" in done.stderr


def test_restore_takes_picture_bytes_and_path(client: Client, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    grey(100).save(buffer, "PNG")
    path = tmp_path / "grey.png"
    path.write_bytes(buffer.getvalue())
    for image in (grey(100), grey(100, "RGBA"), buffer.getvalue(), path, str(path)):
        assert level(client.restore(image, noise_sigma=20.0)) == {120}


def test_restore_estimates_the_noise_unless_told(client: Client) -> None:
    assert level(client.restore(grey(100))) == {99}


def test_restore_fills_the_mask(client: Client) -> None:
    assert level(client.restore(grey(100), mask=left_half(), noise_sigma=0.0)) == {100, 255}


GIVEN = {
    "turned": encoded(halves(), "JPEG", exif=turned(6), quality=95),
    "palette": encoded(halves("P"), "BMP"),
    "two tones": encoded(halves("1"), "BMP"),
    "16 bits": encoded(Image.fromarray(np.arange(256, dtype=np.uint16)[None].repeat(8, 0) * 257)),
    "key": encoded(halves(), transparency=(255, 0, 0)),
    "profile": encoded(halves(), icc_profile=profile()),
    "tiff": encoded(halves("CMYK"), "TIFF"),
}


@pytest.mark.parametrize("data", GIVEN.values(), ids=GIVEN)
def test_restore_and_enlarge_take_any_picture_however_it_is_given(client: Client, data: bytes, tmp_path: Path) -> None:
    (tmp_path / "given").write_bytes(data)
    expected = np.asarray(on_white(read_picture(data))).astype(int)
    for image in (data, tmp_path / "given", Image.open(io.BytesIO(data))):
        np.testing.assert_allclose(np.asarray(client.restore(image, noise_sigma=0.0)), expected, atol=4)
    np.testing.assert_allclose(np.asarray(client.enlarge(data))[::2, ::2], expected, atol=4)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "WEBP", "PNG"])
def test_masks_of_every_format_are_filled(client: Client, kind: str) -> None:
    mask = encoded(left_half(), kind, lossless=True)
    assert level(client.restore(grey(100), mask=mask, noise_sigma=0.0)) == {100, 255}


@pytest.mark.parametrize("beneath", ["white", "black"])
def test_a_transparent_mask_is_filled_where_it_is_so(client: Client, beneath: str) -> None:
    mask = Image.new("RGBA", (8, 8), beneath)
    mask.putalpha(255)
    mask.paste((0, 0, 0, 0), (0, 0, 4, 8))
    restored = client.restore(grey(100), mask=mask, noise_sigma=0.0)
    assert restored.getpixel((0, 0)) == (255, 255, 255) and restored.getpixel((7, 7)) == (100, 100, 100)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"image": b"no picture"}, "^image: The file holds text; only PNG, JPEG"),
        ({"image": encoded(halves())[:60]}, "^image: The picture cannot be decoded: "),
        ({"image": grey(100), "mask": b""}, "^mask: The file is empty; only PNG"),
        ({"image": grey(100), "mask": grey(0)}, "^mask: The mask has no hole: make it transparent or white"),
        ({"image": halves(), "mask": left_half()}, "^mask has 8x8 pixels, and image 16x8: make it so"),
    ],
)
def test_pictures_that_cannot_be_used_are_named(client: Client, given: dict[str, ImageLike], told: str) -> None:
    with pytest.raises(ServingError, match=told) as caught:
        client.restore(**given)
    assert caught.value.code == "INVALID_ARGUMENT"


def test_a_path_is_named_beside_what_is_wrong_with_its_picture(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("text")
    with pytest.raises(ServingError, match=r"^image .*/a\.png: The file holds text"):
        client.enlarge(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("text", "what"), [("https://example.org/a.png", "a URL"), ("data:image/png;base64,A", "a data URL")]
)
def test_a_url_is_no_path_to_a_picture(client: Client, text: str, what: str) -> None:
    with pytest.raises(ServingError, match=rf"^image is {what}: give the bytes of the picture, or its path$"):
        client.enlarge(text)


def test_restore_sharpens_a_blur(client: Client) -> None:
    assert level(client.restore(grey(100), noise_sigma=0.0, blur_sigma=0.5)) == {150}
    with pytest.raises(ValueError, match="mask and blur_sigma cannot be combined"):
        client.restore(grey(100), mask=grey(0), blur_sigma=0.5)


def test_enlarge_doubles_a_picture(client: Client) -> None:
    large = client.enlarge(grey(100))
    assert large.size == tuple(2 * side for side in grey(100).size) and level(large) == {100}


def test_continue_prompt(client: Client) -> None:
    assert client.continue_prompt("ﬁne art", seed=3, temperature=0.5) == "fine art 3 0.5"


def test_predict_any_signature(client: Client) -> None:
    embedding = client.predict("language_model", {"caption": np.array(["abc", "d"])}, signature="embed")["embedding"]
    np.testing.assert_array_equal(embedding, [[0, 3, 6, 9], [0, 1, 2, 3]])
    assert embedding.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float64", "float16", "int8", "int16", "int32", "int64", "uint8", "uint64", "bool"])
def test_predict_dtypes(client: Client, dtype: str) -> None:
    sent = np.array([[0, 1, 1]], dtype)
    signature = {"float16": "half"}.get(dtype, dtype)
    got = client.predict("echo", {"x": sent}, signature=signature)["y"]
    assert got.dtype == sent.dtype
    np.testing.assert_array_equal(got, sent)


def test_predict_keeps_every_byte(client: Client) -> None:
    sent = np.array([b"a\0\0", b"", b"\xff"], dtype=object)
    assert client.predict("echo", {"x": sent}, signature="string")["y"].tolist() == sent.tolist()


def test_predict_refuses_dtypes_that_cannot_be_sent(client: Client) -> None:
    with pytest.raises(TypeError, match="a tensor cannot hold complex64: convert it to one of"):
        client.predict("echo", {"x": np.zeros(1, np.complex64)})


def test_signatures(client: Client) -> None:
    signatures = client.signatures("text_to_image")
    assert set(signatures) == {"serving_default", "draw", "options", "candidates", "scaled", "blend", "facts"}
    assert signatures["serving_default"].inputs == {"prompt": ("string", (None,)), "seed": ("int64", (None,))}
    assert set(signatures["options"].outputs) == {"image_bytes", "expanded_prompt", "read_as", "unknown_words"}
    assert client.signatures("half_plus_two")["serving_default"].inputs == {"x": ("float", None)}


def test_status(client: Client) -> None:
    assert client.status("language_model") == [(1732000000, "AVAILABLE")]
    assert client.version_states("language_model") == [(1732000000, "AVAILABLE", "")]


def test_unknown_model(client: Client) -> None:
    for ask in (client.status, client.signatures, partial(client.predict, inputs={})):
        with pytest.raises(ServingError, match=r'does not serve "nope"|nope holds no version') as caught:
            ask("nope")
        assert caught.value.code == "NOT_FOUND"
        assert caught.value.__suppress_context__ or not caught.value.__context__


def test_unknown_signature(client: Client) -> None:
    with pytest.raises(ServingError, match='Serving signature key "nope" not found'):
        client.predict("echo", {}, signature="nope")


def test_no_server() -> None:
    message = r"no server answers at 127\.0\.0\.1:1: start one with `easel serve`"
    with Client("127.0.0.1:1") as client, pytest.raises(ServingError, match=message):
        client.generate("a")


def test_an_address_of_http_is_named_as_such(server: ServerProcess) -> None:
    for address, told in (
        (server.rest_address, f"{server.rest_address} speaks HTTP/1 and not gRPC: give the server's gRPC port"),
        (f"http://{server.grpc_address}", f"http://{server.grpc_address} is a URL: give host:port"),
    ):
        with Client(address, timeout=30.0) as client, pytest.raises(ServingError, match=told):
            client.generate("a")


def test_a_text_that_is_no_unicode_is_named(client: Client) -> None:
    told = r"the text 'a \\ud83d b' cannot be encoded as UTF-8: leave out '\\ud83d'"
    for ask in (client.generate, client.continue_prompt):
        with pytest.raises(ServingError, match=told) as caught:
            ask("a \ud83d b")
        assert caught.value.code == "INVALID_ARGUMENT"


def test_deadline(server: ServerProcess) -> None:
    message = "gave no answer within 0.05 s: give the client a longer timeout"
    with Client(server.grpc_address, timeout=0.05) as client, pytest.raises(ServingError, match=message):
        client.predict("half_plus_two", {"turns": np.array(1_000_000, np.int32)}, signature="slow")


def test_an_unknown_label_is_refused(client: Client) -> None:
    for ask in (client.generate, client.continue_prompt):
        with pytest.raises(ServingError, match=r"label.*nope") as caught:
            ask("a", label="nope")
        assert caught.value.code == "INVALID_ARGUMENT"


def test_a_version_that_there_is_not_is_refused(client: Client) -> None:
    with pytest.raises(ServingError) as caught:
        client.generate("a", version=7)
    assert caught.value.code == "NOT_FOUND"


def test_async_client_gives_the_same_answers(client: Client, server: ServerProcess) -> None:
    async def ask_all() -> tuple[object, ...]:
        async with AsyncClient(server.grpc_address, timeout=30.0) as asking:
            drawn = await asyncio.gather(*[asking.generate("a", seed=seed) for seed in range(3)])
            restored = await asking.restore(grey(100), noise_sigma=20.0)
            text = await asking.continue_prompt("a", seed=3, temperature=0.5)
            states = await asking.status("restorer"), set(await asking.signatures("restorer"))
            with pytest.raises(ServingError, match='does not serve "nope"'):
                await asking.predict("nope", {})
            return [pictures[0] for pictures in drawn], level(restored), text, states

    drawn, grey_level, text, states = asyncio.run(ask_all())
    assert drawn == client.generate("a", seed=range(3))
    assert (grey_level, text) == ({120}, "a 3 0.5")
    assert states == (client.status("restorer"), set(client.signatures("restorer")))


class Flaky(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Busy at first, and at last ready."""

    def __init__(self, failures: int) -> None:
        self.failures, self.calls = failures, 0

    def Predict(self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext) -> object:
        self.calls += 1
        if self.calls <= self.failures:
            context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
        return predict_pb2.PredictResponse()


@pytest.fixture
def flaky() -> Iterator[Callable[[int], tuple[Flaky, str]]]:
    servers = []

    def start(failures: int) -> tuple[Flaky, str]:
        service, made = Flaky(failures), grpc.server(ThreadPoolExecutor(2))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, made)
        port = made.add_insecure_port("127.0.0.1:0")
        made.start()
        servers.append(made)
        return service, f"127.0.0.1:{port}"

    yield start
    for made in servers:
        made.stop(None).wait()


def test_a_busy_server_is_asked_again(flaky: Callable[[int], tuple[Flaky, str]]) -> None:
    service, address = flaky(2)
    with Client(address) as client:
        assert client.predict("m", {}) == {}
    assert service.calls == 3


def test_but_not_for_ever(flaky: Callable[[int], tuple[Flaky, str]]) -> None:
    service, address = flaky(100)
    with Client(address) as client, pytest.raises(ServingError, match=r"too busy .* ask again later"):
        client.predict("m", {})
    assert service.calls == 5
