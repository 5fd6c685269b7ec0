"""The page in a real browser: every control, without a mouse where that is asked for, at both sizes.

Needs Chromium: the one that `playwright install chromium` fetched, or `chromium` on the PATH, or EASEL_CHROMIUM.
"""

import base64
import io
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from fake_models import TO_TRY
from PIL import Image
from playwright.sync_api import Browser, Error, Locator, Page, Request, Route, expect, sync_playwright

from serving.client import Client
from serving.process import ServerProcess
from serving.provenance import Drawing, inscribe, read
from tfx_pipeline.datasets.storybook.samples import sample

DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
FINEST = 8
"""The scale that comes nearest to 256 pixels where a picture has 8."""
LIVE = "#live-picture"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        names = ("chromium", "chromium-browser", "google-chrome")
        found = [os.environ.get("EASEL_CHROMIUM"), playwright.chromium.executable_path, *map(shutil.which, names)]
        there = [path for path in found if path and Path(path).is_file()]
        if not there:
            pytest.skip("Install Chromium by `playwright install chromium`, or set EASEL_CHROMIUM=/path/to/chromium.")
        opened = playwright.chromium.launch(executable_path=there[0])
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, server: ServerProcess) -> Iterator[Open]:
    """Opens the page in a browser of its own; what it asked elsewhere, or threw, fails the test."""
    faults: list[str] = []
    contexts = []

    def watch(page: Page) -> None:
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda asked: faults.append(asked.url) if not is_near(asked.url) else None)

    def is_near(url: str) -> bool:
        return url.startswith((server.studio_url, "blob:", "data:"))

    def make(**options: object) -> Page:
        context = browser.new_context(**{"viewport": DESKTOP, "locale": "en-US", **options})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        watch(page)
        page.goto(server.studio_url)
        expect(page.locator("#scale-value")).to_contain_text("px" if "zh" not in str(options.get("locale")) else "像素")
        return page

    yield make
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page()


def draw(page: Page, prompt: str = "a red circle") -> None:
    page.fill("#prompt", prompt)
    page.press("#prompt", "Enter")
    finished(page)


def finished(page: Page) -> None:
    expect(page.locator("#go")).to_be_visible()
    expect(page.locator(".frame.waiting, img.coming")).to_have_count(0)


def frames(page: Page) -> Locator:
    return page.locator(".frame")


def set_range(page: Page, selector: str, value: float) -> None:
    page.locator(selector).fill(str(value))


def downloaded(page: Page, link: str) -> bytes:
    with page.expect_download() as saving:
        page.click(link)
    return Path(saving.value.path()).read_bytes()


def first_drawing(page: Page) -> Drawing:
    frames(page).first.click()
    (drawing,) = read(downloaded(page, "#download")).drawings
    page.keyboard.press("Escape")
    return drawing


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


GREY = png(Image.new("RGB", (8, 8), (100, 100, 100)))


def upload(page: Page, content: bytes = GREY) -> None:
    page.click("#tab-restore")
    page.set_input_files("#file", {"name": "old.png", "mimeType": "image/png", "buffer": content})
    expect(page.locator("#bench")).to_be_visible()


def drop(page: Page, content: bytes) -> None:
    """Let go of a file over the page, as a file manager does."""
    page.evaluate(
        """encoded => {
            const bytes = Uint8Array.from(atob(encoded), letter => letter.charCodeAt(0));
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File([bytes], "dropped.png", {type: "image/png"}));
            for (const name of ["dragover", "drop"]) {
                document.body.dispatchEvent(new DragEvent(name, {dataTransfer, bubbles: true, cancelable: true}));
            }
        }""",
        base64.b64encode(content).decode(),
    )


def canvas_pixels(page: Page, selector: str) -> bytes:
    data = page.locator(selector).evaluate("canvas => canvas.toDataURL()")
    return Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB").tobytes()


def test_enter_draws_a_grid_with_times(page: Page) -> None:
    draw(page)
    expect(frames(page)).to_have_count(4)
    expect(page.locator(".sheet h2")).to_have_text("a red circle")
    expect(page.locator(".sheet > .caption")).to_have_text("a red circle at 0.3")
    for number in range(4):
        expect(frames(page).nth(number).locator(".time")).to_contain_text(f"seed {number}")
        expect(frames(page).nth(number).locator(".time")).to_contain_text("ms")
    assert page.locator(".frame img").first.evaluate("image => image.naturalWidth") == FINEST * 8


def test_the_expansion_is_seen_while_typing(page: Page) -> None:
    page.locator("#prompt").press_sequentially("a star")
    expect(page.locator("#caption")).to_have_text("a star at 0.3")
    expect(page.locator("#caption em")).to_have_text(" at 0.3")
    page.click("#expand")
    expect(page.locator("#caption")).to_have_text("a star")
    expect(page.locator("#caption em")).to_have_text("")
    draw(page, "a star")
    assert first_drawing(page).model_dump() == {
        "prompt": "a star",
        "expanded_prompt": "a star",
        "seed": 0,
        "temperature": 0.3,
        "expand": False,
        "refine": True,
        "candidates": 1,
        "scale": FINEST,
        "to_prompt": None,
        "to_seed": None,
        "share": 0.0,
    }


def test_the_expansion_can_be_edited(page: Page) -> None:
    page.fill("#prompt", "a star")
    expect(page.locator("#caption")).to_have_text("a star at 0.3")
    page.click("#edit")
    expect(page.locator("#edited")).to_have_value("a star at 0.3")
    page.fill("#edited", "一颗星")
    page.press("#edited", "Enter")
    finished(page)
    drawn = first_drawing(page)
    assert (drawn.prompt, drawn.expanded_prompt, drawn.expand) == ("一颗星", "一颗星", False)
    page.click("#unedit")
    expect(page.locator("#edited")).to_be_hidden()
    expect(page.locator("#caption")).to_have_text("a star at 0.3")


def test_every_setting_counts(page: Page) -> None:
    page.fill("#seed", "41")
    set_range(page, "#count", 2)
    set_range(page, "#temperature", 0.7)
    set_range(page, "#candidates", 3)
    set_range(page, "#scale", 2)
    page.click("#refine")
    draw(page)
    expect(frames(page)).to_have_count(2)
    expect(page.locator("#count-value")).to_have_text("2")
    expect(page.locator("#temperature-value")).to_have_text("0.7")
    drawn = first_drawing(page)
    assert (drawn.seed, drawn.temperature, drawn.refine, drawn.candidates, drawn.scale) == (41, 0.7, False, 3, 2)
    page.click("[data-dice=seed]")
    assert page.input_value("#seed") not in ("", "41")


def test_escape_stops_the_drawing(page: Page) -> None:
    page.route("**/generations", lambda route: None)
    page.fill("#prompt", "a")
    for end in (lambda: page.keyboard.press("Escape"), lambda: page.click("#stop")):
        page.press("#prompt", "Enter")
        expect(page.locator("#stop")).to_be_visible()
        end()
        expect(page.locator("#said")).to_have_text("Stopped.")
        expect(page.locator("#go")).to_be_visible()
        expect(frames(page)).to_have_count(0)


def test_what_is_wrong_is_told(page: Page) -> None:
    page.press("#prompt", "Enter")
    expect(page.locator("#problem")).to_have_text("Enter a prompt first.")
    refusal = '{"error": {"message": "no server answers at nowhere", "type": "server_error", "code": "unavailable"}}'
    page.route("**/generations", lambda route: route.fulfill(status=503, body=refusal))
    draw(page)
    expect(page.locator("#problem")).to_have_text("no server answers at nowhere")
    expect(frames(page)).to_have_count(0)


def test_history_and_settings_survive_a_reload(page: Page) -> None:
    set_range(page, "#count", 2)
    draw(page, "a star")
    draw(page, "一个圆")
    before = frames(page).count()
    page.reload()
    expect(frames(page)).to_have_count(before)
    expect(page.locator(".sheet h2")).to_have_text(["一个圆", "a star"])
    assert page.input_value("#prompt") == "一个圆"
    assert page.input_value("#count") == "2"
    page.wait_for_function(f"document.querySelector('.frame img').naturalWidth === {FINEST * 8}")


def test_pictures_can_be_forgotten(page: Page) -> None:
    set_range(page, "#count", 2)
    draw(page, "a star")
    frames(page).first.click()
    page.click("#remove")
    expect(frames(page)).to_have_count(1)
    draw(page, "a circle")
    page.once("dialog", lambda asked: asked.dismiss())
    page.click("#forget")
    expect(frames(page)).to_have_count(3)
    page.once("dialog", lambda asked: asked.accept())
    page.click("#forget")
    expect(frames(page)).to_have_count(0)
    page.reload()
    expect(page.locator("#examples button").first).to_be_visible()
    expect(frames(page)).to_have_count(0)


def live_pixels(page: Page) -> bytes:
    shown = page.locator(LIVE).evaluate(
        """async image => {
            // The page may replace the picture while it is being decoded.
            while (!(await image.decode().then(() => true, () => false))) await new Promise(requestAnimationFrame);
            const canvas = Object.assign(document.createElement("canvas"), {width: 8, height: 8});
            canvas.getContext("2d").drawImage(image, 0, 0, 8, 8);
            return canvas.toDataURL();
        }"""
    )
    return Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))).convert("RGB").tobytes()


def until_live(page: Page, grey: float) -> None:
    """Wait until the first value of the live picture is about so much."""
    for _ in range(100):
        if live_pixels(page)[0] == pytest.approx(grey, abs=1):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"The live picture begins with {live_pixels(page)[0]}, not {grey}.")


def small(client: Client, prompt: str, **how: object) -> bytes:
    """What the live picture shows, at 8 pixels."""
    return client.generate(prompt, **how)[0].image.convert("RGB").tobytes()


def tell(page: Page, **facts: object) -> None:
    """Let the model report these facts about itself."""
    page.route("**/v1/models/text_to_image", lambda route: route.fulfill(json=facts))
    page.reload()


def test_the_picture_follows_the_typing(page: Page, client: Client) -> None:
    going: list[str] = []
    most: list[int] = []

    def asked(request: Request) -> None:
        if request.url.endswith("/generations"):
            going.append(request.url)
            most.append(len(going))

    def ended(request: Request) -> None:
        if request.url.endswith("/generations"):
            going.remove(request.url)

    page.on("request", asked)
    page.on("requestfinished", ended)
    page.on("requestfailed", ended)
    page.locator("#prompt").press_sequentially("a star and a moon", delay=30)
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star and a moon at 0.3, seed 0")
    expect(page.locator("#live-time")).to_contain_text("ms")
    assert live_pixels(page) == small(client, "a star and a moon")
    assert page.locator(LIVE).evaluate("image => image.naturalWidth") == FINEST * 8
    page.fill("#seed", "3")
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star and a moon at 0.3, seed 3")
    page.fill("#prompt", "")
    expect(page.locator(LIVE)).to_have_attribute("alt", "")
    expect(page.locator("#caption")).to_have_text("")
    expect(frames(page)).to_have_count(0)
    assert max(most) == 1 and len(most) < len("a star and a moon")


def test_the_newest_prompt_wins_and_older_drawings_are_given_up(page: Page) -> None:
    given_up: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/generations"):
            given_up.append(request.post_data_json["prompt"])

    page.on("requestfailed", note)
    page.route("**/generations", lambda route: None if "old" in (route.request.post_data or "") else route.continue_())
    with page.expect_request("**/generations"):
        page.fill("#prompt", "an old star")
    page.fill("#prompt", "a star")
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star at 0.3, seed 0")
    assert given_up[0] == "an old star"
    with page.expect_request("**/generations"):
        page.fill("#prompt", "another old star")
    draw(page, "a moon")
    expect(page.locator(LIVE)).to_have_attribute("alt", "a moon at 0.3, seed 0")
    assert "another old star" in given_up


def test_letters_that_are_still_being_put_together_are_not_drawn(page: Page) -> None:
    drawn: list[str] = []
    page.on("request", lambda asked: drawn.append(asked.url) if asked.url.endswith("/generations") else None)
    page.locator("#prompt").evaluate(
        """prompt => {
            prompt.value = "mao";
            prompt.dispatchEvent(new InputEvent("input", {bubbles: true, isComposing: true}));
        }"""
    )
    page.wait_for_timeout(300)
    assert drawn == []
    page.locator("#prompt").evaluate(
        """prompt => {
            prompt.value = "猫";
            prompt.dispatchEvent(new CompositionEvent("compositionend", {bubbles: true}));
        }"""
    )
    expect(page.locator(LIVE)).to_have_attribute("alt", "猫 at 0.3, seed 0")


def test_a_live_picture_can_be_kept(page: Page, client: Client) -> None:
    expect(page.locator("#keep-live")).to_be_disabled()
    page.fill("#prompt", "a star")
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star at 0.3, seed 0")
    page.click("#keep-live")
    expect(page.locator(".sheet h2")).to_have_text("a star")
    expect(frames(page)).to_have_count(1)
    assert first_drawing(page).seed == 0
    page.reload()
    expect(frames(page)).to_have_count(1)
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star at 0.3, seed 0")


def test_pictures_have_256_pixels_where_the_model_can(page: Page) -> None:
    tell(page, picture_size=64)
    expect(page.locator("#scale-value")).to_have_text("256 px")
    assert page.input_value("#scale") == "4"
    set_range(page, "#scale", 2)
    expect(page.locator("#scale-value")).to_have_text("128 px")
    page.fill("#prompt", "a star")
    page.reload()
    expect(page.locator("#scale-value")).to_have_text("128 px")
    expect(page.locator("#blend")).to_be_hidden()
    tell(page)
    expect(page.locator("#scale-value")).to_have_text("× 2")


def test_the_models_prompts_are_to_be_tried_in_the_language_of_the_page(page: Page) -> None:
    expect(page.locator("#examples button")).to_have_text(TO_TRY["en"])
    page.click("#language")
    expect(page.locator("#examples button")).to_have_text(TO_TRY["zh"])
    page.click("#examples button")
    expect(page.locator(LIVE)).to_have_attribute("alt", "一只猫 at 0.3，种子 0")
    assert page.input_value("#prompt") == "一只猫"
    expect(frames(page)).to_have_count(0)
    page.click("#language")
    tell(page, prompts={"en": [], "zh": ["一朵花"]})
    expect(page.locator("#examples button")).to_have_text(["一朵花"])


def test_a_model_without_prompts_gets_those_of_the_page(page: Page) -> None:
    tell(page, picture_size=64, prompts={})
    for _ in range(2):
        expect(page.locator("#examples button")).to_have_count(12)
        prompts = page.locator("#examples button").all_text_contents()
        is_chinese = page.locator("html").get_attribute("lang") == "zh-CN"
        assert len(set(prompts)) == 12
        assert {bool(re.search("[\u4e00-\u9fff]", prompt)) for prompt in prompts} == {is_chinese}
        page.click("#language")


def test_the_prompts_of_the_page_use_the_storybooks_own_words() -> None:
    texts = (Path(__file__).parents[2] / "serving/studio/page/text.js").read_text(encoding="utf-8")
    prompts = re.findall('"([^"]+)"', "".join(re.findall(r"examples: \[(.*?)\]", texts, re.DOTALL)))
    told = [sample.captions for sample in sample(4000, seed=1)]
    words = {word for captions in told for word in re.findall("[a-z]+", captions.english.lower())}
    words |= {character for captions in told for character in captions.chinese}
    assert len(prompts) == 24
    assert [word for prompt in prompts for word in re.findall("[a-z]+|[^a-z ]", prompt) if word not in words] == []


def test_a_slider_blends_with_another_seed_and_another_prompt(page: Page, client: Client) -> None:
    page.fill("#prompt", "a star")
    page.fill("#to-seed", "5")
    set_range(page, "#share", 50)
    expect(page.locator("#share-value")).to_have_text("50%")
    expect(page.locator(LIVE)).to_have_attribute("alt", "a star at 0.3, seed 0")
    here, there = (small(client, "a star", seed=seed)[0] for seed in (0, 5))
    until_live(page, (here + there) / 2)
    page.fill("#to-prompt", "a moon")
    expect(page.locator("#caption")).to_have_text("a moon at 0.3")
    set_range(page, "#share", 100)
    goal = small(client, "a moon", seed=5)[0]
    until_live(page, goal)
    set_range(page, "#share", 25)
    page.click("[data-dice=to-seed]")
    page.fill("#to-seed", "6")
    set_range(page, "#count", 1)
    page.press("#prompt", "Enter")
    finished(page)
    drawn = first_drawing(page)
    assert (drawn.prompt, drawn.seed, drawn.to_prompt, drawn.to_seed, drawn.share) == ("a star", 0, "a moon", 6, 0.25)
    set_range(page, "#share", 0)
    frames(page).first.click()
    expect(page.locator("#facts")).to_contain_text("blended 25% with “a moon”, seed 6")
    expect(page.locator("#words button")).to_have_count(0)
    page.click("#reuse")
    expect(page.locator("#share-value")).to_have_text("25%")
    expect(page.locator("#to-seed")).to_have_value("6")


def test_a_corrected_prompt_is_shown_under_the_picture(page: Page) -> None:
    page.fill("#prompt", "a kat")
    expect(page.locator("#unknown")).to_have_text("Read as “a cat”.")
    draw(page, "a kat and a zorb")
    expect(page.locator(".sheet .unknown")).to_have_text("Read as “a cat and a zorb”. The model does not know “zorb”.")
    page.fill("#prompt", "a cat")
    expect(page.locator("#unknown")).to_be_hidden()


def test_words_that_the_model_does_not_know_are_named_under_the_picture(page: Page) -> None:
    page.fill("#prompt", "a zorb and a zoo")
    expect(page.locator("#unknown")).to_have_text("The model does not know “zorb” and “zoo”.")
    draw(page, "a zorb and a zoo")
    expect(page.locator(".sheet .unknown")).to_have_text("The model does not know “zorb” and “zoo”.")
    page.click("#language")
    expect(page.locator("#unknown")).to_have_text("模型不认识“zorb”和“zoo”。")
    expect(page.locator(".sheet .unknown")).to_have_text("模型不认识“zorb”和“zoo”。")
    page.fill("#prompt", "a star")
    expect(page.locator("#unknown")).to_be_hidden()
    page.reload()
    expect(page.locator(".sheet .unknown")).to_have_text("模型不认识“zorb”和“zoo”。")


def test_words_show_their_pixels(page: Page) -> None:
    draw(page, "red 圆")
    frames(page).first.click()
    words = page.locator("#words button")
    expect(words).to_have_text(["red", "圆", "at", "0.3"])
    expect(page.locator("#words")).to_have_text("red 圆 at 0.3")
    whole = canvas_pixels(page, "#large")
    words.first.hover()
    expect(page.locator("#influence")).to_contain_text("Without “red” the picture")
    page.wait_for_function("document.querySelector('#words button').getAttribute('aria-pressed') === 'true'")
    page.locator("#detail-title").hover()
    expect(page.locator("#influence")).to_have_text("")
    page.wait_for_timeout(100)
    assert canvas_pixels(page, "#large") == whole
    words.nth(1).focus()
    expect(page.locator("#influence")).to_contain_text("“圆”")


def test_the_large_picture_by_keyboard(page: Page) -> None:
    set_range(page, "#count", 2)
    draw(page)
    frames(page).first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#facts")).to_contain_text("Seed0")
    expect(page.locator("#previous")).to_be_disabled()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#facts")).to_contain_text("Seed1")
    expect(page.locator("#next")).to_be_disabled()
    page.click("#previous")
    expect(page.locator("#facts")).to_contain_text("Seed0")
    page.click("#next")
    expect(page.locator("#facts")).to_contain_text("Seed1")
    page.click("#raw")
    expect(page.locator("#raw")).to_have_attribute("aria-pressed", "true")
    page.click("#raw")
    expect(page.locator("#raw")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()
    expect(frames(page).first).to_be_focused()
    frames(page).first.click()
    page.click("#detail > form button")
    expect(page.locator("#detail")).to_be_hidden()


def test_a_picture_goes_back_to_the_prompt_or_on_to_be_restored(page: Page) -> None:
    draw(page, "a star")
    page.fill("#prompt", "something else")
    page.fill("#seed", "9")
    frames(page).nth(2).click()
    page.click("#reuse")
    expect(page.locator("#prompt")).to_have_value("a star")
    expect(page.locator("#seed")).to_have_value("2")
    frames(page).first.click()
    page.click("#take")
    expect(page.locator("#canvas")).to_be_visible()
    assert page.locator("#canvas").evaluate("canvas => canvas.width") == FINEST * 8


def test_a_dropped_picture_brings_back_its_prompt(page: Page, client: Client) -> None:
    (picture,) = client.generate("一个蓝色的心形", seed=123, temperature=0.9, refine=False)
    drop(page, inscribe(picture.png, picture.provenance))
    expect(page.locator("#prompt")).to_have_value("一个蓝色的心形")
    expect(page.locator("#seed")).to_have_value("123")
    expect(page.locator("#temperature")).to_have_value("0.9")
    expect(page.locator("#refine")).not_to_be_checked()
    expect(page.locator("#said")).to_contain_text("were loaded")
    page.press("#prompt", "Enter")
    finished(page)
    frames(page).first.click()
    again = Image.open(io.BytesIO(downloaded(page, "#download")))
    assert again.tobytes() == picture.image.tobytes()


def test_any_other_dropped_picture_is_to_be_restored(page: Page) -> None:
    drop(page, b"no picture")
    expect(page.locator("#dropzone")).to_contain_text("The browser cannot show this file")
    drop(page, GREY)
    expect(page.locator("#canvas")).to_be_visible()
    drop(page, b"no picture")
    expect(page.locator("#restoring-problem")).to_contain_text("The browser cannot show this file")


def test_painted_holes_are_filled_and_compared(page: Page) -> None:
    upload(page)
    set_range(page, "#brush-size", 2)
    box = page.locator("#canvas").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 8, box["y"] + box["height"] / 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 8, steps=4)
    page.mouse.up()
    page.click("#estimate")
    set_range(page, "#noise", 20)
    page.click("#restore-now")
    expect(page.locator("#told")).to_contain_text("Restored in")
    expect(page.locator("#slider")).to_be_focused()
    page.keyboard.press("End")
    assert page.locator("#compare").evaluate("each => each.style.getPropertyValue('--at')") == "100%"
    restored = Image.open(io.BytesIO(downloaded(page, "#keep"))).convert("RGB")
    assert restored.getpixel((2, 1)) == (255, 255, 255)
    assert restored.getpixel((6, 6)) == (120, 120, 120)
    page.click("#repaint")
    expect(page.locator("#canvas")).to_be_visible()


def test_the_brush_by_keyboard(page: Page) -> None:
    upload(page)
    clean = canvas_pixels(page, "#canvas")
    page.focus("#canvas")
    for key in ("ArrowLeft", "ArrowUp", "ArrowUp", "Space"):
        page.keyboard.press(key)
    page.focus("#brush-size")
    assert canvas_pixels(page, "#canvas") != clean
    page.click("#clear")
    assert canvas_pixels(page, "#canvas") == clean


def test_blur_and_enlarging(page: Page) -> None:
    upload(page)
    page.click("#estimate")
    set_range(page, "#noise", 0)
    set_range(page, "#blur", 0.5)
    page.click("#enlarge")
    page.click("#restore-now")
    restored = Image.open(io.BytesIO(downloaded(page, "#keep"))).convert("RGB")
    assert restored.size == (16, 16) and restored.getpixel((0, 0)) == (150, 150, 150)
    page.click("#repaint")
    page.focus("#canvas")
    page.keyboard.press("Space")
    page.click("#restore-now")
    expect(page.locator("#restoring-problem")).to_contain_text("cannot be combined")
    with page.expect_file_chooser():
        page.click("#another")


def test_both_languages_and_both_lights(page: Page) -> None:
    page.click("#language")
    expect(page.locator("#go")).to_have_text("生成")
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    before = page.locator("html").evaluate("each => getComputedStyle(each).backgroundColor")
    page.click("#theme")
    after = page.locator("html").evaluate("each => getComputedStyle(each).backgroundColor")
    assert before != after
    page.reload()
    expect(page.locator("#go")).to_have_text("生成")
    assert page.locator("html").evaluate("each => getComputedStyle(each).backgroundColor") == after
    page.click("#theme")
    assert page.locator("html").evaluate("each => getComputedStyle(each).backgroundColor") == before
    page.click("#language")
    expect(page.locator("#go")).to_have_text("Draw")


def test_a_chinese_browser_sees_chinese(open_page: Open) -> None:
    page = open_page(locale="zh-CN")
    expect(page.locator("#tab-restore")).to_have_text("修复")
    draw(page)
    expect(frames(page).first).to_contain_text("种子 0")
    page.click("#language")
    expect(frames(page).first).to_contain_text("seed 0")


def test_keys_lead_through_the_rooms(page: Page) -> None:
    page.focus("#tab-draw")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-restore")).to_be_focused()
    expect(page.locator("#restore")).to_be_visible()
    page.keyboard.press("/")
    expect(page.locator("#prompt")).to_be_focused()
    expect(page.locator("#draw")).to_be_visible()


def test_a_server_that_is_gone_is_told_in_a_sentence(page: Page) -> None:
    page.route("**/v1/**", lambda route: route.abort("connectionrefused"))
    page.fill("#prompt", "a star")
    page.press("#prompt", "Enter")
    expect(page.locator("#problem")).to_have_text("The server does not answer. Is it still running?")


def test_a_server_with_tokens_is_asked_with_one(page: Page) -> None:
    refusal = '{"error": {"message": "a token", "type": "invalid_request_error", "code": "unauthenticated"}}'

    def guarded(route: Route) -> None:
        known = route.request.headers.get("authorization") == "Bearer correct horse"
        route.continue_() if known else route.fulfill(status=401, body=refusal)

    page.route("**/v1/**", guarded)
    page.fill("#prompt", "a star")
    page.press("#prompt", "Enter")
    page.fill("#token", "correct horse")
    page.press("#token", "Enter")
    finished(page)
    expect(frames(page)).to_have_count(4)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious_and_nothing_overflows(open_page: Open, size: dict[str, int], scheme: str) -> None:
    page = open_page(viewport=size, color_scheme=scheme, has_touch=size is PHONE, reduced_motion="reduce")
    check(page, "welcome")
    draw(page, "a red 圆")
    check(page, "drawn")
    page.click("#edit")
    frames(page).first.click()
    expect(page.locator("#words button")).to_have_count(5)
    check(page, "detail")
    page.click("#take")
    check(page, "restore")
    page.click("#restore-now")
    expect(page.locator("#compare")).to_be_visible()
    check(page, "compare")


def check(page: Page, state: str) -> None:
    found = Axe().run(page).response["violations"]
    told = {each["id"]: [node["html"][:100] for node in each["nodes"]] for each in found if is_serious(each["impact"])}
    assert told == {}, state
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, state


def is_serious(impact: str) -> bool:
    return impact in ("serious", "critical")


def test_touch_paints(open_page: Open) -> None:
    page = open_page(viewport=PHONE, has_touch=True)
    upload(page)
    clean = canvas_pixels(page, "#canvas")
    page.tap("#canvas")
    assert canvas_pixels(page, "#canvas") != clean


def test_what_a_prompt_holds_is_text(page: Page) -> None:
    draw(page, "<img src=x onerror=alert(1)>")
    expect(page.locator(".sheet h2")).to_have_text("<img src=x onerror=alert(1)>")
    with pytest.raises(Error, match="Timeout"):
        page.wait_for_event("dialog", timeout=300)
