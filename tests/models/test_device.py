from pathlib import Path

import pytest
import tensorflow as tf

from models.device import cpu_has_bfloat16, device_policy


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2 avx512f avx512_bf16 sha_ni", True),
        ("fpu avx2 amx_bf16 amx_tile", True),
        ("fpu avx2 avx512f avx512_vnni", False),
        ("", False),
    ],
)
def test_the_processor_says_whether_it_has_bfloat16(tmp_path: Path, flags: str, expected: bool) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: spectre_v1\n", encoding="utf-8")
    assert cpu_has_bfloat16(cpuinfo) is expected


def test_a_processor_that_says_nothing_has_no_bfloat16(tmp_path: Path) -> None:
    assert cpu_has_bfloat16(tmp_path / "nowhere") is False


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="the policy of a machine without a GPU")
def test_without_a_gpu_xla_compiles_what_has_no_convolutions() -> None:
    policy = device_policy()
    assert (policy.device, policy.jit_dense, policy.jit_convolution) == ("cpu", True, False)
    assert policy.precision == ("mixed_bfloat16" if cpu_has_bfloat16() else "float32")
    assert device_policy() is policy
