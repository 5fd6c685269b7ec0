"""Limits on the size of a request, checked before it runs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tensorflow.core.framework import tensor_pb2

from serving.images import PictureError, mistaken, size_of
from serving.server.errors import invalid
from serving.server.tensors import byte_size

# The first bytes of the formats that TensorFlow decodes: PNG, JPEG, GIF, BMP, WebP, and JPEG XL twice.
_DECODED = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", b"\xff\x0a", b"\0\0\0\x0cJXL ")


@dataclass(frozen=True)
class Limits:
    """The limits on a request; 0 stands for no limit.

    Attributes:
        request_bytes: size of a request, and of each of its unpacked tensors.
        rows: number of texts or pictures in a request.
        text_bytes: size of a text in UTF-8.
        picture_pixels: pixels of a picture in an input whose name ends in `_bytes`.

    """

    request_bytes: int = 0
    rows: int = 0
    text_bytes: int = 0
    picture_pixels: int = 0

    def check_sizes(self, inputs: Mapping[str, tensor_pb2.TensorProto]) -> None:
        """Raise INVALID_ARGUMENT if a decoded tensor would exceed the limit on requests."""
        for name, proto in inputs.items():
            size = byte_size(proto)
            if self.request_bytes and size > self.request_bytes:
                raise invalid(
                    f"Input {name} takes {size} bytes: at most {self.request_bytes} are allowed, send less or raise "
                    "--max_request_bytes"
                )

    def check_texts(self, inputs: Mapping[str, np.ndarray]) -> None:
        """Raise INVALID_ARGUMENT if texts or pictures are too many or too large, or if a picture is none."""
        for name, tensor in inputs.items():
            if tensor.dtype == object:
                values = tensor.ravel().tolist()
                self._check_rows(name, len(values))
                for value in values:
                    self._check_picture(name, value) if name.endswith("_bytes") else self._check_text(name, value)

    def _check_rows(self, name: str, rows: int) -> None:
        if self.rows and rows > self.rows:
            raise invalid(f"Input {name} has {rows} rows: at most {self.rows} are allowed, ask in several requests")

    def _check_text(self, name: str, value: bytes) -> None:
        if self.text_bytes and len(value) > self.text_bytes:
            raise invalid(f"A text in input {name} has {len(value)} bytes: at most {self.text_bytes} are allowed")

    def _check_picture(self, name: str, value: bytes) -> None:
        if what := mistaken(value):
            raise invalid(f'Input {name} holds {what} where the bytes of a picture belong: REST takes {{"b64": "..."}}')
        if not self.picture_pixels:
            return
        width, height = _size(name, value)
        if width * height > self.picture_pixels:
            raise invalid(
                f"A picture in input {name} has {width}x{height} pixels: at most {self.picture_pixels} are allowed, "
                "scale it down"
            )


def _size(name: str, encoded: bytes) -> tuple[int, int]:
    """Return the width and height in a picture's header, without decoding it; None if it is not a picture."""
    try:
        return size_of(encoded)
    except PictureError as error:
        # The model rejects what is not a picture; anything that it may be able to decode must be measured first.
        if encoded.startswith(_DECODED):
            raise invalid(f"The size of a picture in input {name} cannot be read: send PNG or JPEG") from error
        return 0, 0
