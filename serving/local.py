"""The client without a server: the same calls, answered by SavedModels in this process."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from serving.client import Client, ServingError
from serving.server.errors import StatusError
from serving.server.servable import Servable


class LocalClient(Client):
    """Answers from the newest version of each model in a folder, loaded at its first use.

    Args:
        models: A folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, models: Path) -> None:
        super().__init__("local")
        self.models = models
        self._servables: dict[str, Servable] = {}

    def predict(
        self, model: str, inputs: Mapping[str, np.ndarray], *, signature: str = "serving_default"
    ) -> dict[str, np.ndarray]:
        """As `Client.predict`.

        Raises:
            ServingError: The folder has no such model, or the model refuses.

        """
        if model not in self._servables:
            self._servables[model] = self._load(model)
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        try:
            outputs = self._servables[model].predict(tensors, signature=signature)
        except StatusError as error:
            raise ServingError(f'"{model}" refused the request: {error}', error.code.name) from None
        return {name: tensor.numpy() for name, tensor in outputs.items()}

    def _load(self, model: str) -> Servable:
        folder = self.models / model
        versions = [int(path.name) for path in folder.glob("[0-9]*") if (path / "saved_model.pb").is_file()]
        if not versions:
            raise ServingError(f"{folder} holds no version: train and push one with `easel run`.", "NOT_FOUND")
        return Servable(model, max(versions), folder / str(max(versions)))
