"""Trains the network `photo` on a machine with JAX, Keras and Pillow, but without TensorFlow.

    KERAS_BACKEND=jax python -m benchmarks.quality.photo_program PACK OUT --seconds S

PACK was written by `photo_packing.py`. OUT receives the averaged weights of the generator in half precision, a grid of
drawings, the losses and the figures. The training takes as many steps as fit into the time, which includes everything
from the imports to writing the files.
"""

import argparse
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

STARTED = monotonic()

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from PIL import Image  # noqa: E402

from models.backends.jax import Values  # noqa: E402
from models.optimizers import Adam  # noqa: E402
from models.photo_critic import PhotoCritic  # noqa: E402
from models.photo_network import PhotoNetwork  # noqa: E402
from models.photo_training import PhotoTraining, falling  # noqa: E402
from models.tensors import Tensor, to_uint8  # noqa: E402

WEIGHTS, SAMPLES, LOSSES, FIGURES = "weights.npz", "samples.png", "losses.jsonl", "figures.json"
FINISHING = 10.0
"""Seconds reserved for the work after the last step."""
LOOK = 50
"""Steps between two checks of the clock and the losses."""
COLUMNS = 16


class Pack(NamedTuple):
    """The data and settings of a training.

    Attributes:
        image: uint8[n, s, s, 3].
        label: int32[n], the index of a picture's caption.
        embeddings: float32[captions, d].
        settings: Settings of the language model's slots, the networks and the training.
    """

    image: NDArray[np.uint8]
    label: NDArray[np.int32]
    embeddings: NDArray[np.float32]
    settings: dict[str, Any]


class Reader(keras.layers.Layer):
    """Replaces the language model: a network needs only the shape of the embedding."""

    def __init__(self, slots: int, embedding_size: int) -> None:
        super().__init__()
        self.slots = slots
        self.embedding_size = embedding_size


class TimedTraining(PhotoTraining):
    """A training whose progress is set from outside, because it depends on the time and not on the number of steps."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, steps=1, **kwargs)
        self.share = self.add_weight(shape=(), initializer="zeros", trainable=False, name="progress")

    @property
    def progress(self) -> Tensor:
        """The finished share of the training, 0..1."""
        return keras.ops.convert_to_tensor(self.share)


def read_pack(file: Path) -> Pack:
    """Read a pack, and decode its pictures on all cores."""
    with np.load(file) as content:
        parts = {name: content[name] for name in content.files}
    encoded = np.split(parts["encoded"], parts["ends"][:-1])
    with ThreadPoolExecutor() as pool:
        image = np.stack(list(pool.map(decoded, encoded, chunksize=500)))
    return Pack(image, parts["label"], parts["embeddings"], json.loads(str(parts["settings"])))


def decoded(encoded: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Decode a picture, uint8[s, s, 3]."""
    return np.asarray(Image.open(io.BytesIO(encoded.tobytes())).convert("RGB"))


def new_training(pack: Pack, *, dtype: str) -> TimedTraining:
    """The networks and optimizers for the settings."""
    settings, size = pack.settings, pack.image.shape[1]
    keras.utils.set_random_seed(settings["seed"])
    generator = PhotoNetwork(
        Reader(settings["slots"], pack.embeddings.shape[-1]), picture_size=size, **settings["generator"], dtype=dtype
    )
    generator.adapt(pack.embeddings)
    critic = PhotoCritic(size, pack.embeddings.shape[-1], **settings["critic"], dtype=dtype)
    rate, average = settings["learning_rate"], settings["average"]
    training = TimedTraining(
        generator,
        critic,
        critic_optimizer=Adam(rate, beta_1=0.0, beta_2=0.99),
        seed=settings["seed"],
        **settings["training"],
    )
    training.compile(optimizer=Adam(rate, beta_1=0.0, beta_2=0.99, use_ema=True, ema_momentum=average))
    training.optimizer.build(generator.trainable_variables)
    return training


class Run:
    """A training in progress, with the values of its variables on the device.

    Args:
        training: The training.
        pack: Its data.
    """

    def __init__(self, training: TimedTraining, pack: Pack) -> None:
        self.training = training
        self.peak = pack.settings["learning_rate"]
        self.groups = (
            training.trainable_variables,
            training.non_trainable_variables,
            training.optimizer.variables,
            training.metrics_variables,
        )
        self.state: tuple[Values, ...] = tuple(
            [jax.device_put(each.value, jax.devices()[0]) for each in group] for group in self.groups
        )
        self.places = {
            id(variable): (state, place)
            for state, group in enumerate(self.groups)
            for place, variable in enumerate(group)
        }
        self.arrays = tuple(jax.device_put(each) for each in (pack.image, pack.label, pack.embeddings))

    def traced(self, state: tuple[Values, ...], arrays: tuple[jax.Array, ...], rows: jax.Array) -> Any:
        """A step: from the values and the rows of a batch to the losses and the new values."""
        image, label, embeddings = arrays
        return self.training.train_step(state, {"image": image[rows], "embedding": embeddings[label[rows]]})

    def compile(self, batch_size: int) -> float:
        """Compile the step; returns its number of floating-point operations as counted by XLA."""
        lowered = jax.jit(self.traced, donate_argnums=0).lower(self.state, self.arrays, np.zeros(batch_size, np.int32))
        self.step = lowered.compile()
        return float((self.step.cost_analysis() or {}).get("flops", 0.0))

    def take(self, rows: NDArray[np.int32]) -> dict[str, jax.Array]:
        """Take a step on some rows, and return its losses without waiting for them."""
        losses, self.state = self.step(self.state, self.arrays, rows)
        return dict(losses)

    def tell(self, progress: float) -> None:
        """Set the progress of the training, and the learning rates accordingly."""
        rate = self.peak * float(falling(progress))
        self.put(self.training.share, progress)
        for optimizer in (self.training.optimizer, self.training.critic_optimizer):
            self.put(optimizer.learning_rate, rate)

    def put(self, variable: keras.Variable, value: float) -> None:
        """Set the value of a variable, a scalar."""
        group, place = self.places[id(variable)]
        self.state[group][place] = jax.numpy.asarray(value, variable.dtype)

    def finish(self) -> PhotoNetwork:
        """Assign the values to the variables, and to the generator the averages of its weights."""
        for group, state in zip(self.groups, self.state, strict=True):
            for variable, value in zip(group, state, strict=True):
                variable.assign(value)
        generator = self.training.generator
        self.training.optimizer.finalize_variable_values(generator.trainable_variables)
        return generator


def rows_of(total: int, batch_size: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """The rows of each batch; every epoch has a new order."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(total).astype(np.int32)
        yield from order[: total // batch_size * batch_size].reshape(-1, batch_size)


def train(pack: Pack, out: Path, *, seconds: float, dtype: str) -> dict[str, Any]:
    """Train until the time is over, and write the results.

    Args:
        pack: The data and settings.
        out: The folder to write to.
        seconds: Maximum duration in seconds since `STARTED`.
        dtype: Keras' dtype policy for the convolutions.

    Returns:
        `device`; `steps`; `pictures`, the number drawn for updates of the generator; `seconds` in total; `compile_s`;
        `steps_per_s` without compilation; `flops_per_step` as counted by XLA; and the last losses by name.
    """
    batch_size = pack.settings["batch_size"]
    # One operation at a time, which compiles faster on the CPU.
    with jax.default_device(jax.devices("cpu")[0]):
        training = new_training(pack, dtype=dtype)
    run = Run(training, pack)
    ready = monotonic()
    flops = run.compile(batch_size)
    begun, end = monotonic(), STARTED + seconds - FINISHING
    print(f"ready in {ready - STARTED:.0f} s, compiled in {begun - ready:.0f} s", flush=True)
    rows, done, losses = rows_of(len(pack.image), batch_size, pack.settings["seed"]), 0, {}
    with (out / LOSSES).open("w", encoding="utf-8", buffering=1) as log:
        while done == 0 or monotonic() < end:
            run.tell(min(1.0, (monotonic() - begun) / max(end - begun, 1e-6)))
            for _ in range(LOOK):
                last = run.take(next(rows))
            losses = {name: float(value) for name, value in last.items()}
            done += LOOK
            log.write(json.dumps({"step": done, "seconds": round(monotonic() - STARTED, 2), **losses}) + "\n")
            if done % (20 * LOOK) == 0:
                print(done, losses, flush=True)
    spent = monotonic() - begun
    generator = run.finish()
    save(generator, out)
    figures = {
        "device": jax.devices()[0].device_kind,
        "steps": done,
        "pictures": done * batch_size,
        "compile_s": round(begun - ready, 1),
        "steps_per_s": round(done / spent, 2),
        "flops_per_step": flops,
        "seconds": round(monotonic() - STARTED, 1),
        **losses,
    }
    (out / FIGURES).write_text(json.dumps(figures), encoding="utf-8")
    write_samples(generator, pack, out / SAMPLES)
    return figures


def own_weights(generator: PhotoNetwork) -> list[keras.Variable]:
    """The weights of a generator, without those of its language model."""
    others = {id(each) for each in generator.language_model.weights}
    return [each for each in generator.weights if id(each) not in others]


def save(generator: PhotoNetwork, out: Path) -> None:
    """Write the weights in half precision, except for the statistics of embeddings, which may be small."""
    weights = [keras.ops.convert_to_numpy(each) for each in own_weights(generator)]
    np.savez(out / WEIGHTS, *(each.astype("float16") if each.ndim > 1 else each for each in weights))


def write_samples(generator: PhotoNetwork, pack: Pack, file: Path) -> None:
    """Draw each caption in a row of its own, with noise of seed 0."""
    count = len(pack.embeddings)
    noise = np.random.default_rng(0).standard_normal((COLUMNS, generator.noise_size)).astype("float32")
    inputs = [jax.numpy.tile(noise, [count, 1]), jax.numpy.repeat(pack.embeddings, COLUMNS, axis=0)]
    groups = generator.trainable_variables, generator.non_trainable_variables
    # As arguments, because folding constants would take XLA longer than drawing.
    weights = [[each.value for each in group] for group in groups]
    drawn = np.asarray(jax.jit(lambda weights: to_uint8(generator.stateless_call(*weights, inputs)[0]))(weights))
    rows = drawn.reshape(count, COLUMNS, *drawn.shape[1:])
    Image.fromarray(np.concatenate([np.concatenate(list(row), axis=1) for row in rows])).save(file)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--dtype", default="mixed_bfloat16")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    pack = read_pack(options.pack)
    run = train(pack, options.out, seconds=options.seconds, dtype=options.dtype)
    print(json.dumps(run), flush=True)


if __name__ == "__main__":
    main()
