"""Components with an input for each of several models."""

import inspect
from collections.abc import Callable, Mapping
from inspect import Parameter
from typing import Any

from tfx.types import Artifact
from tfx.v1.dsl.components import InputArtifact, component


def component_with(inputs: Mapping[str, type[Artifact]]) -> Callable[[Callable[..., None]], Any]:
    """Make a component from a function whose last argument, such as `**models`, collects further inputs by name.

    TFX derives the inputs of a component from the signature of its function, and Kubeflow has no lists of artifacts.
    """
    annotations = {name: InputArtifact[kind] for name, kind in inputs.items()}

    def decorate(function: Callable[..., None]) -> Any:
        signature = inspect.signature(function)
        *own, gathered = signature.parameters.values()
        further = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, annotation=annotations[name]) for name in inputs]
        del function.__annotations__[gathered.name]
        function.__annotations__.update(annotations)
        function.__dict__["__signature__"] = signature.replace(parameters=[*further, *own])
        return component(function)

    return decorate
