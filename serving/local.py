"""The client without a server: the same calls, answered by SavedModels in this process."""

from pathlib import Path
from typing import TypeVar

from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.client import Client, ServingError
from serving.requests import Ask
from serving.server.errors import StatusError
from serving.server.servable import Servable
from serving.wire import serving_pb2 as wire

Answer = TypeVar("Answer")


class LocalClient(Client):
    """Answers from the newest version of each model in a folder, loaded at its first use.

    Args:
        models: A folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, models: Path) -> None:
        super().__init__("local")
        self.models = models
        self._servables: dict[str, Servable] = {}

    def _predict(self, ask: Ask[Answer]) -> Answer:
        model = ask.request.model_spec.name
        if model not in self._servables:
            self._servables[model] = self._load(model)
        try:
            response = self._servables[model].answer(PredictRequest.FromString(ask.request.SerializeToString()))
        except StatusError as error:
            raise ServingError(f'"{model}" refused the request: {error}', error.code.name) from None
        return ask.read(wire.PredictResponse.FromString(response.SerializeToString()))

    def _load(self, model: str) -> Servable:
        folder = self.models / model
        versions = [int(path.name) for path in folder.glob("[0-9]*") if (path / "saved_model.pb").is_file()]
        if not versions:
            raise ServingError(f"{folder} holds no version: train and push one with `easel run`.", "NOT_FOUND")
        return Servable(model, max(versions), folder / str(max(versions)))
