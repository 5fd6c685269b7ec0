"""The generator and the restorer in ONNX Runtime, exported from their PyTorch twins.

Importing this needs PyTorch, onnx, onnxscript and ONNX Runtime.
"""

import io
import logging
import warnings
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import onnxruntime
import torch

from benchmarks.speed.networks import Networks, Step
from benchmarks.speed.twins import as_tensors, twin_of


def inference(networks: Networks, name: str, inputs: Sequence[Any]) -> Step:
    """A function that runs a network on inputs of one batch size."""
    session = onnxruntime.InferenceSession(exported(networks, name, inputs), providers=["CPUExecutionProvider"])
    given = dict(zip([node.name for node in session.get_inputs()], inputs, strict=True))
    return lambda: session.run(None, given)[0]


def exported(networks: Networks, name: str, inputs: Sequence[Any]) -> bytes:
    """The network as an ONNX file."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        twin, tensors = twin_of(networks, name).eval(), tuple(as_tensors(inputs))
        program = torch.onnx.export(twin, tensors, dynamo=True, verbose=False)
    return bytes(program.model_proto.SerializeToString())
