"""Pictures from prompts, in one batch or as events, and the effect of each word of a caption."""

import base64
import io
import math
import re
import secrets
import time
from collections.abc import AsyncGenerator
from itertools import pairwise
from typing import Any

from PIL import Image, ImageChops, ImageStat

from models.options import OPTIONS, SCALE
from serving.client import AsyncClient, Facts, Picture, ServingError
from serving.provenance import inscribe
from serving.requests import seeds_from
from serving.studio.problems import RequestError
from serving.studio.schemas import Caption, CaptionAsked, Drawn, Generation, Images, Word, Words, WordsAsked

Event = dict[str, object]
# A word with the punctuation inside it, or a single character of a script without spaces.
_WORD = re.compile(r"[^\W\u2e80-\u9fff\uf900-\ufaff\u3040-\u30ff]+(?:['’-][^\W\u2e80-\u9fff]+)*|\w")
_SIDES = re.compile(r"\d{1,9}")
_UNKNOWN = ("NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION")


async def draw(client: AsyncClient, asked: Generation) -> Images:
    """Draw everything in one batch.

    Raises:
        ServingError: the model server rejects the request.

    """
    asked, notes = await _fitted(client, asked)
    seeds = _seeds(asked)
    pictures = await client.generate(asked.prompt, seed=seeds, **_how(asked))
    data = [Drawn(b64_json=_encoded(picture, asked), **_reported(picture)) for picture in pictures]
    return Images(created=int(time.time()), data=data, size=_size(pictures[0].png), notes=notes)


async def draw_by_steps(client: AsyncClient, asked: Generation) -> AsyncGenerator[Event, None]:
    """Draw one picture after the other and yield events, with OpenAI's names and fields if there are any.

    `image_generation.expansion` contains the caption, before it is drawn, if the server has the language model;
    `image_generation.partial_image` the drawing before it is refined, if partial images were requested;
    `image_generation.completed` the picture.

    Raises:
        ServingError: the model server rejects the request.

    """
    asked, notes = await _fitted(client, asked)
    for index, seed in enumerate(_seeds(asked)):
        # An interpolated picture has no caption of its own.
        if asked.expand and not asked.share:
            caption = await _continued(
                client, asked.prompt, seed=seed, temperature=asked.temperature, label=asked.label
            )
            if caption is not None:
                yield {"type": "image_generation.expansion", "index": index, "text": caption}
        if asked.partial_images and asked.refine:
            (raw,) = await client.generate(asked.prompt, seed=seed, **{**_how(asked), "refine": False})
            partial = {"partial_image_index": 0, "index": index, **_fields(raw, asked)}
            yield {"type": "image_generation.partial_image", **partial}
        began = time.perf_counter()
        (picture,) = await client.generate(asked.prompt, seed=seed, **_how(asked))
        outcome = {
            "index": index,
            **_reported(picture),
            "seconds": round(time.perf_counter() - began, 6),
            "version": picture.version,
            "notes": notes,
        }
        usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        details = {"input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}
        yield {"type": "image_generation.completed", **_fields(picture, asked), **outcome, "usage": usage | details}


async def complete(client: AsyncClient, asked: CaptionAsked) -> Caption:
    """Complete a prompt with the language model, if the server has it, or else with the model that draws.

    Raises:
        ServingError: the model server rejects the request.

    """
    how: dict[str, Any] = {name: getattr(asked, name) for name in ("seed", "temperature", "label")}
    caption = await _continued(client, asked.prompt, **how)
    if caption is None:
        (picture,) = await client.generate(asked.prompt, **how, refine=False)
        caption = picture.expanded_prompt
    return Caption(caption=caption, notes=asked.notes)


async def _continued(client: AsyncClient, prompt: str, **how: Any) -> str | None:
    """The expanded caption of a prompt; None if the server has no language model."""
    try:
        return await client.continue_prompt(prompt, **how)
    except ServingError as error:
        if error.code not in _UNKNOWN:
            raise
        return None


async def words(client: AsyncClient, asked: WordsAsked) -> Words:
    """Draw a caption, and the caption without each of its words, in one batch, and compare.

    Raises:
        RequestError: the pieces do not make up the caption.
        ServingError: the model server rejects the request.

    """
    spans = _spans(asked)
    captions = [asked.caption, *(asked.caption[:start] + asked.caption[end:] for start, end in spans)]
    how: dict[str, Any] = {name: getattr(asked, name) for name in ("seed", "refine", "candidates", "scale", "label")}
    drawn = await client.generate(captions, expand=False, **how)
    whole, *others = (picture.image.convert("RGB") for picture in drawn)
    pairs = zip(spans, others, strict=True)
    effects = [_word(asked.caption, start, end, whole, other) for (start, end), other in pairs]
    return Words(words=effects, notes=asked.notes)


def _word(caption: str, start: int, end: int, whole: Image.Image, without: Image.Image) -> Word:
    red, green, blue = ImageChops.difference(whole, without).split()
    # The largest change of any channel, so that a change from red to black does not look faint.
    change = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    strength = ImageStat.Stat(change).mean[0] / 255
    return Word(
        text=caption[start:end], start=start, strength=round(strength, 6), b64_json=_base64(inscribe(change, None))
    )


def _spans(asked: WordsAsked) -> list[tuple[int, int]]:
    if asked.pieces is None:
        return [match.span() for match in _WORD.finditer(asked.caption)]
    if "".join(asked.pieces) != asked.caption:
        raise RequestError("The pieces joined do not give the caption: send all of it, spaces too.", param="pieces")
    ends = [0]
    for piece in asked.pieces:
        ends.append(ends[-1] + len(piece))
    return [(start, end) for start, end in pairwise(ends) if re.search(r"\w", asked.caption[start:end])]


async def _fitted(client: AsyncClient, asked: Generation) -> tuple[Generation, list[str]]:
    """The request at the scale that is closest to its size, and notes on what was ignored or changed."""
    if asked.size == "auto":
        return asked, asked.notes
    sides = [int(side) for side in _SIDES.findall(asked.size)]
    if len(sides) != 2:
        return asked, [*asked.notes, f"size {asked.size} was ignored: give auto, or WIDTHxHEIGHT such as 256x256."]
    known = await facts(client, asked.label)
    if known is None:
        return asked, [*asked.notes, f"size {asked.size} was ignored: this model does not report its picture size."]
    scales = [asked.scale] if "scale" in asked.model_fields_set else range(SCALE.least, SCALE.most + 1)
    scale = min(scales, key=lambda scale: math.dist([known.picture_size * scale] * 2, sides))
    side = known.picture_size * scale
    changed = f"size {asked.size} was changed to {side}x{side}, the nearest that this model draws."
    return asked.model_copy(update={"scale": scale}), asked.notes + [changed] * (sides != [side, side])


async def facts(client: AsyncClient, label: str = "") -> Facts | None:
    """The facts of the model that draws; None if it was exported by an earlier release, without that signature.

    Raises:
        ServingError: the model server rejects the request for another reason.

    """
    try:
        return await client.facts(label=label)
    except ServingError as error:
        if error.code not in _UNKNOWN:
            raise
        return None


def _seeds(asked: Generation) -> list[int]:
    return seeds_from(secrets.randbelow(2**31) if asked.seed is None else asked.seed, asked.n)


def _how(asked: Generation) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in (*OPTIONS, "label")}


def _fields(picture: Picture, asked: Generation) -> Event:
    fixed = {"background": "opaque", "output_format": "png", "quality": "auto"}
    return {"b64_json": _encoded(picture, asked), "created_at": int(time.time()), "size": _size(picture.png), **fixed}


def _reported(picture: Picture) -> dict[str, Any]:
    return {
        "seed": picture.seed,
        "revised_prompt": picture.expanded_prompt,
        "unknown_words": list(picture.unknown_words),
        "read_as": picture.read_as,
    }


def _encoded(picture: Picture, asked: Generation) -> str:
    return _base64(inscribe(picture.png, picture.provenance) if asked.provenance else picture.png)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _size(png: bytes) -> str:
    with Image.open(io.BytesIO(png)) as image:
        return f"{image.width}x{image.height}"
