"""The policy for each device: what XLA compiles, and the precision of training.

The choices follow measurements (docs/architecture/02-models.md): on a GPU, XLA and bfloat16 are always faster; on a
CPU, XLA is faster for dense and recurrent networks, and slower than oneDNN for convolutions.
"""

import functools
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf


@dataclass(frozen=True)
class DevicePolicy:
    """How trainers compile their models.

    Attributes:
        device: `gpu` or `cpu`.
        jit_dense: Whether XLA compiles models without convolutions: the language model's training and decoding, and
            the generator's warm-up.
        jit_convolution: Whether XLA compiles models with convolutions: the adversarial phase and the restorer's
            training.
        precision: Keras dtype policy for convolutions in training; weights stay float32.
    """

    device: str
    jit_dense: bool
    jit_convolution: bool
    precision: str


@functools.cache
def device_policy() -> DevicePolicy:
    """The policy for the first device that TensorFlow sees; on a GPU, memory growth is enabled."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        precision = "mixed_bfloat16" if cpu_has_bfloat16() else "float32"
        return DevicePolicy("cpu", jit_dense=True, jit_convolution=False, precision=precision)
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    major, _ = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability", (0, 0))
    precision = "mixed_bfloat16" if major >= 8 else "float32"
    return DevicePolicy("gpu", jit_dense=True, jit_convolution=True, precision=precision)


def cpu_has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies bfloat16 natively (AVX-512 BF16 or AMX); False if this cannot be determined."""
    try:
        flags = cpuinfo.read_text(encoding="utf-8")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
