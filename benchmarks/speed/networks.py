"""The measured networks, and how Easel runs and trains each of them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed.limits import wait
from models.backends.tensorflow import gradients_of
from models.device import device_policy
from models.drawing import DrawingModel
from models.export import frozen
from models.generator import Generator
from models.language_model import LanguageModel
from models.language_network import masked_nats
from models.learning.plane import new_generator
from models.learning.recipes import new_language_model
from models.restorer import Restorer
from models.text_to_image import TextToImage
from models.vocabulary import END
from tfx_pipeline.config import load_config

PICTURE_SIZE = 64
DECODER_WIDTH, DECODER_DEPTH = 512, 2
SEED = 0

Step = Callable[[], object]


class Networks(NamedTuple):
    """The networks of the `standard` profile at 64x64, with random weights, on which speed does not depend."""

    language_model: LanguageModel
    generator: Generator
    restorer: Restorer


def standard_networks(vocabulary: Sequence[str]) -> Networks:
    """Create the networks, with the same weights each time."""
    keras.utils.set_random_seed(SEED)
    config = load_config("standard")
    language_model = new_language_model(vocabulary, config.language, config.data.caption_length)
    generator = new_generator(language_model, config.drawing, PICTURE_SIZE)
    restoration = config.restoration
    restorer = Restorer(widths=restoration.widths, depth=restoration.depth, half_depth=restoration.half_depth)
    # Its last layer is initialized to zero, which a library might exploit.
    restorer.residual.kernel.assign(tf.random.stateless_normal(restorer.residual.kernel.shape, [SEED, 1], stddev=0.01))
    return Networks(language_model, generator, restorer)


def drawing_model(model: TextToImage) -> DrawingModel:
    """The generator of a fused model, if it is a `DrawingModel`.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(model.generator, DrawingModel):
        raise TypeError(f"{type(model.generator).__name__} is no DrawingModel: its parts cannot be timed.")
    return model.generator


def large_decoder(vocabulary: Sequence[str]) -> LanguageModel:
    """A language model of two layers of 512 units that never ends a caption before the maximum length."""
    keras.utils.set_random_seed(SEED)
    model = LanguageModel(vocabulary, length=40, width=DECODER_WIDTH, depth=DECODER_DEPTH)
    bias = model.next_piece.bias.numpy()
    bias[END] = -1e9
    model.next_piece.bias.assign(bias)
    return model


@dataclass(frozen=True)
class Inputs:
    """Random inputs of the networks for one batch size.

    Attributes:
        ids: int64[b, t], captions of random pieces of the maximum length.
        embedding: float32[b, d].
        noise: float32[b, n].
        pictures: float32[b, s, s, 3] in -1..1.
        masks: float32[b, s, s, 1].
        known: float32[b, 3], noise, blur and enlargement for the restorer.
    """

    ids: Any
    embedding: Any
    noise: Any
    pictures: Any
    masks: Any
    known: Any

    def of(self, network: str) -> list[Any]:
        """The inputs of one network."""
        return {
            "language_model": [self.ids],
            "generator": [self.noise, self.embedding],
            "restorer": [self.pictures, self.masks, self.known],
        }[network]


def inputs_for(networks: Networks, batch: int) -> Inputs:
    """Inputs as NumPy arrays, which every library accepts."""
    random = np.random.default_rng(SEED)
    model, size = networks.language_model, networks.generator.picture_size
    normal = lambda *shape: random.standard_normal(shape, np.float32)  # noqa: E731
    return Inputs(
        ids=random.integers(4, len(model.vocabulary), (batch, model.length)),
        embedding=normal(batch, model.embedding_size),
        noise=normal(batch, networks.generator.noise_size),
        pictures=np.tanh(normal(batch, size, size, 3)),
        masks=np.zeros((batch, size, size, 1), np.float32),
        known=np.full((batch, 3), 0.2, np.float32),
    )


def forward(networks: Networks, name: str, *inputs: Any, xla: bool = False) -> Any:
    """The output of one network for its inputs; the language model reads captions."""
    if name != "language_model":
        return getattr(networks, name)(list(inputs))
    model = networks.language_model
    return model(*inputs)[1] if xla else model.embed_ids(*inputs)


def our_inference(networks: Networks, name: str, inputs: list[Any], *, xla: bool) -> tuple[Step, Any]:
    """A network as Easel exports it: a function that runs it, and the graph, traced for this batch size."""
    tensors = [tf.constant(part) for part in inputs]

    def run(*parts: tf.Tensor) -> Any:
        return forward(networks, name, *parts, xla=xla)

    (with_constants,) = frozen([getattr(networks, name)], run)
    graph = tf.function(with_constants, autograph=False, jit_compile=xla).get_concrete_function(*tensors)
    return lambda: wait(graph(*tensors)), graph


def keras_inference(networks: Networks, name: str, inputs: list[Any]) -> Step:
    """A network as Keras runs it: one graph with the weights as variables."""
    model, tensors = getattr(networks, name), [tf.constant(part) for part in inputs]
    given = tensors[0] if name == "language_model" else tensors
    graph = tf.function(lambda given: model(given), autograph=False)
    return lambda: wait(graph(given)[1] if name == "language_model" else graph(given))


def training_loss(networks: Networks, name: str, given: dict[str, tf.Tensor]) -> tf.Tensor:
    """A loss that every library has: the squared error, and for the language model also the nats of the next piece.

    The targets are the input pictures at half contrast, which no untrained network returns.
    """
    if name == "language_model":
        logits, embedding = networks.language_model(given["ids"])
        return tf.reduce_mean(masked_nats(logits[:, :-1], given["ids"][:, 1:])) + tf.reduce_mean(embedding**2)
    parts = [given[part] for part in ("noise", "embedding")]
    if name == "restorer":
        parts = [given[part] for part in ("pictures", "masks", "known")]
    return tf.reduce_mean((forward(networks, name, *parts) - given["pictures"] / 2) ** 2)


def our_training(networks: Networks, name: str, inputs: Inputs) -> Step:
    """A training step of a network in Easel, by the device policy, with Adam."""
    policy, model = device_policy(), getattr(networks, name)
    networks.language_model.trainable = name == "language_model"
    networks.generator.prior.trainable = False
    if name == "restorer":
        trained = model
        model = Restorer(**trained.get_config() | {"dtype": policy.precision})
        model.set_weights(trained.get_weights())
        networks = networks._replace(restorer=model)
    variables, optimizer = model.trainable_variables, keras.optimizers.Adam(1e-4)
    optimizer.build(variables)
    given = {field: tf.constant(getattr(inputs, field)) for field in inputs.__dataclass_fields__}

    def step() -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = training_loss(networks, name, given)
        optimizer.apply(gradients_of(loss, variables, tape), variables)
        return loss

    xla = policy.jit_convolution if name == "restorer" else policy.jit_dense
    run = tf.function(step, autograph=False, jit_compile=xla)
    return lambda: run().numpy()
