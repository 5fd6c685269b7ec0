"""Configuration files: text protos, as TensorFlow Serving reads them."""

from pathlib import Path
from typing import TypeVar

from google.protobuf import text_format
from google.protobuf.message import Message

Proto = TypeVar("Proto", bound=Message)


def read_text_proto(path: Path, proto: type[Proto]) -> Proto:
    """Read one file.

    Raises:
        ValueError: the file is not such a message; the sentence says where.
        OSError: the file cannot be read.

    """
    return parse_text_proto(path.read_bytes(), proto, path)


def parse_text_proto(content: bytes, proto: type[Proto], where: object) -> Proto:
    """Parse the contents of a file.

    Raises:
        ValueError: they are not such a message; the sentence says where.

    """
    try:
        return text_format.Parse(content, proto())
    except (text_format.ParseError, UnicodeDecodeError) as error:
        name = proto.DESCRIPTOR.full_name.replace("easel.wire", "tensorflow.serving")
        raise ValueError(f"Error parsing text-format {name}: {where}: {error}") from error
