"""The settings of training: sizes of pictures and captions, networks, and numbers of steps."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from models.learning.networks import NETWORKS, PLANE

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
Rate = Annotated[float, Field(gt=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=1000)]
Width = Annotated[int, Field(ge=8, le=4096)]
Batch = Annotated[int, Field(ge=2, le=4096, multiple_of=2)]


def known_network(name: str) -> str:
    """Check that a network exists."""
    if name not in NETWORKS:
        raise PydanticCustomError("network", "choose one of {names}", {"names": ", ".join(NETWORKS)})
    return name


def available(wanted: bool) -> bool:
    """Check that the weights of frozen features are installed if they are wanted."""
    if wanted:
        from models.frozen_weights import checkpoint

        try:
            checkpoint()
        except ModuleNotFoundError as error:
            raise PydanticCustomError("missing", "{reason}", {"reason": str(error)}) from None
    return wanted


class ConfigError(Exception):
    """An invalid config; the message has one sentence per value."""


class Section(BaseModel):
    """A group of settings; unknown names are refused, and values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(Section):
    """The training data.

    Attributes:
        picture_size: Side of the training pictures in pixels; a multiple of 8.
        caption_length: Maximum number of tokens in a caption, including start and end; longer ones are truncated.
        unknown_words: Share of the captions in which some words are masked as unknown, 0 to 1, so that models learn to
            draw what the other words say. Useful for captions with proper names; try 0.4.
    """

    picture_size: Annotated[int, Field(ge=16, le=256, multiple_of=8)] = 32
    caption_length: Annotated[int, Field(ge=8, le=256)] = 40
    unknown_words: Annotated[float, Field(ge=0, le=1)] = 0.0


class Language(Section):
    """The language model; see `models.language_model` and `models.language_training`."""

    token_size: Width = 96
    width: Width = 128
    depth: Annotated[int, Field(ge=1, le=8)] = 1
    slots: Annotated[int, Field(ge=1, le=16)] = 3
    slot_size: Annotated[int, Field(ge=8, le=4096, multiple_of=4)] = 128
    reading_depth: Annotated[int, Field(ge=0, le=8)] = 2
    reading_width: Annotated[int, Field(ge=8, le=4096, multiple_of=4)] = 64
    steps: Steps = 2000
    batch_size: Batch = 128
    learning_rate: Rate = 1e-2
    word_weight: Weight = 0.03
    picture_weight: Weight = 50.0
    tag_weight: Weight = 0.1

    @property
    def architecture(self) -> dict[str, Any]:
        """The arguments of the network."""
        return self.model_dump(
            include={"token_size", "width", "depth", "slots", "slot_size", "reading_depth", "reading_width"}
        )


class Scenes(Section):
    """The network `scenes`; see `models.scene_network` and `models.scene_training`."""

    things: Annotated[int, Field(ge=1, le=16)] = 5
    shape_size: Annotated[int, Field(ge=1, le=64)] = 6
    colour_size: Annotated[int, Field(ge=1, le=64)] = 4
    components: Annotated[int, Field(ge=1, le=256)] = 40
    width: Annotated[int, Field(ge=8, le=4096, multiple_of=4)] = 192
    canvas: Annotated[int, Field(ge=16, le=128, multiple_of=16)] = 64
    back_canvas: Annotated[int, Field(ge=16, le=128, multiple_of=16)] = 80
    features: Annotated[int, Field(ge=4, le=256)] = 16
    back_features: Annotated[int, Field(ge=4, le=256)] = 32
    memory: Annotated[int, Field(ge=4, le=4096)] = 320
    back_memory: Annotated[int, Field(ge=4, le=4096)] = 160
    colours: Annotated[int, Field(ge=2, le=32)] = 6
    back_colours: Annotated[int, Field(ge=2, le=32)] = 8
    steps: Steps = 26_000
    batch_size: Batch = 24
    learning_rate: Rate = 1.5e-3
    kl_weight: Weight = 3e-4

    @property
    def architecture(self) -> dict[str, Any]:
        """The arguments of the network."""
        return self.model_dump(exclude={"steps", "batch_size", "learning_rate", "kl_weight"})


class Photo(Section):
    """The network `photo`; see `models.photo_network`, `models.photo_critic` and `models.photo_training`."""

    noise_size: Annotated[int, Field(ge=1, le=512)] = 64
    style_size: Width = 256
    width: Width = 48
    most_width: Width = 192
    block: Literal[1, 2] = 2
    critic_width: Width = 64
    critic_most_width: Width = 192
    steps: Steps = 12_000
    batch_size: Batch = 64
    learning_rate: Rate = 1e-3
    contrast_weight: Weight = 0.25
    penalty_weights: tuple[Weight, Weight] = (0.05, 0.005)
    penalty_every: Annotated[int, Field(ge=1, le=1000)] = 8
    augmented_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    frozen_features: Annotated[bool, AfterValidator(available)] = False


class Drawing(Section):
    """The generator: `network` chooses one of `models.learning.networks`.

    The other settings are those of the network `plane`; see `models.generator` and `models.generator_training`. The
    networks `scenes` and `photo` have sections of their own.
    """

    network: Annotated[str, AfterValidator(known_network)] = PLANE.name
    scenes: Scenes = Scenes()
    photo: Photo = Photo()
    noise_size: Annotated[int, Field(ge=1, le=512)] = 8
    components: Annotated[int, Field(ge=1, le=256)] = 16
    style_size: Width = 128
    frames: Annotated[int, Field(ge=1, le=256)] = 16
    width: Width = 64
    depth: Annotated[int, Field(ge=1, le=16)] = 4
    block: Literal[1, 2, 4] = 2
    warmup_steps: Steps = 9000
    adversarial_steps: Annotated[int, Field(ge=0, le=10_000_000)] = 300
    batch_size: Batch = 32
    learning_rate: Rate = 3e-3
    adversarial_learning_rate: Rate = 5e-4
    critic_learning_rate: Rate = 1e-3
    kl_weight: Weight = 1e-4
    adversarial_weight: Weight = 1.0
    drawn_share: Annotated[float, Field(gt=0, le=1)] = 0.25
    noiseless: Annotated[float, Field(ge=0, le=1)] = 0.2
    reconstruction_weights: tuple[Weight, Weight] = (60.0, 40.0)
    penalty_weight: Weight = 1.0
    penalty_every: Annotated[int, Field(ge=1, le=1000)] = 8

    @property
    def chosen(self) -> Self:
        """These settings, with the defaults for those that the chosen network does not read."""
        own = NETWORKS[self.network].section
        sections = {network.section for network in NETWORKS.values()}
        read = {"network", own} if own else set(type(self).model_fields) - sections
        return type(self)(**{name: getattr(self, name) for name in read})


class Restoration(Section):
    """The restorer; see `models.restorer`. Its loss is `ssim_weight` * (1 - SSIM) - `psnr_weight` * PSNR."""

    widths: tuple[Width, Width] = (32, 64)
    depth: Annotated[int, Field(ge=1, le=32)] = 2
    half_depth: Annotated[int, Field(ge=0, le=32)] = 1
    steps: Steps = 1000
    batch_size: Batch = 32
    learning_rate: Rate = 3e-3
    psnr_weight: Weight = 0.25
    ssim_weight: Weight = 0.5


class LearningConfig(Section):
    """The settings of the recipes in `models.learning.recipes`.

    Attributes:
        seed: Seed of all random choices.
    """

    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    data: Data = Data()
    language: Language = Language()
    drawing: Drawing = Drawing()
    restoration: Restoration = Restoration()
