"""A custom network: convolutions that learn to reconstruct pictures from captions."""

from typing import Any

import keras
import tensorflow as tf

from models.drawing import DrawingModel, at_scale
from models.language_model import LanguageModel
from models.learning.captions import embedded
from models.learning.fit import Fit
from models.learning.inputs import Captioned, embedding_batches
from models.learning.settings import LearningConfig
from models.sampling import Draw
from models.tensors import to_float

NOISE = 4


@keras.saving.register_keras_serializable(package="toy")
class ToyGenerator(DrawingModel):
    """Maps an embedding and noise to a picture of twice the resolution, which is averaged down."""

    def __init__(self, language_model: LanguageModel, *, picture_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.language_model, self.picture_size = language_model, picture_size
        language_model.trainable = False
        side = picture_size // 4
        self.layers_of_it = keras.Sequential(
            [
                keras.Input((language_model.embedding_size + NOISE,)),
                keras.layers.Dense(side * side * 16, activation="relu"),
                keras.layers.Reshape((side, side, 16)),
                *(keras.layers.Conv2DTranspose(16, 4, 2, padding="same", activation="relu") for _ in range(2)),
                keras.layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh"),
            ]
        )
        self([tf.zeros([1, NOISE]), tf.zeros([1, language_model.embedding_size])])

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        return self.layers_of_it(tf.concat(inputs, -1))

    @property
    def draws(self) -> tuple[Draw, ...]:
        return (Draw("normal", 1, (NOISE,)),)

    def noise(self, embeddings: tf.Tensor, *chances: tf.Tensor) -> tf.Tensor:
        return chances[0]

    def likeliest(self, embeddings: tf.Tensor) -> tf.Tensor:
        return tf.zeros([tf.shape(embeddings)[0], NOISE])

    def sketch(self, embeddings: tf.Tensor, noise: tf.Tensor, scale: tf.Tensor | None = None) -> tf.Tensor:
        drawn = self([noise, embeddings])
        return at_scale(scale, lambda: tf.nn.avg_pool2d(drawn, 2, 2, "VALID"), lambda times: self.resized(drawn, times))

    def resized(self, drawn: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        return tf.image.resize(drawn, [self.picture_size * times] * 2, antialias=True)


class ToyTraining(keras.Model):
    """Learns to reconstruct the picture, regardless of the noise."""

    def __init__(self, generator: ToyGenerator) -> None:
        super().__init__()
        self.generator = generator
        self.built = True

    def train_step(self, batch: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        embeddings, variables = batch["embedding"], self.generator.trainable_variables
        noise = tf.random.normal([tf.shape(embeddings)[0], NOISE])
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((self.generator([noise, embeddings]) - to_float(batch["image"])) ** 2)
        self.optimizer.apply(tape.gradient(loss, [variable.value for variable in variables]), variables)
        return {"error": loss}


def learn(data: Captioned, language_model: LanguageModel, config: LearningConfig, *, fit: Fit) -> ToyGenerator:
    """The recipe: train a network on captioned pictures."""
    generator = ToyGenerator(language_model, picture_size=config.data.picture_size)
    training = ToyTraining(generator)
    training.compile(optimizer=keras.optimizers.Adam(config.drawing.learning_rate))
    captions = embedded(data, language_model, config.data.unknown_words)
    batches = embedding_batches(data.image, *captions, batch_size=config.drawing.batch_size, seed=config.seed)
    fit(training, batches, label="toy", steps=config.drawing.warmup_steps)
    return generator
