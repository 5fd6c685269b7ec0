"""`easel doctor`: what is here, and the cure for what is not."""

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
    "studio": "`easel studio`, the page before a server that runs elsewhere",
    "c2pa": "signing pictures (`--certificate`)",
    "local": "drawing without a server in a second (`easel generate --local`)",
    "pipeline": "training (`easel run`)",
    "kubeflow": "`easel compile kubeflow`",
    "notebooks": "the notebooks",
}
"""What an extra that nothing else needs is for."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: What was found.
        cure: What to do about it; empty where all is well.
        required: Whether nothing works without it.
    """

    name: str
    state: str
    cure: str = ""
    required: bool = False

    @property
    def mark(self) -> str:
        """`ok`, `MEND` for what must be mended, and `-` for what some commands can do without."""
        return "ok" if not self.cure else "MEND" if self.required else "-"


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Look at Python, TensorFlow, the device and the optional parts; takes about ten seconds."""
    if not as_json:
        typer.echo("Looking around; importing TensorFlow takes some seconds.")
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
    cure = "" if right else "TFX 1.21 runs on Python 3.11 here: make a virtual environment with it."
    yield Finding("Python", platform.python_version(), cure, required=True)
    name, version = platform.libc_ver()
    yield Finding("C library", f"{name or 'unknown'} {version}".strip())
    yield Finding("machine", f"{platform.machine()}, {cores()} cores")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def packages() -> Iterator[Finding]:
    """The optional parts: each extra with its packages."""
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
            yield Finding(extra, state, f"{adding(extra)}.")


def installed(name: str) -> str:
    """A distribution's version, or nothing."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def device() -> Iterator[Finding]:
    """What TensorFlow would compute on."""
    if not installed("tensorflow"):
        return
    with quiet():
        import tensorflow as tf

    from models.device import cpu_has_bfloat16, device_policy

    gpus = tf.config.list_physical_devices("GPU")
    hint = "none; the quick profile is made for that. With an NVIDIA GPU: make install-gpu"
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
        return f"does not compile here: {error.message}"
    return "compiles" if float(result) == 4.0 else "computes wrongly"
