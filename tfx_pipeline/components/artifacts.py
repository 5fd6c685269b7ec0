"""The pipeline's own artifact types."""

from tfx.types import Artifact


class Copies(Artifact):
    """A file `copies.npz` with the arrays of `Suspects`."""

    TYPE_NAME = "tfx_pipeline.Copies"


class ModelCards(Artifact):  # type: ignore[misc]
    """The cards of a run's models, `<model>.json` each, and sheets of samples, `<model>.png`."""

    TYPE_NAME = "tfx_pipeline.ModelCards"


class Pictures(Artifact):
    """A file `pictures.npz` with the arrays of `Exhibits`."""

    TYPE_NAME = "tfx_pipeline.Pictures"
