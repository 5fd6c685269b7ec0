"""Checks of a request against its signature, with TensorFlow Serving's messages."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from grpc import StatusCode
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from serving.server.errors import StatusError, invalid
from serving.server.tensors import type_name

DEFAULT_SIGNATURE = "serving_default"

SignatureDef: TypeAlias = meta_graph_pb2.SignatureDef
Signatures: TypeAlias = Mapping[str, SignatureDef]


def definition_of(signatures: Signatures, name: str) -> SignatureDef:
    """Return the definition of a signature.

    Raises:
        StatusError: FAILED_PRECONDITION, there is no signature of that name.

    """
    if name not in signatures:
        raise StatusError(StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    return signatures[name]


def check_inputs(definition: SignatureDef, inputs: Mapping[str, object]) -> None:
    """Raise INVALID_ARGUMENT if an input without a default is missing, or if there is an unknown one."""
    given, known = set(inputs), set(definition.inputs)
    missing = known - given - set(definition.defaults)
    if not given - known and not missing:
        return
    lists = (
        f"{len(given)}!={len(known)} len({_braced(given)}) != len({_braced(known)}). "
        f"Sent extra: {_braced(given - known)}. Missing but required: {_braced(missing)}."
    )
    if len(given) != len(known):
        raise invalid(f"input size does not match signature: {lists}")
    alias, expected = min(given - known), _braced(known)
    raise invalid(
        f"input tensor alias not found in signature: {alias}. Inputs expected to be in the set {expected}. {lists}"
    )


def check_types(definition: SignatureDef, inputs: Mapping[str, tensor_pb2.TensorProto]) -> None:
    """Raise INVALID_ARGUMENT if an input has another type than in the signature."""
    for position, name in enumerate(sorted(inputs)):
        wanted, given = definition.inputs[name].dtype, inputs[name].dtype
        if given != wanted:
            raise invalid(f"Expects arg[{position}] to be {type_name(wanted)} but {type_name(given)} is provided")


def check_outputs(definition: SignatureDef, wanted: Sequence[str]) -> None:
    """Raise INVALID_ARGUMENT if a requested output does not exist or is requested twice."""
    for position, alias in enumerate(wanted):
        if alias not in definition.outputs:
            known = _braced(definition.outputs)
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {known}."
            )
        if alias in wanted[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")


def _braced(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
