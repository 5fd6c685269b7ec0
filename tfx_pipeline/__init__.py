"""Data sets in, the TFX pipeline that trains and judges the models, and its runners."""

import importlib
from typing import Any

ARTIFACTS = {
    "Copies": "tfx_pipeline.judging.copying",
    "ModelCards": "tfx_pipeline.pushing.cards",
    "Pictures": "tfx_pipeline.judging.gallery",
}


def __getattr__(name: str) -> Any:
    """The own types of artifacts, since Kubeflow finds them by a package and a name alone."""
    if name not in ARTIFACTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(ARTIFACTS[name]), name)
