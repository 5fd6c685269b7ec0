"""One tiny model of each kind for all tests; tests that train make their own."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from tiny_models import TO_TRY, shake, tiny_generator, tiny_language_model, tiny_restorer

from models.export import export_generator, export_language_model, export_restorer, export_text_to_image
from models.generator import Generator
from models.language_model import LanguageModel
from models.restorer import Restorer
from models.text_to_image import TextToImage


@pytest.fixture(scope="session")
def language_model() -> LanguageModel:
    model = tiny_language_model()
    shake(model, 0.5)
    return model


@pytest.fixture(scope="session")
def generator(language_model: LanguageModel) -> Generator:
    return tiny_generator(language_model)


@pytest.fixture(scope="session")
def restorer() -> Restorer:
    model = tiny_restorer()
    shake(model)
    return model


@pytest.fixture(scope="session")
def text_to_image(generator: Generator, restorer: Restorer) -> TextToImage:
    return TextToImage(generator, restorer)


@pytest.fixture(scope="session")
def exported(
    language_model: LanguageModel,
    generator: Generator,
    restorer: Restorer,
    text_to_image: TextToImage,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Path]:
    """From a model's name to its SavedModel, written when it is first asked for."""
    root = tmp_path_factory.mktemp("exported")

    @cache
    def export(name: str) -> Path:
        match name:
            case "language_model":
                export_language_model(language_model, root / name)
            case "generator":
                export_generator(generator, root / name)
            case "restorer":
                export_restorer(restorer, root / name)
            case "text_to_image":
                export_text_to_image(text_to_image, root / name, prompts=TO_TRY)
        return root / name

    return export
