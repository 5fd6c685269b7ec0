"""The description of a bundle, `bundle.json`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

FACTS = "bundle.json"
FORMAT = 3


class BundleError(Exception):
    """A folder holds no bundle, or one that this release cannot read; the message is one sentence."""


def is_bundle(folder: Path) -> bool:
    """Whether a folder holds a bundle, of any format."""
    return (folder / FACTS).is_file()


@dataclass(frozen=True)
class Facts:
    """The contents of `bundle.json`.

    Attributes:
        version: version of the models, which is written into pictures.
        networks: names of the networks by file.
        picture_size: side in pixels of a picture at scale 1.
        prompts: example prompts by language.
        draws: the random numbers of a drawing: `kind` (`normal` or `uniform`), `stream` and `shape` each.
        text: `vocabulary`, `length`, `letters`, `common` words and `patterns` of the tokenizer.
        tries: number of continuations of a prompt, of which the likeliest is kept.
        penalty: nats by which a piece is less likely that an earlier one of the text excludes.
        states: shape of the LSTM's states: layers, output and cell state, rows, width.
        restorers: the restorer that refines drawings, then that for pictures of users, if it is another: `file`, and
            `tile`, `margin` and `multiple` in pixels, for large pictures.

    """

    version: int
    networks: Mapping[str, Sequence[str]]
    picture_size: int
    prompts: Mapping[str, Sequence[str]]
    draws: Sequence[Mapping[str, Any]]
    text: Mapping[str, Any]
    tries: int
    penalty: float
    states: Sequence[int]
    restorers: Sequence[Mapping[str, Any]]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the facts of a folder.

        Raises:
            BundleError: the folder holds no bundle, or one of another format.

        """
        if not is_bundle(folder):
            raise BundleError(f"{folder} holds no bundle: write one with `easel export litert {folder}`.")
        content = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise BundleError(
                f"The bundle in {folder} has format {content['format']}, and this release reads format {FORMAT}: "
                "write it again with `easel export litert`."
            )
        return cls(**{field.name: content[field.name] for field in fields(cls)})
