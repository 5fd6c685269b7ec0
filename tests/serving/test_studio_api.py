"""The HTTP API as its clients see it: OpenAI's own, plain HTTP, and what its document promises."""

import asyncio
import base64
import io
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urljoin

import fake_models
import openai
import pytest
from aiohttp import ClientSession
from odd_pictures import encoded, halves, profile, turned
from PIL import Image, ImageChops

from serving.client import AsyncClient, Client, Credentials, ServingError
from serving.images import read_picture
from serving.process import ServerProcess
from serving.provenance import ProvenanceError, read
from serving.studio.kept import Kept

TOKEN = "correct horse"


@pytest.fixture(scope="session")
def openai_client(server: ServerProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.studio_url}/v1", api_key="any", max_retries=0, timeout=30) as client:
        yield client


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def grey(level: int = 100, side: int = 8) -> bytes:
    return png(Image.new("RGB", (side, side), (level, level, level)))


def left_half() -> bytes:
    """A mask whose hole is the left half, transparent over white."""
    mask = Image.new("RGBA", (8, 8), (0, 0, 0, 255))
    mask.paste((255, 255, 255, 0), (0, 0, 4, 8))
    return png(mask)


def decoded(b64_json: str | None) -> Image.Image:
    assert b64_json
    return Image.open(io.BytesIO(base64.b64decode(b64_json)))


def post(url: str, body: object, **headers: str) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): each for name, each in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=30) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def test_openai_draws(openai_client: openai.OpenAI, client: Client) -> None:
    images = openai_client.images.generate(prompt="a red circle", n=3, size="16x16", extra_body={"seed": 7, "scale": 2})
    assert images.data and len(images.data) == 3 and images.size == "16x16"
    ours = client.generate("a red circle", seed=[7, 8, 9], temperature=0.3, scale=2)
    for theirs, mine in zip(images.data, ours, strict=True):
        assert decoded(theirs.b64_json).tobytes() == mine.image.tobytes()
        assert theirs.revised_prompt == mine.expanded_prompt
    told = read(base64.b64decode(images.data[1].b64_json or "")).drawings[0]
    assert (told.prompt, told.seed) == ("a red circle", 8)


def test_openai_gets_another_picture_each_time_unless_it_says_which(openai_client: openai.OpenAI) -> None:
    seeds = {openai_client.images.generate(prompt="a").data[0].seed for _ in range(3)}
    assert len(seeds) == 3


@pytest.mark.parametrize(
    ("asked", "notes"),
    [
        (dict.fromkeys(("n", "size", "quality", "style", "model", "moderation", "response_format", "stream")), []),
        ({"quality": "auto", "background": "opaque", "output_format": "png", "user": "somebody"}, []),
        ({"style": "vivid", "quality": "hd"}, ["style was ignored", "quality was ignored"]),
        ({"moderation": "low", "output_compression": 80}, ["moderation was ignored", "output_compression was ignored"]),
        ({"background": "transparent", "output_format": "webp"}, ["background was ignored", "output_format was"]),
        ({"model": "dall-e-3"}, ["model dall-e-3 was ignored: text_to_image is the model here."]),
        ({"size": "1024x1024"}, ["size 1024x1024 was changed to 64x64, the nearest that this model draws."]),
        ({"size": "20 X 10"}, ["size 20 X 10 was changed to 16x16, the nearest that this model draws."]),
        ({"size": "24x24"}, []),
        ({"size": "16:9 or so"}, ["size 16:9 or so was changed to 16x16"]),
        ({"size": "large"}, ["size large was ignored: give auto, or WIDTHxHEIGHT such as 256x256."]),
        ({"size": "9x9", "extra_body": {"scale": 3}}, ["size 9x9 was changed to 24x24"]),
        ({"extra_body": {"guidance_scale": 7.5}}, ["guidance_scale was ignored: there is no such option here."]),
        ({"extra_body": {"temprature": 0.5}}, ["temprature was ignored", "did you mean temperature?"]),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_clients_send_by_default_is_taken(
    openai_client: openai.OpenAI, asked: dict[str, Any], notes: list[str]
) -> None:
    images = openai_client.images.generate(prompt="a", **asked)
    assert images.data and decoded(images.data[0].b64_json).mode == "RGB"
    told = images.model_extra["notes"] if images.model_extra else None
    assert told is not None and bool(told) == bool(notes)
    assert all(any(note in line for line in told) for note in notes)


def test_what_is_ignored_is_told_at_the_end_of_a_stream(openai_client: openai.OpenAI) -> None:
    *_, last = openai_client.images.generate(prompt="a", stream=True, model="gpt-image-1", size="16x16", n=None)
    assert last.size == "16x16" and last.notes == ["model gpt-image-1 was ignored: text_to_image is the model here."]


def test_openai_blends_two_pictures(openai_client: openai.OpenAI, client: Client) -> None:
    way = {"to_prompt": "a moon", "to_seed": 9, "share": 0.5}
    drawn = openai_client.images.generate(prompt="a star", n=2, extra_body={"seed": 7, **way}).data
    for picture, seed in zip(drawn or (), (7, 8), strict=True):
        (mine,) = client.generate("a star", seed=seed, temperature=0.3, **way)
        assert decoded(picture.b64_json).tobytes() == mine.image.tobytes()
        assert picture.revised_prompt == "a moon at 0.3"
    (event,) = openai_client.images.generate(prompt="a star", stream=True, extra_body={"seed": 7, **way})
    assert decoded(event.b64_json).tobytes() == decoded(drawn[0].b64_json).tobytes()
    with pytest.raises(openai.BadRequestError, match=r"share is 1\.5"):
        openai_client.images.generate(prompt="a star", extra_body={"share": 1.5})


def test_unknown_words_and_corrections_are_named(openai_client: openai.OpenAI) -> None:
    images = openai_client.images.generate(prompt="a zorb at a zoo", n=2)
    assert [picture.unknown_words for picture in images.data or ()] == [["zorb", "zoo"]] * 2
    *_, last = openai_client.images.generate(prompt="a zorb", stream=True)
    assert last.unknown_words == ["zorb"]
    right, corrected = (openai_client.images.generate(prompt=prompt).data[0] for prompt in ("a cat", "a kat"))
    assert (right.unknown_words, right.read_as, corrected.read_as) == ([], "", "a cat")


def test_a_url_gives_the_picture_to_whoever_has_it(openai_client: openai.OpenAI) -> None:
    drawn = openai_client.images.generate(prompt="a", n=2, response_format="url").data
    edited = openai_client.images.edit(image=grey(), prompt="", response_format="url").data
    assert drawn and edited
    for picture in (*drawn, *edited):
        assert picture.url
        with urllib.request.urlopen(picture.url, timeout=10) as response:
            assert response.headers["Content-Type"] == "image/png"
            assert response.read() == base64.b64decode(picture.b64_json or "")
    assert openai_client.images.generate(prompt="a").data[0].url is None
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{drawn[0].url}x", timeout=10)
    with caught.value as answer:
        assert answer.code == 404 and b"draw it again with the same seed" in answer.read()


def test_the_oldest_pictures_make_room_for_new_ones() -> None:
    kept = Kept(most_bytes=10)
    first, second, third = (kept.put(png) for png in (b"a" * 4, b"b" * 4, b"c" * 4))
    assert (kept.get(first), kept.get(second), kept.get(third)) == (None, b"bbbb", b"cccc")
    assert kept.get(kept.put(b"d" * 100)) == b"d" * 100


def test_seeds_of_other_tools_wrap_into_the_models_own(openai_client: openai.OpenAI, client: Client) -> None:
    for seed, own in ((2**64 - 1, [-1, 0]), (2**63 - 1, [2**63 - 1, -(2**63)]), (2**63, [-(2**63), 1 - 2**63])):
        images = openai_client.images.generate(prompt="a", n=2, extra_body={"seed": seed})
        assert [picture.seed for picture in images.data or ()] == own
        assert client.generate("a", seed=seed)[0].seed == own[0]
    assert client.continue_prompt("a", seed=2**64 - 1) == client.continue_prompt("a", seed=-1)
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(
            ServingError, match=f"seed must be from -9223372036854775808 to 18446744073709551615, not {seed}"
        ):
            client.generate("a", seed=seed)


def test_openai_restores(openai_client: openai.OpenAI) -> None:
    images = openai_client.images.edit(
        image=("grey.png", grey(), "image/png"),
        mask=("mask.png", left_half(), "image/png"),
        prompt="",
        extra_body={"noise_sigma": 20},
    )
    assert images.data
    restored = decoded(images.data[0].b64_json)
    assert restored.getpixel((0, 0)) == (255, 255, 255) and restored.getpixel((7, 7)) == (120, 120, 120)
    assert read(base64.b64decode(images.data[0].b64_json or "")).made == "restored"


def test_what_clients_send_with_an_edit_is_taken(openai_client: openai.OpenAI, server: ServerProcess) -> None:
    edited = openai_client.images.edit(
        image=[grey()],
        prompt="make it sharp",
        n=2,
        size="1024x1024",
        model="gpt-image-1",
        quality="high",
        input_fidelity="high",
        extra_body={"noise_sigma": "", "enlarge": "True", "label": "None", "strength": "0.5"},
    )
    assert edited.data and len(edited.data) == 1 and decoded(edited.data[0].b64_json).size == (16, 16)
    told = " ".join(edited.model_extra["notes"] if edited.model_extra else ())
    for name in ("n 2", "size 1024x1024", "model gpt-image-1", "quality", "input_fidelity", "strength"):
        assert f"{name} was ignored" in told
    with pytest.raises(openai.BadRequestError, match="mask is text: send the picture itself, as a file of the form"):
        openai_client.images.edit(image=grey(), prompt="", extra_body={"mask": base64.b64encode(grey()).decode()})


def test_a_transparent_picture_has_a_hole_and_enlarging_doubles(openai_client: openai.OpenAI) -> None:
    image = Image.new("RGBA", (8, 8), (100, 100, 100, 255))
    image.putpixel((2, 2), (0, 0, 0, 0))
    edited = openai_client.images.edit(
        image=("a.png", png(image)), prompt="", extra_body={"noise_sigma": 0, "enlarge": True}
    )
    restored = decoded(edited.data[0].b64_json)
    assert restored.size == (16, 16) and restored.getpixel((5, 5)) == (255, 255, 255)


EDITED = {
    "turned": encoded(halves(), "JPEG", exif=turned(6), quality=95),
    "palette": encoded(halves("P"), "BMP"),
    "16 bits": encoded(Image.linear_gradient("L").convert("I;16").point(lambda level: level * 256)),
    "profile": encoded(halves(), icc_profile=profile()),
    "tiff": encoded(halves(), "TIFF"),
}


@pytest.mark.parametrize("data", EDITED.values(), ids=EDITED)
def test_any_picture_is_edited(openai_client: openai.OpenAI, data: bytes) -> None:
    edited = openai_client.images.edit(image=("picture", data), prompt="", extra_body={"noise_sigma": 0})
    expected = read_picture(data)
    assert decoded(edited.data[0].b64_json).size == expected.size
    difference = ImageChops.difference(decoded(edited.data[0].b64_json).convert("RGB"), expected)
    assert max(high for _, high in difference.getextrema()) <= 4


def test_openai_watches_a_picture_come(openai_client: openai.OpenAI, client: Client) -> None:
    stream = openai_client.images.generate(
        prompt="a red circle", stream=True, partial_images=1, n=2, extra_body={"seed": 5}
    )
    events = list(stream)
    kinds = [event.type.removeprefix("image_generation.") for event in events]
    assert kinds == ["expansion", "partial_image", "completed"] * 2
    assert [event.text for event in events if event.type.endswith("expansion")] == [
        "a red circle 5 0.3",
        "a red circle 6 0.3",
    ]
    before, after = events[1], events[2]
    assert decoded(before.b64_json).tobytes() == decoded(after.b64_json).tobytes()
    assert after.seed == 5 and after.seconds > 0 and after.size == "8x8"
    assert after.revised_prompt == client.generate("a red circle", seed=5, temperature=0.3)[0].expanded_prompt
    assert read(base64.b64decode(before.b64_json)).drawings[0].refine is False


def test_openai_watches_a_restoration(openai_client: openai.OpenAI) -> None:
    stream = openai_client.images.edit(image=("a.png", grey()), prompt="", stream=True)
    (event,) = stream
    assert event.type == "image_edit.completed" and decoded(event.b64_json).size == (8, 8)


def test_one_field_leaves_provenance_out(openai_client: openai.OpenAI) -> None:
    images = openai_client.images.generate(prompt="a", extra_body={"provenance": False})
    with pytest.raises(ProvenanceError, match="has no provenance"):
        read(base64.b64decode(images.data[0].b64_json or ""))


def test_openai_lists_the_models(openai_client: openai.OpenAI) -> None:
    models = {model.id: model.created for model in openai_client.models.list()}
    assert models == {"text_to_image": 1, "restorer": 1, "language_model": 1732000000}
    assert openai_client.models.retrieve("restorer").created == 1
    drawing = openai_client.models.retrieve("text_to_image")
    assert (drawing.picture_size, drawing.prompts) == (8, fake_models.TO_TRY)
    with pytest.raises(
        openai.NotFoundError, match="gpt-4 is not served: choose from text_to_image, restorer, lang"
    ) as no:
        openai_client.models.retrieve("gpt-4")
    assert no.value.code == "model_not_found"


def test_a_route_that_is_none_names_those_that_are(openai_client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"POST /v1/chat/completions is not served here: /openapi\.json"):
        openai_client.chat.completions.create(model="a", messages=[])


@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/models/restorer", "/openapi.json", "/page/main.js"])
def test_a_head_is_a_get_without_a_body(server: ServerProcess, path: str) -> None:
    answers = []
    for method in ("GET", "HEAD"):
        request = urllib.request.Request(
            f"{server.studio_url}{path}", method=method, headers={"Sec-Fetch-Site": "cross-site"}
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            answers.append((response.status, response.headers["Content-Type"], response.headers["Content-Length"]))
            assert bool(response.read()) == (method == "GET")
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("asked", "status", "param", "message"),
    [
        ({"prompt": "a", "n": 65}, 400, "n", "n is 65"),
        ({"prompt": "a", "extra_body": {"seed": 2**64}}, 400, "seed", "less than or equal to 18446744073709551615"),
        ({"prompt": "a", "extra_body": {"temperature": -1}}, 400, "temperature", "greater than or equal to 0"),
        ({"prompt": "a", "stream": True, "n": 0}, 400, "n", "greater than or equal to 1"),
        ({"prompt": None}, 400, "prompt", "prompt is missing: send it."),
    ],
    ids=["count", "seed", "temperature", "stream", "prompt"],
)
def test_what_is_wrong_is_one_sentence(
    openai_client: openai.OpenAI, asked: dict[str, Any], status: int, param: str, message: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.images.generate(**asked)
    assert (caught.value.status_code, caught.value.param) == (status, param) and message in caught.value.message


def test_a_body_that_is_not_packed_as_it_says_is_refused(server: ServerProcess) -> None:
    code, answer = post(f"{server.studio_url}/v1/captions", {"prompt": "a"}, Content_Encoding="gzip")
    assert code == 400 and answer["error"]["message"].startswith("The body cannot be read: ")


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"null", "The body is JSON, but not an object"),
        ('{"prompt": "é"}'.encode("latin-1"), "The body is not JSON in UTF-8: encode it so."),
        (b"{", "The body is not JSON: "),
    ],
)
def test_a_body_that_is_no_object_is_one_sentence(server: ServerProcess, body: bytes, told: str) -> None:
    code, answer = post(f"{server.studio_url}/v1/images/generations", body)
    assert code == 400 and answer["error"]["message"].startswith(told)


def test_a_method_that_a_route_does_not_accept_comes_with_those_that_it_does(server: ServerProcess) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{server.studio_url}/v1/captions", timeout=10)
    with caught.value as answer:
        told = json.loads(answer.read())["error"]["message"]
    assert (answer.code, told) == (405, "/v1/captions does not accept GET: send POST.")


def test_forms_as_browsers_and_scripts_send_them(server: ServerProcess) -> None:
    def edit(*parts: tuple[str, bytes]) -> tuple[int, Any]:
        body = b"".join(
            b"--X\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (it.encode(), data) for it, data in parts
        )
        url = f"{server.studio_url}/v1/images/edits"
        return post(url, body + b"--X--\r\n", Content_Type="multipart/form-data; boundary=X")

    image = ('name="image"; filename="a.png"', grey())
    assert edit(image, ('name="mask"; filename=""', b""), ('name="prompt"', b""))[0] == 200
    code, answer = edit(('name="image"; filename=""', b""))
    assert code == 400 and answer["error"]["message"].startswith("image is missing")
    code, answer = edit(('name="image"', grey()))
    assert code == 400 and "send pictures as files, each with a file name" in answer["error"]["message"]


def test_pictures_that_are_none_are_refused(openai_client: openai.OpenAI, server: ServerProcess) -> None:
    for image, mask, message in [
        (b"text", None, "image: The file holds text"),
        (grey(), png(Image.linear_gradient("L").resize((9, 9))), "mask has 9x9 pixels, and image 8x8"),
        (grey(), b"text", "mask: The file holds text"),
        (grey(), grey(0), "mask: The mask has no hole: make it transparent or white"),
    ]:
        files = {"image": ("a", image), **({"mask": ("b", mask)} if mask else {})}
        with pytest.raises(openai.UnprocessableEntityError, match=message):
            openai_client.images.edit(prompt="", **files)
    with pytest.raises(openai.UnprocessableEntityError, match="fill first, then sharpen"):
        openai_client.images.edit(image=grey(), mask=left_half(), prompt="", extra_body={"blur_sigma": 1})
    assert post(f"{server.studio_url}/v1/images/edits", {})[0] == 415


def test_a_label_that_is_not_served_is_not_found(server: ServerProcess) -> None:
    code, answer = post(f"{server.studio_url}/v1/images/generations", {"prompt": "a", "label": "canary"})
    assert code in (404, 422) and "canary" in answer["error"]["message"]


def test_words_are_left_out_one_at_a_time(server: ServerProcess, client: Client) -> None:
    url = f"{server.studio_url}/v1/images/words"
    code, answer = post(url, {"caption": "red, it's 红圆!", "seed": 3})
    assert code == 200
    assert [(word["text"], word["start"]) for word in answer["words"]] == [
        ("red", 0),
        ("it's", 5),
        ("红", 10),
        ("圆", 11),
    ]
    whole, without = client.generate(["red, it's 红圆!", ", it's 红圆!"], seed=3, expand=False)
    change = abs(whole.image.getpixel((0, 0))[0] - without.image.getpixel((0, 0))[0])
    assert decoded(answer["words"][0]["b64_json"]).getpixel((0, 0)) == change
    assert answer["words"][0]["strength"] == pytest.approx(change / 255, abs=1e-5)
    code, answer = post(url, {"caption": "黑色背景", "seed": 3, "pieces": ["黑色", "背景"]})
    assert [word["text"] for word in answer["words"]] == ["黑色", "背景"]
    code, answer = post(url, {"caption": "黑色背景", "seed": 3, "pieces": ["黑色"]})
    assert code == 422 and answer["error"]["param"] == "pieces"


def test_a_prompt_is_completed(server: ServerProcess) -> None:
    code, answer = post(f"{server.studio_url}/v1/captions", {"prompt": "a", "seed": 3, "temperature": 0.5})
    assert (code, answer) == (200, {"caption": "a 3 0.5", "notes": []})


def test_other_sites_may_not_ask(server: ServerProcess) -> None:
    url = f"{server.studio_url}/v1/captions"
    assert post(url, {"prompt": "a"}, Sec_Fetch_Site="cross-site")[0] == 403
    assert post(url, {"prompt": "a"}, Host="evil.example")[0] == 403
    assert post(url, b"prompt=a", Content_Type="text/plain")[0] == 415


def test_the_page_loads_nothing_from_elsewhere(server: ServerProcess) -> None:
    with urllib.request.urlopen(server.studio_url, timeout=10) as response:
        assert response.headers["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' data: blob:")
    page = Path(__file__).parents[2] / "serving/studio/page"
    texts = {file.name: file.read_text() for file in page.iterdir() if file.suffix in (".html", ".css", ".js")}
    assert len(texts) >= 3
    linked = {name: text for name, text in texts.items() if "https://" in text or "http://" in text.replace(SVG, "")}
    assert linked == {}


SVG = "http://www.w3.org/2000/svg"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Tokens and small limits, and no language model."""
    root = tmp_path_factory.mktemp("models")
    fake_models.text_to_image(root / "text_to_image" / "1")
    fake_models.restorer(root / "restorer" / "1")
    tokens = tmp_path_factory.mktemp("files") / "tokens"
    tokens.write_text(TOKEN)
    limits = (
        "--enable_request_log",
        "--max_rows=4",
        "--max_text_bytes=100",
        "--max_picture_pixels=100",
        "--max_request_bytes=100000",
    )
    with ServerProcess(root, flags=["--studio_port=-1", f"--auth_tokens_file={tokens}", *limits]) as process:
        yield process


def test_the_studio_asks_for_the_servers_tokens(guarded: ServerProcess) -> None:
    url = f"{guarded.studio_url}/v1"
    with (
        openai.OpenAI(base_url=url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError, match="asks for a token"),
    ):
        stranger.images.generate(prompt="a")
    assert post(f"{url}/captions", {"prompt": "a"})[0] == 401
    with openai.OpenAI(base_url=url, api_key=TOKEN, max_retries=0) as known:
        assert known.images.generate(prompt="a").data
        assert {model.id for model in known.models.list()} == {"text_to_image", "restorer"}


def test_the_studio_keeps_the_servers_limits(guarded: ServerProcess) -> None:
    with openai.OpenAI(base_url=f"{guarded.studio_url}/v1", api_key=TOKEN, max_retries=0) as known:
        with pytest.raises(openai.UnprocessableEntityError, match="has 5 rows: at most 4"):
            known.images.generate(prompt="a", n=5)
        with pytest.raises(openai.UnprocessableEntityError, match="has 101 bytes: at most 100"):
            known.images.generate(prompt="x" * 101)
        with pytest.raises(openai.UnprocessableEntityError, match=r"image: .* 11 x 11 pixels, .* at most 0\.0001 are"):
            known.images.edit(image=grey(side=11), prompt="")
        with pytest.raises(openai.APIStatusError) as caught:
            known.images.edit(image=os.urandom(200_000), prompt="")
        assert caught.value.status_code == 413


def test_without_a_language_model_the_caption_comes_with_the_picture(guarded: ServerProcess) -> None:
    with openai.OpenAI(base_url=f"{guarded.studio_url}/v1", api_key=TOKEN, max_retries=0) as known:
        (event,) = known.images.generate(prompt="a", stream=True)
        assert event.type == "image_generation.completed" and event.revised_prompt == "a at 0.3"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert post(f"{guarded.studio_url}/v1/captions", {"prompt": "a"}, **headers)[1]["caption"] == "a at 0.3 unrefined"


def test_who_goes_away_ends_the_drawing(guarded: ServerProcess) -> None:
    def drawn() -> int:
        return sum(line.startswith("{") and "text_to_image" in line for line in guarded.log().splitlines())

    async def leave() -> None:
        async with ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
            body = {"prompt": "a", "n": 64, "seed": 0, "stream": True}
            async with session.post(f"{guarded.studio_url}/v1/images/generations", json=body) as response:
                await response.content.readline()

    before = drawn()
    asyncio.run(leave())
    time.sleep(0.5)
    settled = drawn()
    assert 0 < settled - before < 64
    time.sleep(0.5)
    assert drawn() == settled


def test_a_client_bears_another_token_over_the_same_connection(guarded: ServerProcess) -> None:
    async def ask() -> None:
        async with AsyncClient(guarded.grpc_address, credentials=Credentials(token="wrong")) as client:
            assert await client.with_token(TOKEN).generate("a")
            with pytest.raises(ServingError, match="asks for a token"):
                await client.generate("a")

    asyncio.run(ask())


@pytest.fixture(scope="module")
def apart(server: ServerProcess) -> Iterator[str]:
    """`easel studio` before a server that runs elsewhere."""
    command = [str(Path(sys.executable).with_name("easel")), "studio", "--server", server.grpc_address, "--port", "0"]
    hosts = ["--allowed-host", "hub.example.org", "--allowed-host", "*.notebooks.example.org"]
    with subprocess.Popen([*command, *hosts, "--no-provenance"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        said = process.stdout.readline(), process.stdout.readline()
        assert said[1].startswith("studio: http://127.0.0.1:"), said
        yield said[1].split()[1]
        process.terminate()
    assert process.returncode == 0


def test_a_studio_before_another_server(apart: str) -> None:
    with openai.OpenAI(base_url=f"{apart}/v1", api_key="any", max_retries=0) as client:
        images = client.images.generate(prompt="a")
        with pytest.raises(ProvenanceError, match="has no provenance"):
            read(base64.b64decode(images.data[0].b64_json or ""))


@contextmanager
def proxied(url: str, prefix: str, host: str) -> Iterator[str]:
    """A proxy that hands everything below a path on under another host name, as those of notebooks do."""

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.path.startswith(prefix)
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)) or None
            headers = {"Host": host, "Content-Type": self.headers["Content-Type"] or ""}
            request = urllib.request.Request(url + self.path.removeprefix(prefix), body, headers)
            with urllib.request.urlopen(request, timeout=10) as response:
                self.send_response(response.status)
                self.end_headers()
                self.wfile.write(response.read())

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *told: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        Thread(target=proxy.serve_forever).start()
        yield f"http://127.0.0.1:{proxy.server_port}{prefix}/"
        proxy.shutdown()


@pytest.mark.parametrize("host", ["hub.example.org", "Hub.Example.org:8000", "somebody.notebooks.example.org"])
def test_the_page_works_behind_a_proxy_under_a_path(apart: str, host: str) -> None:
    with proxied(apart, "/user/somebody/proxy/8080", host) as page:
        with urllib.request.urlopen(page, timeout=10) as response:
            parts = re.findall(r'(?:src|href)="([^"#]+)"', response.read().decode())
        assert "page/main.js" in parts
        modules = [part for part in parts if part.endswith(".js")]
        for part in parts:
            with urllib.request.urlopen(urljoin(page, part), timeout=10) as response:
                text = response.read().decode()
            modules += re.findall(r'from "(\./[^"]+)"', text)
            assert not re.search(r'ask\("/', text)
        assert len(modules) > 5
        assert post(urljoin(page, "v1/captions"), {"prompt": "a"})[0] == 200


def test_a_name_that_is_not_known_comes_with_the_flag_for_it(apart: str) -> None:
    for host in ("evil.example", "hub.example.org.evil.example"):
        code, answer = post(f"{apart}/v1/captions", {"prompt": "a"}, Host=host)
        assert code == 403 and f"start it with --allowed-host {host}." in answer["error"]["message"]


def test_a_port_that_is_taken_is_one_sentence(server: ServerProcess, models: Path) -> None:
    port = server.studio_url.rpartition(":")[2]
    done = subprocess.run(
        [Path(sys.executable).with_name("easel"), "studio", "--port", port], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert f"The studio cannot listen on 127.0.0.1:{port}: choose another --port, or -1 for a free one" in done.stderr


def test_no_server_behind_it_is_told(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nowhere = f"127.0.0.1:{listener.getsockname()[1]}"
    command = [Path(sys.executable).with_name("easel"), "studio", "--server", nowhere, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        url = process.stdout.readline().split()[1]
        code, answer = post(f"{url}/v1/captions", {"prompt": "a"})
        process.terminate()
    assert code == 503 and f"no server answers at {nowhere}" in answer["error"]["message"]


def test_the_document_keeps_its_promises(server: ServerProcess, tmp_path: Path) -> None:
    """Schemathesis asks everything that the document allows, and much that it forbids."""
    command = [
        *(Path(sys.executable).with_name("schemathesis"), "run", f"{server.studio_url}/openapi.json"),
        *("--max-examples", "15", "--seed", "7", "--phases", "coverage,fuzzing", "--no-color"),
    ]
    # What keeps the schema may still ask for the impossible, such as a size that the model does not draw.
    accepted = "[checks.positive_data_acceptance]\nexpected-statuses = ['2xx', 404, 422]\n"
    # Whatever a form holds is text: nothing there is of a wrong type.
    form = "[[operations]]\ninclude-path = '/v1/images/edits'\nchecks.negative_data_rejection.enabled = false\n"
    (tmp_path / "schemathesis.toml").write_text(accepted + form)
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
