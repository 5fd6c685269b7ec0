"""Weights for the default data, so that there are pictures before any training; see README.md beside this file."""

from pathlib import Path

from models.export import export_language_model, export_restorer, export_text_to_image
from models.text_to_image import TextToImage

HERE = Path(__file__).parent


def load_pretrained() -> TextToImage:
    """The models that come with the project, from three megabytes of weights."""
    return TextToImage.load(HERE)


def export_pretrained(out: Path) -> None:
    """Write them as servable SavedModels, version 1 of each, in a folder; takes half a minute."""
    model = load_pretrained()
    export_language_model(model.generator.language_model, out / "language_model" / "1")
    export_text_to_image(model, out / "text_to_image" / "1")
    export_restorer(model.restorer, out / "restorer" / "1")
