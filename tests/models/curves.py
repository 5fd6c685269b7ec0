"""Losses of one training held against those of another."""

import json
from pathlib import Path

import numpy as np


def curve(folder: Path) -> dict[str, list[dict[str, float]]]:
    """The losses of each phase in the folder of a training's logs, an epoch each."""
    found: dict[str, list[dict[str, float]]] = {}
    for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        losses = json.loads(line)
        found.setdefault(losses.pop("phase"), []).append(losses)
    return found


def close(ours: list[dict[str, float]], theirs: list[dict[str, float]], within: dict[str, float]) -> None:
    """Hold two curves against each other, over their whole course."""
    assert len(ours) == len(theirs)
    for name, most in within.items():
        both = np.array([[epoch[name] for epoch in side] for side in (ours, theirs)])
        assert abs(both[0] - both[1]).mean() <= most * abs(both[0]).mean(), (name, both)


WITHIN = {
    "restorer": {"restorer": {"psnr": 0.01, "ssim": 0.05}},
    "language_model": {"language_model": {"nats_per_piece": 0.05, "word_loss": 0.05, "picture_loss": 0.1}},
    "generator": {"generator_warmup": {"reconstruction": 0.1}, "generator_adversarial": {"reconstruction": 0.15}},
}
