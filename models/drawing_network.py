"""The base class of the networks of all generators."""

from typing import Any, Self

import keras

from models.language_network import LanguageNetwork


class DrawingNetwork(keras.Model):
    """A network that draws from caption embeddings, and contains the language model that computes them.

    Subclasses take the language model as the first argument of their constructor, keep it as `language_model`, and set
    `picture_size`.
    """

    language_model: LanguageNetwork
    picture_size: int

    def get_config(self) -> dict[str, Any]:
        """The arguments that the constructors of all generators have in common."""
        language_model = keras.saving.serialize_keras_object(self.language_model)
        return {**super().get_config(), "language_model": language_model, "picture_size": self.picture_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild the network and its language model."""
        return cls(keras.saving.deserialize_keras_object(config.pop("language_model")), **config)
