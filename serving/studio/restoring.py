"""Pictures that were there before: cleaned, filled, sharpened and enlarged."""

import base64
import io
import time
from collections.abc import AsyncGenerator
from typing import Any

from PIL import Image, ImageOps

from serving.client import AsyncClient
from serving.provenance import Restoring, inscribe, of_restored
from serving.studio.problems import RequestError
from serving.studio.schemas import Drawn, Edit, Images

Event = dict[str, object]


async def restore(client: AsyncClient, asked: Edit, image: bytes, mask: bytes | None, most_pixels: int) -> Images:
    """Restore one picture.

    Args:
        client: asks the model server.
        asked: how.
        image: encoded; where it is transparent and there is no mask, it has a hole.
        mask: encoded, of the same size; transparent, or else white, where the hole is.
        most_pixels: the largest picture that is taken; 0 for no limit.

    Raises:
        RequestError: no picture, one that is too large, or a mask of another size.
        ServingError: what the model server refuses.

    """
    picture = _opened(image, "image", most_pixels)
    if asked.size not in ("auto", f"{picture.width}x{picture.height}"):
        message = f"size is {asked.size}: a restored picture keeps its own, {picture.width}x{picture.height}."
        raise RequestError(message, param="size")
    holes = _holes(_opened(mask, "mask", most_pixels)) if mask else _transparent(picture)
    if holes and holes.size != picture.size:
        message = (
            f"mask has {holes.width}x{holes.height} pixels, and image {picture.width}x{picture.height}: make it so."
        )
        raise RequestError(message, param="mask")
    if holes and asked.blur_sigma:
        raise RequestError("blur_sigma and holes exclude each other: fill first, then sharpen.", param="blur_sigma")
    noise = asked.noise_sigma if asked.noise_sigma >= 0 else None
    how: dict[str, Any] = {"noise_sigma": noise, "blur_sigma": asked.blur_sigma, "label": asked.label}
    restored = await client.restore(picture.convert("RGB"), mask=holes, **how)
    version = restored.info["model_version"]
    if asked.enlarge:
        restored = await client.enlarge(restored, label=asked.label)
    done = Restoring(noise_sigma=noise, blur_sigma=asked.blur_sigma, filled=holes is not None, enlarged=asked.enlarge)
    png = inscribe(restored, of_restored(image, done, version) if asked.provenance else None)
    data = [Drawn(b64_json=base64.b64encode(png).decode(), revised_prompt=None)]
    return Images(created=int(time.time()), data=data, size=f"{restored.width}x{restored.height}")


async def restore_by_steps(
    client: AsyncClient, asked: Edit, image: bytes, mask: bytes | None, most_pixels: int
) -> AsyncGenerator[Event, None]:
    """The same as events: `image_edit.completed`, since a restoration has no steps to show."""
    began = time.perf_counter()
    images = await restore(client, asked, image, mask, most_pixels)
    told = images.model_dump(exclude={"created", "data"})
    seconds = round(time.perf_counter() - began, 6)
    picture = {"b64_json": images.data[0].b64_json, "created_at": images.created, "seconds": seconds}
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    details = {"input_tokens_details": {"image_tokens": 0, "text_tokens": 0}}
    yield {"type": "image_edit.completed", **picture, **told, "usage": usage | details}


def _opened(content: bytes, name: str, most_pixels: int) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "BMP", "GIF", "WEBP"))
        # By what the header claims, before any of it is unpacked.
        if most_pixels and image.width * image.height > most_pixels:
            claimed = f"{name} has {image.width}x{image.height} pixels"
            raise RequestError(f"{claimed}: at most {most_pixels} are allowed, scale it down.", param=name)
        return ImageOps.exif_transpose(image)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RequestError(f"{name} is no PNG, JPEG, WebP, GIF or BMP that can be read.", param=name) from error


def _holes(mask: Image.Image) -> Image.Image:
    return _transparent(mask) or mask.convert("L")


def _transparent(image: Image.Image) -> Image.Image | None:
    """White where a picture is transparent; None where it is so nowhere."""
    if not image.has_transparency_data:
        return None
    alpha = image.convert("RGBA").getchannel("A")
    holes = alpha.point(lambda level: 255 if level < 128 else 0)
    return holes if holes.getbbox() else None
