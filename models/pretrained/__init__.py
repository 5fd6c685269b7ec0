"""Weights for the storybook and for photographs, usable before any training; see README.md beside this file."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from models.vocabulary import RESERVED

if TYPE_CHECKING:
    from models.restorer import Restorer
    from models.text_to_image import TextToImage

HERE = Path(__file__).parent
ORIGIN = "pretrained"
"""How `origin` begins."""


def load_pretrained() -> "TextToImage":
    """The shipped text-to-image model; its restorer is the small one that refines drawings."""
    from models.text_to_image import TextToImage

    return TextToImage.load(HERE)


def load_restorer() -> "Restorer":
    """The shipped restorer of photographs."""
    from models.saving import load_model

    restorer: Restorer = load_model(HERE / "restorer.keras")
    return restorer


def weights_file(model: str) -> Path:
    """The file from which the training of a model starts; the generator's also contains the language model.

    A run trains a single restorer for drawings and pictures, which starts from the one that refines drawings.
    """
    return HERE / ("refiner.keras" if model == "restorer" else "generator.keras")


def origin(model: str) -> str:
    """The name of the weights of a model, with their digest: `pretrained refiner.keras 0123456789abcdef`."""
    file = weights_file(model)
    return f"{ORIGIN} {file.name} {digest(file)}"


def digest(*files: Path) -> str:
    """Digest of the contents of files, 16 hexadecimal digits."""
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def pieces() -> list[str]:
    """The vocabulary of the language model without the reserved pieces, read without loading the model."""
    with zipfile.ZipFile(weights_file("language_model")) as archive:
        config = json.loads(archive.read("config.json"))["config"]
    return list(config["language_model"]["config"]["vocabulary"][len(RESERVED) :])


def export_pretrained(out: Path) -> None:
    """Write the shipped models as SavedModels, version 1 of each, to a folder; takes half a minute."""
    from models.export import export_language_model, export_restorer, export_text_to_image

    model = load_pretrained()
    export_language_model(model.generator.language_model, out / "language_model" / "1")
    export_text_to_image(model, out / "text_to_image" / "1")
    export_restorer(load_restorer(), out / "restorer" / "1")
