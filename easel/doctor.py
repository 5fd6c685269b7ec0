"""`easel doctor`: check the installation and say how to fix it."""

import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from easel.console import FAILED, adding, answer, quiet, say_next

EXTRAS = {
    "models": ("tensorflow", "keras", "tensorflow-text"),
    "serving": ("tensorflow-serving-api", "aiohttp"),
    "studio": ("aiohttp",),
    "c2pa": ("c2pa-python",),
    "local": ("ai-edge-litert",),
    "pipeline": ("tfx", "ml-metadata", "tensorflow-data-validation", "tensorboard"),
    "kubeflow": ("kfp",),
    "notebooks": ("matplotlib", "ipykernel"),
}
NEEDED = ("models", "serving")
FOR = {
    "studio": "`easel studio`, the web page for a server that runs elsewhere",
    "c2pa": "signing pictures (`--certificate`)",
    "local": "drawing without a server (`easel generate --local`)",
    "pipeline": "training (`easel run`)",
    "kubeflow": "`easel compile kubeflow`",
    "notebooks": "the notebooks",
}
"""What each optional extra is for."""


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was checked.
        state: What was found.
        cure: How to fix it; empty if there is no problem.
        required: Whether Easel does not work without it.
    """

    name: str
    state: str
    cure: str = ""
    required: bool = False

    @property
    def mark(self) -> str:
        """`ok`, `FAIL` for a problem that must be fixed, or `-` for an optional part that is missing."""
        return "ok" if not self.cure else "FAIL" if self.required else "-"


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Check Python, TensorFlow, the device and the optional extras; takes about ten seconds."""
    if not as_json:
        typer.echo("Checking the installation; importing TensorFlow takes a few seconds.")
    findings = [*interpreter(), *packages(), *device()]
    if as_json:
        answer({finding.name: asdict(finding) for finding in findings})
    else:
        for finding in findings:
            typer.echo(f"{finding.mark:4} {finding.name}: {finding.state}")
            if finding.cure:
                typer.echo(f"     {finding.cure}")
        say_next("easel data shapes --out data/shapes")
    if any(finding.cure and finding.required for finding in findings):
        raise typer.Exit(FAILED)


def interpreter() -> Iterator[Finding]:
    """Python, the C library and the machine."""
    right = sys.version_info[:2] == (3, 11)
    cure = "" if right else "TFX 1.21 needs Python 3.11: create a virtual environment with it."
    yield Finding("Python", platform.python_version(), cure, required=True)
    name, version = platform.libc_ver()
    yield Finding("C library", f"{name or 'unknown'} {version}".strip())
    yield Finding("machine", f"{platform.machine()}, {cores()} cores")


def cores() -> int:
    """The number of cores that this process can use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packages() -> Iterator[Finding]:
    """Each extra with its packages."""
    for extra, names in EXTRAS.items():
        versions = {name: installed(name) for name in names}
        present = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        absent = ", ".join(name for name, version in versions.items() if not version)
        if not absent:
            yield Finding(extra, present)
        elif extra in NEEDED:
            yield Finding(extra, f"missing {absent}", f"{adding(extra)}.", required=True)
        else:
            state = f"optional, for {FOR[extra]}; {absent} not installed"
            yield Finding(extra, state, f"To use it, {adding(extra)}.")


def installed(name: str) -> str:
    """A distribution's version, or nothing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def device() -> Iterator[Finding]:
    """The devices that TensorFlow finds, and the resulting policy."""
    if not installed("tensorflow"):
        return
    with quiet():
        import tensorflow as tf

    from models.device import cpu_has_bfloat16, device_policy

    gpus = tf.config.list_physical_devices("GPU")
    hint = "none; the quick profile is meant for CPUs. For an NVIDIA GPU, run make install-gpu"
    yield Finding("GPU", ", ".join(gpu.name for gpu in gpus) or hint)
    yield Finding("XLA", xla_works())
    yield Finding("bfloat16 on the CPU", "native" if cpu_has_bfloat16() else "emulated, so float32 is used")
    policy = asdict(device_policy())
    yield Finding("device policy", ", ".join(f"{name} {value}" for name, value in policy.items()))


def xla_works() -> str:
    """Compile and run one small function."""
    import tensorflow as tf

    try:
        result = tf.function(lambda x: x * 2, jit_compile=True)(tf.constant(2.0))
    except tf.errors.OpError as error:
        return f"fails to compile: {error.message}"
    return "compiles" if float(result) == 4.0 else "computes wrong results"
