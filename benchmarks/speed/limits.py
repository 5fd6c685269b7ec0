"""What the machine can do at most, measured on the spot, and how much work a graph is."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.speed.rounds import in_turn
from models.device import device_policy

GEMM_SIDE = 1024
CONVOLUTION = (16, 64, 64, 128)
STREAM_FLOATS = 2**25


class Limits(NamedTuple):
    """Peaks of this machine, by TensorFlow's own kernels on large operands.

    Attributes:
        fp32: GFLOP/s in float32, the better of a matrix product and a 3x3 convolution.
        bf16: The same in bfloat16.
        bandwidth: GB/s between memory and processor, read and written, of arrays beyond any cache.
    """

    fp32: float
    bf16: float
    bandwidth: float


def measure_limits() -> Limits:
    """Measure them; takes a few seconds."""
    work = {"gemm": 2 * GEMM_SIDE**3, "convolution": 2 * int(np.prod(CONVOLUTION)) * 9 * CONVOLUTION[-1]}
    sides = {f"{kind} {dtype.name}": peak(kind, dtype) for kind in work for dtype in (tf.float32, tf.bfloat16)}
    # Each with itself alone: a slow side would heat or starve the others.
    milliseconds = {name: in_turn({name: run})[name].ms for name, run in sides.items()}
    rates = {name: work[name.split()[0]] / ms / 1e6 for name, ms in milliseconds.items()}
    array = tf.ones([STREAM_FLOATS])
    add = tf.function(lambda x: x + 1.0, autograph=False)
    stream = in_turn({"stream": lambda: wait(add(array))})["stream"].ms
    return Limits(
        fp32=max(rate for name, rate in rates.items() if name.endswith("float32")),
        bf16=max(rate for name, rate in rates.items() if name.endswith("bfloat16")),
        bandwidth=2 * 4 * STREAM_FLOATS / stream / 1e6,
    )


def peak(kind: str, dtype: tf.DType) -> Callable[[], object]:
    """A product or a convolution of a good size."""
    if kind == "gemm":
        square = tf.cast(tf.random.normal([GEMM_SIDE, GEMM_SIDE]), dtype)
        product = tf.function(tf.matmul, autograph=False)
        return lambda: wait(product(square, square))
    channels = CONVOLUTION[-1]
    pictures = tf.cast(tf.random.normal(CONVOLUTION), dtype)
    kernel = tf.cast(tf.random.normal([3, 3, channels, channels]), dtype)
    convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), autograph=False)
    return lambda: wait(convolve(pictures))


def wait(result: Any) -> Any:
    """The result once it is there: a GPU works on after the call has come back."""
    if device_policy().device == "gpu":
        tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
    return result


def flops(function: tf.types.experimental.ConcreteFunction) -> int:
    """Floating point operations of a graph: two for each multiply-add of matrix products and convolutions.

    Everything else (activations, sampling, text) is not counted, and a loop's body is counted once.

    Raises:
        ValueError: If a shape is not known, as it is where the function was not traced for one batch size.
    """
    return sum(multiply_adds(operation) for operation in operations(function.graph)) * 2


def operations(graph: Any) -> Iterator[Any]:
    """The operations of a graph and of the functions that it calls."""
    for operation in graph.get_operations():
        yield operation
        for attribute in operation.node_def.attr.values():
            if attribute.HasField("func"):
                name = attribute.func.name
                yield from operations(graph._get_function(name).graph)


def multiply_adds(operation: Any) -> int:
    """Of one operation."""
    match operation.type:
        case "MatMul":
            axis = 0 if operation.get_attr("transpose_a") else 1
            return product(operation.outputs[0]) * size(operation.inputs[0], axis)
        case "BatchMatMulV2":
            axis = -2 if operation.get_attr("adj_x") else -1
            return product(operation.outputs[0]) * size(operation.inputs[0], axis)
        case "Conv2D" | "DepthwiseConv2dNative":
            return product(operation.outputs[0]) * int(np.prod(operation.inputs[1].shape[:3]))
        case "Einsum":
            return einsum_multiply_adds(operation)
    return 0


def einsum_multiply_adds(operation: Any) -> int:
    """One for each combination of all indices."""
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs, strict=True):
        sizes |= {letter: size(tensor, axis) for axis, letter in enumerate(term)}
    return int(np.prod(list(sizes.values()), dtype=np.int64))


def product(tensor: tf.Tensor) -> int:
    """The number of elements."""
    return int(np.prod([size(tensor, axis) for axis in range(tensor.shape.rank)], dtype=np.int64))


def size(tensor: tf.Tensor, axis: int) -> int:
    """One side of a tensor whose shape is known."""
    if tensor.shape[axis] is None:
        raise ValueError(f"{tensor.name} has shape {tensor.shape}: trace the function for one batch size.")
    return int(tensor.shape[axis])
