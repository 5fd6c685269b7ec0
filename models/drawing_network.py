"""What the networks of all generators have in common."""

from typing import Any, Self

import keras

from models.language_network import LanguageNetwork


class DrawingNetwork(keras.Model):
    """A network that draws what the embedding of a caption says, with the language model that embeds it inside.

    Subclasses take the language model as the first argument of their constructor, keep it as `language_model`, and set
    `picture_size`.
    """

    language_model: LanguageNetwork
    picture_size: int

    def get_config(self) -> dict[str, Any]:
        """The arguments that every generator's constructor has."""
        language_model = keras.saving.serialize_keras_object(self.language_model)
        return {**super().get_config(), "language_model": language_model, "picture_size": self.picture_size}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Rebuild the network and the language model that it reads with."""
        return cls(keras.saving.deserialize_keras_object(config.pop("language_model")), **config)
