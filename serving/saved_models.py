"""Answering requests with the SavedModels of a folder, in this process."""

from pathlib import Path

from tensorflow_serving.apis.predict_pb2 import PredictRequest

from serving.requests import ServingError, Signature, signatures_from
from serving.server.errors import StatusError
from serving.server.servable import Servable
from serving.server.storage import versions_on_disk
from serving.wire import serving_pb2 as wire


class SavedModels:
    """The newest version of each model, or the requested one, loaded at its first use.

    Args:
        folder: a folder of `<model>/<version>/saved_model.pb`.

    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servables: dict[tuple[str, int], Servable] = {}

    def versions(self, model: str) -> list[int]:
        """The versions of a model, newest first.

        Raises:
            ServingError: NOT_FOUND, the folder holds no such model.

        """
        return sorted(self._on_disk(model), reverse=True)

    def signatures(self, model: str) -> dict[str, Signature]:
        """What each signature takes and gives.

        Raises:
            ServingError: NOT_FOUND, the folder holds no such model.

        """
        return signatures_from(self._servable(model, None).signature_defs)

    def answer(self, request: wire.PredictRequest) -> wire.PredictResponse:
        """Answer a request.

        Raises:
            ServingError: there is no such model, version or signature, or an input is wrong.

        """
        spec = request.model_spec
        servable = self._servable(spec.name, spec.version.value if spec.HasField("version") else None)
        try:
            response = servable.answer(PredictRequest.FromString(request.SerializeToString()))
        except StatusError as error:
            raise ServingError(f'"{spec.name}" refused the request: {error}', error.code.name) from None
        return wire.PredictResponse.FromString(response.SerializeToString())

    def _servable(self, model: str, version: int | None) -> Servable:
        versions = self._on_disk(model)
        wanted = max(versions) if version is None else version
        if wanted not in versions:
            held = f"{self._folder / model} holds no version {wanted}, but {sorted(versions)}."
            raise ServingError(held, "NOT_FOUND")
        if (model, wanted) not in self._servables:
            self._servables[model, wanted] = Servable(model, wanted, versions[wanted])
        return self._servables[model, wanted]

    def _on_disk(self, model: str) -> dict[int, Path]:
        folder = self._folder / model
        versions = versions_on_disk(folder) if folder.is_dir() else {}
        if not versions:
            raise ServingError(f"{folder} holds no version: train and push one with `easel run`.", "NOT_FOUND")
        return versions
