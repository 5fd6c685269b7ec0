"""Dataset import, the TFX pipeline that trains and evaluates the models, and its runners."""

from typing import Any

ARTIFACTS = ("Copies", "ModelCards", "Pictures")


def __getattr__(name: str) -> Any:
    """The pipeline's own artifact types, which Kubeflow looks up by package and name."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfx_pipeline.components import artifacts

    return getattr(artifacts, name)
