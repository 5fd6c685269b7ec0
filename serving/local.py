"""The client without a server: the same calls, answered by models in this process."""

from pathlib import Path
from typing import Protocol, TypeVar

from serving.bundle.facts import is_bundle
from serving.client import Client, ServingError, Signature
from serving.requests import Ask
from serving.wire import serving_pb2 as wire

Answer = TypeVar("Answer")


class Models(Protocol):
    """The interface of models that answer requests."""

    def versions(self, model: str) -> list[int]:
        """The versions of a model, newest first."""

    def signatures(self, model: str) -> dict[str, Signature]:
        """The inputs and outputs of each signature of a model."""

    def answer(self, request: wire.PredictRequest) -> wire.PredictResponse:
        """Answer a request."""


class LocalClient(Client):
    """Runs models in this process, from a bundle, which needs no TensorFlow, or from the SavedModels of a folder.

    For SavedModels, this is the newest version or the requested one, loaded at its first use. Neither has labels, so a
    call with a label is an error, as with a server without labels.

    Args:
        models: A bundle written by `easel export litert`, or a folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, models: Path) -> None:
        super().__init__("local")
        self._models = models_in(models)

    def version_states(self, model: str) -> list[tuple[int, str, str]]:
        """Return the versions in the folder, newest first, all as available.

        Raises:
            ServingError: the folder holds no such model.

        """
        return [(version, "AVAILABLE", "") for version in self._models.versions(model)]

    def signatures(self, model: str) -> dict[str, Signature]:
        """Return the inputs and outputs of each signature of a model.

        Raises:
            ServingError: the folder holds no such model.

        """
        return self._models.signatures(model)

    def _predict(self, ask: Ask[Answer]) -> Answer:
        spec = ask.request.model_spec
        if spec.version_label:
            sentence = f'"{spec.name}" has no version labeled {spec.version_label}: ask for a version by its number.'
            raise ServingError(sentence, "INVALID_ARGUMENT")
        return ask.read(self._models.answer(ask.request))


def models_in(folder: Path) -> Models:
    """Load the models of a folder, importing only the library that runs them."""
    if is_bundle(folder):
        from serving.bundle.answering import BundledModels

        return BundledModels(folder)
    from serving.saved_models import SavedModels

    return SavedModels(folder)
