"""The client without a server: the same calls, answered by SavedModels in this process."""

from pathlib import Path
from typing import TypeVar

from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.client import Client, ServingError
from serving.requests import Ask
from serving.server.errors import StatusError
from serving.server.servable import Servable
from serving.server.storage import versions_on_disk
from serving.wire import serving_pb2 as wire

Answer = TypeVar("Answer")


class LocalClient(Client):
    """Answers from the newest version of each model in a folder, or the one asked for, loaded at its first use.

    Args:
        models: A folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, models: Path) -> None:
        super().__init__("local")
        self.models = models
        self._servables: dict[tuple[str, int], Servable] = {}

    def _predict(self, ask: Ask[Answer]) -> Answer:
        spec = ask.request.model_spec
        servable = self._servable(spec.name, spec.version.value if spec.HasField("version") else None)
        try:
            response = servable.answer(PredictRequest.FromString(ask.request.SerializeToString()))
        except StatusError as error:
            raise ServingError(f'"{spec.name}" refused the request: {error}', error.code.name) from None
        return ask.read(wire.PredictResponse.FromString(response.SerializeToString()))

    def _servable(self, model: str, version: int | None) -> Servable:
        folder = self.models / model
        versions = versions_on_disk(folder) if folder.is_dir() else {}
        if not versions:
            raise ServingError(f"{folder} holds no version: train and push one with `easel run`.", "NOT_FOUND")
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            raise ServingError(f"{folder} holds no version {wanted}, but {sorted(versions)}.", "NOT_FOUND")
        if (model, wanted) not in self._servables:
            self._servables[model, wanted] = Servable(model, wanted, versions[wanted])
        return self._servables[model, wanted]
