"""One policy for the device: whether XLA compiles, which precision trains, how many towers share a batch.

The choices follow measurements (docs/architecture/02-models.md): on a GPU XLA and bfloat16 win everywhere; on a CPU
XLA wins for recurrent networks and loses for convolutions, where oneDNN is faster.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf


@dataclass(frozen=True)
class DevicePolicy:
    """What the trainers ask before they compile.

    Attributes:
        device: `gpu` or `cpu`.
        jit_recurrent: Whether XLA compiles the LSTM's training and decoding.
        jit_convolution: Whether XLA compiles the generator's and the restorer's training.
        precision: Keras dtype policy for convolutions in training; weights stay float32.
        towers: How many slices of a batch the generator's step works on side by side.
    """

    device: str
    jit_recurrent: bool
    jit_convolution: bool
    precision: str
    towers: int


@functools.cache
def device_policy() -> DevicePolicy:
    """The policy for the first device that TensorFlow sees; on a GPU, memory is taken as it is needed."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        precision = "mixed_bfloat16" if cpu_has_bfloat16() else "float32"
        return DevicePolicy("cpu", jit_recurrent=True, jit_convolution=False, precision=precision, towers=2)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    major, _ = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    precision = "mixed_bfloat16" if major >= 8 else "float32"
    return DevicePolicy("gpu", jit_recurrent=True, jit_convolution=True, precision=precision, towers=1)


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 natively (AVX-512 BF16 or AMX); False where it does not say."""
    try:
        flags = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
