"""The measured peak performance of this machine, and the work in a graph."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks.speed.rounds import in_turn
from models.device import device_policy

GEMM_SIDES = (1024, 2048)
CONVOLUTIONS = ((16, 64, 64, 128), (64, 64, 64, 48))
COLUMNS = 1024


class Limits(NamedTuple):
    """Peak performance of this machine, with TensorFlow's kernels on large operands.

    Attributes:
        fp32: GFLOP/s in float32, the maximum of a few matrix products and 3x3 convolutions.
        bf16: The same in bfloat16.
    """

    fp32: float
    bf16: float


def measure_limits() -> Limits:
    """Measure the limits; takes a few seconds."""
    return Limits(fp32=peak(tf.float32), bf16=peak(tf.bfloat16))


def peak(dtype: tf.DType) -> float:
    """Peak GFLOP/s in a precision."""
    products = [(2 * side**3, matrix_product(side, dtype)) for side in GEMM_SIDES]
    convolutions = [(2 * 9 * int(np.prod(shape)) * shape[-1], convolution(shape, dtype)) for shape in CONVOLUTIONS]
    # Timed separately, because a slow one would heat the processor or starve the others.
    return max(work / alone(run) / 1e6 for work, run in (*products, *convolutions))


def matrix_product(side: int, dtype: tf.DType) -> Callable[[], object]:
    """A product of two square matrices."""
    square = tf.cast(tf.random.normal([side, side]), dtype)
    product = tf.function(tf.matmul, autograph=False)
    return lambda: wait(product(square, square))


def convolution(shape: Sequence[int], dtype: tf.DType) -> Callable[[], object]:
    """A 3x3 convolution that keeps the shape of its pictures."""
    channels = shape[-1]
    pictures = tf.cast(tf.random.normal(shape), dtype)
    kernel = tf.cast(tf.random.normal([3, 3, channels, channels]), dtype)
    convolve = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"), autograph=False)
    return lambda: wait(convolve(pictures))


def reading_rate(count: int) -> float:
    """GB/s at which a product with one row reads a matrix of this size, from a cache if it fits."""
    matrix = tf.ones([max(1, count // (4 * COLUMNS)), COLUMNS])
    row = tf.ones([1, matrix.shape[0]])
    product = tf.function(tf.matmul, autograph=False)
    return 4 * int(tf.size(matrix)) / alone(lambda: wait(product(row, matrix))) / 1e6


def alone(run: Callable[[], object]) -> float:
    """Milliseconds of a call."""
    return in_turn({"alone": run})["alone"].ms


def wait(result: Any) -> Any:
    """The result as soon as it is computed: a GPU still works after a call has returned."""
    if device_policy().device == "gpu":
        tf.nest.map_structure(lambda tensor: tensor.numpy(), result)
    return result


def flops(function: tf.types.experimental.ConcreteFunction) -> int:
    """Floating point operations of a graph: two for each multiply-add of matrix products and convolutions.

    Everything else (activations, sampling, text) is not counted, and the body of a loop is counted once.

    Raises:
        ValueError: A shape is unknown, because the function was not traced for one batch size.
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
    """Floating point operations of one operation."""
    match operation.type:
        case "MatMul":
            axis = 0 if operation.get_attr("transpose_a") else 1
            return product(operation.outputs[0]) * size(operation.inputs[0], axis)
        case "BatchMatMulV2" | "BatchMatMulV3":
            axis = -2 if operation.get_attr("adj_x") else -1
            return product(operation.outputs[0]) * size(operation.inputs[0], axis)
        case "Conv2D" | "DepthwiseConv2dNative":
            return product(operation.outputs[0]) * int(np.prod(operation.inputs[1].shape[:3]))
        case "Einsum":
            return einsum_multiply_adds(operation)
    return 0


def einsum_multiply_adds(operation: Any) -> int:
    """The number of combinations of all indices."""
    terms = operation.get_attr("equation").decode().partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs, strict=True):
        sizes |= {letter: size(tensor, axis) for axis, letter in enumerate(term)}
    return int(np.prod(list(sizes.values()), dtype=np.int64))


def product(tensor: tf.Tensor) -> int:
    """The number of elements."""
    return int(np.prod([size(tensor, axis) for axis in range(tensor.shape.rank)], dtype=np.int64))


def size(tensor: tf.Tensor, axis: int) -> int:
    """One dimension of a tensor with a known shape."""
    if tensor.shape[axis] is None:
        raise ValueError(f"{tensor.name} has shape {tensor.shape}: trace the function for one batch size.")
    return int(tensor.shape[axis])
