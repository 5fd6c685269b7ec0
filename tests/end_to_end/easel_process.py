"""The program `easel` as a person runs it, and one root in which the whole line runs several times."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EASEL = str(Path(sys.executable).with_name("easel"))
MODELS = ("language_model", "generator", "restorer", "text_to_image")
RESTORER_STEPS = 200

TINY = """
[language]
token_size = 16
width = 32
slots = 2
slot_size = 16
steps = 200
learning_rate = 0.02
batch_size = 32

[drawing]
style_size = 16
width = 16
depth = 2
warmup_steps = 20
adversarial_steps = 20
batch_size = 16

[restoration]
widths = [8, 16]
depth = 1
steps = {restorer_steps}
batch_size = 16

[thresholds]
perplexity_share = 1.0
generator_psnr = 0
generator_ssim = -1
generator_gain = -100
generator_over_mean = -100
restorer_psnr = 0
restorer_ssim = {restorer_ssim}
restorer_gain = -100
psnr_drop = 100
ssim_drop = 2
perplexity_share_rise = 1000

[slices]
smallest = 10
restorer_ssim = -1

[retraining]
on_drift = "{on_drift}"

[card]
licence = "CC0-1.0"
limits = ["It was trained for seconds."]
"""


def easel(*arguments: object, timeout: float = 1100) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    command = [EASEL, *map(str, arguments)]
    # JAX, which other tests import, sets this one for its whole process.
    env = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=timeout, env=env)


def write_config(file: Path, *, restorer_steps: int = 20, restorer_ssim: float = -1, on_drift: str = "warn") -> Path:
    """Settings with which every model trains in seconds and passes, unless `restorer_ssim` forbids it."""
    settings = TINY.format(restorer_steps=restorer_steps, restorer_ssim=restorer_ssim, on_drift=on_drift)
    file.write_text(settings, encoding="utf-8")
    return file


def versions(root: Path) -> dict[str, list[str]]:
    """Everything that stands pushed, by model."""
    return {model.name: sorted(path.name for path in model.iterdir()) for model in sorted(root.glob("pushed/*"))}


@dataclass(frozen=True)
class Stage:
    """One `easel run`, and what stood pushed after it."""

    root: Path
    data: Path
    done: subprocess.CompletedProcess[str]
    pushed: dict[str, list[str]]

    def run(self, *arguments: object) -> "Stage":
        """Run again in the same root on the same data."""
        return run_stage(self.root, self.data, *arguments)


def run_stage(root: Path, data: Path, *arguments: object) -> Stage:
    """Run the line."""
    done = easel("run", "--data", data, "--root", root, *arguments)
    return Stage(root, data, done, versions(root))


def succeeded(stage: Stage) -> dict[str, Any]:
    """The result of a run with --json."""
    assert stage.done.returncode == 0, stage.done.stderr
    return json.loads(stage.done.stdout)
