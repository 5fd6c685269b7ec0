"""The row of emoji, captioned with their names."""

from pathlib import Path

from benchmarks.quality import emoji
from benchmarks.quality.drawing import drawing, train_generator
from benchmarks.quality.effort import Effort, Settings

EMOJI = Settings(
    cpu={
        "data": {"picture_size": 32, "unknown_words": 0.5},
        "language": {"slots": 1, "steps": 1000},
        "drawing": {"width": 96, "style_size": 256, "noiseless": 1, "warmup_steps": 8000, "adversarial_steps": 0},
    },
    gpu={
        "data": {"picture_size": 32},
        "language": {"slots": 1, "steps": 3000},
        "drawing": {
            "width": 192,
            "style_size": 512,
            "kl_weight": 1e-2,
            "warmup_steps": 16000,
            "adversarial_steps": 0,
            "batch_size": 128,
        },
    },
)


def measure_emoji(folder: Path, effort: Effort) -> dict[str, float]:
    """Train on the emoji that are not withheld.

    Returns:
        `emoji_psnr`: PSNR in dB of drawings of the withheld ones; `emoji_r1`: how often the drawing of a training emoji
        is closest to its own picture, among 1,000; `training_minutes`.

    Raises:
        DataSetError: The folder cannot be read.
    """
    config = effort.config(EMOJI)
    seen, withheld = emoji.read_captioned(folder, size=config.data.picture_size)
    captions = [(text,) for text in seen.captions]
    generator, minutes_spent = effort.timed(lambda: train_generator(seen.pictures, captions, config, effort))
    draw = drawing(generator)
    return {
        "emoji_psnr": emoji.held_out_psnr(draw, withheld),
        "emoji_r1": emoji.retrieval(draw, seen, seed=effort.seed),
        **minutes_spent,
    }
