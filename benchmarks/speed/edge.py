"""The generator and the restorer in LiteRT, the runtime for devices that bundles use.

Importing this needs `ai_edge_litert`.
"""

import os
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from benchmarks.speed.networks import Networks, Step, our_inference


def inference(networks: Networks, name: str, inputs: Sequence[Any]) -> Step:
    """A function that runs a network on inputs of one batch size, on all cores."""
    _, graph = our_inference(networks, name, list(inputs), xla=False)
    content = tf.lite.TFLiteConverter.from_concrete_functions([graph]).convert()
    interpreter = Interpreter(model_content=content, num_threads=len(os.sched_getaffinity(0)))
    interpreter.allocate_tensors()
    indices = [part["index"] for part in interpreter.get_input_details()]
    output = interpreter.get_output_details()[0]["index"]

    def run() -> Any:
        for index, value in zip(indices, inputs, strict=True):
            interpreter.set_tensor(index, value)
        interpreter.invoke()
        return interpreter.get_tensor(output)

    return run
