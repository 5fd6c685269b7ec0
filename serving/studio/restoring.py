"""Restoring pictures: denoising, inpainting, sharpening and upscaling."""

import asyncio
import base64
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

from PIL import Image

from serving import images
from serving.client import AsyncClient
from serving.provenance import Restoring, inscribe, of_restored
from serving.studio.problems import RequestError
from serving.studio.schemas import Drawn, Edit, Images

Event = dict[str, object]


async def restore(client: AsyncClient, asked: Edit, image: bytes, mask: bytes | None, most_pixels: int) -> Images:
    """Restore one picture.

    Args:
        client: calls the model server.
        asked: the options.
        image: the encoded picture; without a mask, its transparent part is the hole.
        mask: an encoded mask of the same size; its transparent part, or else its white part, is the hole.
        most_pixels: maximum number of pixels; 0 for no limit.

    Raises:
        RequestError: there is no picture, it is too large, or the mask has no hole.
        ServingError: the mask has another size, or the model server rejects the request.

    """
    picture = await _read(images.read_picture, image, "image", most_pixels)
    holes = await _read(images.read_mask, mask, "mask", most_pixels) if mask else images.transparent(picture)
    if holes and asked.blur_sigma:
        raise RequestError("blur_sigma and holes cannot be combined: fill first, then sharpen.", param="blur_sigma")
    noise = asked.noise_sigma if asked.noise_sigma >= 0 else None
    how: dict[str, Any] = {"noise_sigma": noise, "blur_sigma": asked.blur_sigma, "label": asked.label}
    restored = await client.restore(picture, mask=holes, **how)
    version = restored.info["model_version"]
    if asked.enlarge:
        restored = await client.enlarge(restored, label=asked.label)
    done = Restoring(noise_sigma=noise, blur_sigma=asked.blur_sigma, filled=holes is not None, enlarged=asked.enlarge)
    png = inscribe(restored, of_restored(image, done, version) if asked.provenance else None)
    data = [Drawn(b64_json=base64.b64encode(png).decode(), revised_prompt=None)]
    size = f"{restored.width}x{restored.height}"
    kept = f"size {asked.size} was ignored: a restored picture keeps its own; enlarge doubles it."
    notes = asked.notes + [kept] * (asked.size not in ("auto", size))
    return Images(created=int(time.time()), data=data, size=size, notes=notes)


async def restore_by_steps(
    client: AsyncClient, asked: Edit, image: bytes, mask: bytes | None, most_pixels: int
) -> AsyncGenerator[Event, None]:
    """The same as events: only `image_edit.completed`, because a restoration has no intermediate steps."""
    began = time.perf_counter()
    restored = await restore(client, asked, image, mask, most_pixels)
    outcome = restored.model_dump(exclude={"created", "data"})
    seconds = round(time.perf_counter() - began, 6)
    picture = {"b64_json": restored.data[0].b64_json, "created_at": restored.created, "seconds": seconds}
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    details = {"input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}
    yield {"type": "image_edit.completed", **picture, **outcome, "usage": usage | details}


async def _read(read: Callable[..., Image.Image], content: bytes, name: str, most_pixels: int) -> Image.Image:
    try:
        return await asyncio.to_thread(read, content, max_pixels=most_pixels or images.MOST_PIXELS)
    except images.PictureError as error:
        raise RequestError(f"{name}: {error}", param=name) from error
