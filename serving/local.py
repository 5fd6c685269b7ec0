"""The client without a server: the same calls, answered by SavedModels in this process."""

from pathlib import Path
from typing import TypeVar

from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.client import Client, ServingError, Signature
from serving.requests import Ask, signatures_from
from serving.server.errors import StatusError
from serving.server.servable import Servable
from serving.server.storage import versions_on_disk
from serving.wire import serving_pb2 as wire

Answer = TypeVar("Answer")


class LocalClient(Client):
    """Answers from the newest version of each model in a folder, or the one asked for, loaded at its first use.

    A folder has no labels, so a call with one is refused, as by a server that was given none.

    Args:
        models: A folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, models: Path) -> None:
        super().__init__("local")
        self.models = models
        self._servables: dict[tuple[str, int], Servable] = {}

    def version_states(self, model: str) -> list[tuple[int, str, str]]:
        """Return the versions in the folder, newest first; each counts as available, loaded or not.

        Raises:
            ServingError: the folder holds no such model.

        """
        return [(version, "AVAILABLE", "") for version in sorted(self._versions(model), reverse=True)]

    def signatures(self, model: str) -> dict[str, Signature]:
        """Return what each signature of a model takes and gives.

        Raises:
            ServingError: the folder holds no such model.

        """
        return signatures_from(self._servable(model, None).signature_defs)

    def _predict(self, ask: Ask[Answer]) -> Answer:
        spec = ask.request.model_spec
        if spec.version_label:
            sentence = f'"{spec.name}" has no version labeled {spec.version_label}: ask for a version by its number.'
            raise ServingError(sentence, "INVALID_ARGUMENT")
        servable = self._servable(spec.name, spec.version.value if spec.HasField("version") else None)
        try:
            response = servable.answer(PredictRequest.FromString(ask.request.SerializeToString()))
        except StatusError as error:
            raise ServingError(f'"{spec.name}" refused the request: {error}', error.code.name) from None
        return ask.read(wire.PredictResponse.FromString(response.SerializeToString()))

    def _servable(self, model: str, version: int | None) -> Servable:
        versions = self._versions(model)
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            held = f"{self.models / model} holds no version {wanted}, but {sorted(versions)}."
            raise ServingError(held, "NOT_FOUND")
        if (model, wanted) not in self._servables:
            self._servables[model, wanted] = Servable(model, wanted, versions[wanted])
        return self._servables[model, wanted]

    def _versions(self, model: str) -> dict[int, Path]:
        folder = self.models / model
        versions = versions_on_disk(folder) if folder.is_dir() else {}
        if not versions:
            raise ServingError(f"{folder} holds no version: train and push one with `easel run`.", "NOT_FOUND")
        return versions
