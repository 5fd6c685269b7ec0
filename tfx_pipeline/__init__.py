"""Data sets in, the TFX pipeline that trains and judges the models, and its runners."""

from typing import Any

ARTIFACTS = ("Copies", "ModelCards", "Pictures")


def __getattr__(name: str) -> Any:
    """The own types of artifacts, since Kubeflow finds them by a package and a name alone."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tfx_pipeline.components import artifacts

    return getattr(artifacts, name)
