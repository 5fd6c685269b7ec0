"""A phase of training as a program for a machine with JAX but without TensorFlow.

TensorFlow compiles one step, including the batching, to StableHLO. `run_programs.py`, which needs only JAX and NumPy,
takes all steps of the phase, and the resulting variables are read back into the Keras model. The networks, losses and
optimizers are therefore implemented once, and every machine takes the same steps.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks.quality.run_programs import CODE, FIGURES, GIVEN, SPEC, START, TRAINED
from models.learning.inputs import Batches

DTYPES = {"f32": "float32", "f64": "float64", "bf16": "bfloat16", "i1": "bool", "ui8": "uint8", "i32": "int32"}
DTYPES |= {"i64": "int64"}


class ElsewhereError(Exception):
    """A phase must be trained on another machine; the message says where its program is and what to do."""


class Step(NamedTuple):
    """A traced training step.

    Attributes:
        function: From a batch's number and rows to the losses and the new values of the variables; compiled by XLA.
        captured: Its further inputs, in the order of the compiled code.
        variables: The variables that it reads and changes, in an order that depends only on the model.
        losses: The names of the losses, in order.
    """

    function: Any
    captured: list[tf.Tensor]
    variables: list[tf.Variable]
    losses: list[str]


def fit_elsewhere(model: keras.Model, batches: Batches, *, folder: Path, label: str, steps: int, **_: Any) -> None:
    """Train a compiled model on another machine: the counterpart of `fit`, in two calls.

    Args:
        model: The compiled model.
        batches: Its training data.
        folder: The folder of programs, with a subfolder for each phase.
        label: The name of the phase.
        steps: Total number of steps.

    Raises:
        ElsewhereError: The phase is not finished yet; its program has been written.
    """
    program = folder / label
    step = traced(model, batches)
    if not (program / TRAINED).exists():
        write_program(step, batches, program, steps=steps)
        raise ElsewhereError(
            f"{label} waits in {program}: copy it to a machine with JAX, run "
            "benchmarks/quality/run_programs.py on it, "
            f"bring {TRAINED} and {FIGURES} back, and give this command again."
        )
    take_trained(step, model, program)


def traced(model: keras.Model, batches: Batches) -> Step:
    """Trace one step of a compiled model."""
    names: list[str] = []

    def step(number: tf.Tensor, rows: tf.Tensor) -> list[tf.Tensor]:
        losses = model.train_step(batches.batch(number, rows))
        names[:] = sorted(losses)
        return [losses[name] for name in names]

    # The first trace finds the variables, which the second one returns.
    first = tf.function(step, autograph=False).get_concrete_function(*example(batches))
    known = {id(variable.handle): variable for variable in first.variables}
    variables = [known[id(tensor)] for tensor in first.captured_inputs if id(tensor) in known]

    def whole(number: tf.Tensor, rows: tf.Tensor) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        return step(number, rows), [tf.identity(variable) for variable in variables]

    function = tf.function(whole, jit_compile=True, autograph=False)
    return Step(function, function.get_concrete_function(*example(batches)).captured_inputs, variables, names)


def example(batches: Batches) -> tuple[tf.Tensor, tf.Tensor]:
    """The specification of a batch's number and rows."""
    return tf.zeros([], tf.int64), tf.zeros([batches.batch_size], tf.int64)


def write_program(step: Step, batches: Batches, folder: Path, *, steps: int) -> None:
    """Write a phase: the code of its step, the initial variables, and the arrays from which batches are gathered."""
    folder.mkdir(parents=True, exist_ok=True)
    compiled = step.function.experimental_get_compiler_ir(*example(batches))
    # A copy in another dialect, which only XLA for CPUs supports.
    code = re.sub(
        r"mhlo\.copy (%\w+) : (tensor<[^>]*>)", r"stablehlo.reshape \1 : (\2) -> \2", compiled(stage="stablehlo")
    )
    inputs, outputs = signature(code)
    assert len(inputs) == len(example(batches)) + len(step.captured), "XLA has taken something for a constant"
    places = {id(variable.handle): number for number, variable in enumerate(step.variables)}
    given = [tensor for tensor in step.captured if id(tensor) not in places]
    places |= {id(tensor): -1 - number for number, tensor in enumerate(given)}
    (folder / CODE).write_text(code, encoding="utf-8")
    np.savez_compressed(folder / START, *(variable.numpy() for variable in step.variables))
    np.savez_compressed(folder / GIVEN, *(tensor.numpy() for tensor in given))
    spec = {
        "steps": steps,
        "total": batches.total,
        "batch_size": batches.batch_size,
        "seed": batches.seed,
        "losses": step.losses,
        "captured": [places[id(tensor)] for tensor in step.captured],
        "inputs": inputs,
        "outputs": outputs,
    }
    (folder / SPEC).write_text(json.dumps(spec), encoding="utf-8")


def signature(code: str) -> tuple[list[Any], list[Any]]:
    """Shapes and dtypes of the inputs and outputs of a StableHLO module, `[[2, 3], "float32"]` each."""
    match = re.search(r"func\.func @main\((.*?)\) -> \(?(.*?)\)? \{\n", code)
    assert match is not None, "a module has a main function"
    return typed(match[1]), typed(match[2])


def typed(types: str) -> list[Any]:
    """The shape and dtype of every `tensor<2x3xf32>` in a text."""
    parts = [text.split("x") for text in re.findall(r"tensor<([^>]*)>", types)]
    return [[[int(side) for side in sides], DTYPES[dtype]] for *sides, dtype in parts]


def take_trained(step: Step, model: keras.Model, folder: Path) -> None:
    """Assign a program's final variables to a model, as at the end of Keras' fit."""
    with np.load(folder / TRAINED) as trained:
        for number, variable in enumerate(step.variables):
            variable.assign(trained[f"arr_{number}"])
    model.optimizer.finalize_variable_values(model.trainable_variables)
