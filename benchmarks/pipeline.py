"""The cost of preprocessing: pictures per second, memory and disk space as the data grow, and how fast Trainers read.

Each measurement runs in a process of its own. `python -m benchmarks.pipeline steps FOLDER ROOT` runs the steps from the
folder to the files that the Trainers read, `reader FOLDER ROOT` times the reading, and `stored FOLDER COUNT` a training
on a file of random pictures, which may be larger than memory.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.entries import Entry, write_metadata
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.shapes import write_shapes

COUNTS = (1_000, 10_000, 50_000, 100_000)
DRAWN = 10_000
READER_STEPS = 100
STORED, STORED_SIZE = 4, 64
"""Random pictures in a file: how many per picture of the largest count, and their side."""
Figures = dict[str, Any]


def measure(data: Path | None, *, counts: Sequence[int] = COUNTS, say: Callable[[str], None] = print) -> Figures:
    """Run the data steps on datasets of these sizes, and time how a Trainer reads.

    Args:
        data: A folder of captioned pictures, which are repeated if there are too few; None draws shapes.
        counts: Numbers of pictures, ascending; figures without a count are those of the third.
        say: Called with a line for each measurement.

    Returns:
        The figures by name:

        - `pictures_per_s`, `memory_mb`.
        - `transformed_bytes_ratio`: bytes on disk per byte of raw pixels.
        - `seconds`: by step; `looking` computes the fingerprint and the slices.
        - `reader_share`: steps per second while reading the transformed data, relative to steps on batches in memory.
          The time to open the data is spread over a training of the quick profile.
        - `stored_share`: the same for a file of 64x64 pictures, four times as many as the last count.
        - `stored_memory_mb`, `stored_pixels_mb`: the anonymous memory of that training, and the size of the file.
        - `memory_growth_10k_to_100k`: peak memory at the last count relative to that at the second, minus 1.
        - `by_count`: the first four of these for each count.
    """
    named = counts[min(2, len(counts) - 1)]
    with tempfile.TemporaryDirectory(dir=None if data is None else data.parent, prefix=".bench-") as place:
        source = data or draw(Path(place) / "shapes", min(max(counts), DRAWN))
        by_count = {}
        for count in counts:
            folder, root = (Path(place) / f"{kind}-{count}" for kind in ("data", "root"))
            resample(source, folder, count)
            by_count[count] = child("steps", folder, root)
            say(f"{count} pictures: {by_count[count]}")
        reader = child("reader", Path(place) / f"data-{named}", Path(place) / f"root-{named}")
        say(f"reading {named} pictures: {reader}")
        large = child("stored", Path(place) / "stored", STORED * max(counts))
        say(f"reading {STORED * max(counts)} pictures from a file: {large}")
    memory = [by_count[count]["memory_mb"] for count in (counts[min(1, len(counts) - 1)], counts[-1])]
    return {
        **by_count[named],
        "memory_growth_10k_to_100k": round(memory[1] / memory[0] - 1, 3),
        **reader,
        **large,
        "by_count": by_count,
    }


def draw(folder: Path, count: int) -> Path:
    """A dataset of shapes."""
    folder.mkdir()
    write_shapes(folder, count=count, size=32, seed=0)
    return folder


def resample(source: Path, folder: Path, count: int) -> None:
    """A dataset of `count` hard links to pictures of another one on the same disk, which are repeated if necessary."""
    entries = read_folder(source, decode=False).entries
    (folder / "images").mkdir(parents=True)
    made: list[Entry] = []
    for number in range(count):
        entry = entries[number % len(entries)]
        name = f"images/{number:07}{Path(entry.file_name).suffix}"
        os.link(source / entry.file_name, folder / name)
        made.append(replace(entry, file_name=name))
    write_metadata(folder / "metadata.jsonl", made)


def child(what: str, folder: Path, other: Path | int) -> Figures:
    """Run a measurement in a process of its own."""
    command = [sys.executable, "-m", __name__, what, str(folder), str(other)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def steps(folder: Path, place: str) -> Figures:
    """Run all steps before the Trainers."""
    from tfx_pipeline.local_run import execute, narrated, source_of
    from tfx_pipeline.pipeline import bound, data_steps
    from tfx_pipeline.runs.history import History
    from tfx_pipeline.runs.root import Root

    root, config = Root(Path(place)), RunConfig()
    root.path.mkdir()
    started = time.monotonic()
    source = source_of(folder, config)
    by_step = {"looking": time.monotonic() - started}
    with narrated(root, lambda line: print(line, file=sys.stderr)) as log:
        execute(lambda: bound(root, data_steps(root, source, config).nodes), root, log)
    seconds = time.monotonic() - started
    by_step |= {step.name: step.seconds for step in History(root).run("latest").steps}
    count = len(read_folder(folder, decode=False).entries)
    written = sum(file.stat().st_size for file in transformed(root.pipeline, "*"))
    return {
        "pictures_per_s": round(count / seconds, 1),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "transformed_bytes_ratio": round(written / (count * 3 * config.data.picture_size**2), 3),
        "seconds": {name: round(taken, 2) for name, taken in by_step.items()},
    }


def transformed(pipeline: Path, split: str) -> list[Path]:
    """The files that the Trainers read."""
    return sorted(pipeline.glob(f"Transform/transformed_examples/*/Split-{split}/*"))


def reader(_: Path, place: str) -> Figures:
    """Train the restorer on the transformed data of a folder, and on batches in memory."""
    from models.learning.inputs import picture_batches
    from tfx_pipeline.training.records import read_captioned

    config = RunConfig()
    settings, files = config.restoration, [str(file) for file in transformed(Path(place) / "pipeline", "train")]
    started = time.monotonic()
    size, length = config.data.picture_size, config.data.caption_length
    data = read_captioned(files, picture_size=size, caption_length=length)[0]
    reading = (time.monotonic() - started) / settings.steps
    batches = picture_batches(data.image, batch_size=settings.batch_size, seed=0).dataset()
    memory, read = step_seconds(config, batches)
    return {"reader_share": round(memory / (read + reading), 3)}


def stored(folder: Path, count: str) -> Figures:
    """Train the restorer on random pictures in a file, and on batches in memory."""
    import numpy as np

    from benchmarks.held import peak_held
    from models.learning.inputs import picture_batches
    from models.learning.stored import PART, mapped

    folder.mkdir()
    chances, config = np.random.default_rng(0), RunConfig()
    with (folder / "image.uint8").open("wb") as file:
        for _ in range(-(-int(count) // PART)):
            file.write(chances.bytes(PART * STORED_SIZE**2 * 3))
    with peak_held() as peak:
        pictures = mapped(folder / "image.uint8", np.uint8).reshape(-1, STORED_SIZE, STORED_SIZE, 3)
        batches = picture_batches(pictures, batch_size=config.restoration.batch_size, seed=0)
        memory, read = step_seconds(config, batches.dataset())
    return {
        "stored_share": round(memory / read, 3),
        "stored_memory_mb": round(peak.mib),
        "stored_pixels_mb": round(pictures.nbytes / 2**20),
    }


def step_seconds(config: RunConfig, batches: Any) -> tuple[float, float]:
    """Seconds per step of the restorer on batches in memory, and on a dataset of batches."""
    import itertools

    import tensorflow as tf

    from models.restorer import Restorer
    from models.restorer_training import RestorerTraining

    settings = config.restoration
    restorer = Restorer(widths=settings.widths, depth=settings.depth, half_depth=settings.half_depth)
    training = RestorerTraining(restorer, psnr_weight=settings.psnr_weight, ssim_weight=settings.ssim_weight)
    training.compile(optimizer="adam", jit_compile=False)
    kept = tf.data.Dataset.from_tensor_slices(stacked(list(itertools.islice(batches, 8)))).repeat()
    training.fit(kept, steps_per_epoch=5, verbose=0)
    # Alternately, so that other load on the machine affects both.
    times = {"memory": 0.0, "reader": 0.0}
    for _ in range(4):
        for name, source in (("memory", kept), ("reader", batches)):
            started = time.monotonic()
            training.fit(source, steps_per_epoch=READER_STEPS // 4, verbose=0)
            times[name] += time.monotonic() - started
    return times["memory"] / READER_STEPS, times["reader"] / READER_STEPS


def stacked(batches: list[dict[str, Any]]) -> dict[str, Any]:
    """Batches, stacked into one dictionary of tensors."""
    import tensorflow as tf

    return {name: tf.stack([batch[name] for batch in batches]) for name in batches[0]}


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _, what, folder, other = sys.argv
    print(json.dumps({"steps": steps, "reader": reader, "stored": stored}[what](Path(folder), other)))
