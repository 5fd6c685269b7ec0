"""Every number that a user may change, with its range; a profile is a set of them, a TOML file overrides it."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from models.learning.settings import ConfigError, LearningConfig, Section
from models.learning.settings import Data as LearningData


class Data(LearningData):
    """What enters training.

    Attributes:
        picture_size: Side of the training pictures in pixels; a multiple of 8.
        caption_length: Most pieces in a caption, start and end included; longer ones are cut.
        unknown_words: Share of the captions that are read with some words made unknown, 0 to 1; see
            `models.learning.settings.Data`.
        vocabulary_size: Most pieces the vocabulary keeps.
        max_quarantine: Share of entries that may be unusable before the run stops.
    """

    vocabulary_size: Annotated[int, Field(ge=16, le=100_000)] = 8192
    max_quarantine: Annotated[float, Field(ge=0, le=1)] = 0.05


class Thresholds(Section):
    """What a model must reach to be blessed. PSNR in dB; SSIM in -1..1.

    Attributes:
        perplexity_share: Most of the unigram baseline's perplexity that the language model may have on withheld
            captions. Calibration brings it to about 1 where captions have nothing in common, hence the room above 1
            for chance; where prompts are to be continued well, demand less: the default data reach 0.1.
        generator_psnr: Least PSNR of a drawing against the picture that its caption describes.
        generator_ssim: Least SSIM of the same.
        generator_gain: Least PSNR of a drawing above that of a drawing from another picture's caption.
        generator_over_mean: Least PSNR of a drawing above that of the mean training picture. Any number above 0 refuses
            a generator that draws this picture; without a number, or below 0, losing to it is a warning.
        generator_over_words: Least PSNR of a drawing above that of what ridge regression predicts from the words of its
            caption. Sharp drawings may lose to such blurred pictures, so without a number it is a warning.
        generator_agreement: Least agreement of drawings with their captions, 0 to 1: the share of other captions that a
            drawing shows less well than its own, by a small network that reads pictures; about 0.5 for a generator that
            does not look at captions. Where pictures of one caption differ as much as photographs do, it says more than
            PSNR and SSIM.
        generator_copies: Most of the drawings, as a share, that may be copies of training pictures, beyond the share of
            withheld pictures that look like copies too.
        restorer_psnr: Least PSNR of a restored picture against the clean one.
        restorer_ssim: Least SSIM of the same.
        restorer_gain: Least PSNR of a restored picture above that of the damaged one.
        psnr_drop: Most PSNR that may be lost against the last blessed model.
        ssim_drop: Most SSIM that may be lost against the last blessed model.
        perplexity_share_rise: Most that `perplexity_share` may rise against the last blessed model.
    """

    perplexity_share: Annotated[float, Field(gt=0)] = 1.05
    generator_psnr: Annotated[float, Field(ge=0, le=100)] = 8.0
    generator_ssim: Annotated[float, Field(ge=-1, le=1)] = 0.02
    generator_gain: Annotated[float, Field(ge=-100, le=100)] = 0.1
    generator_over_mean: Annotated[float, Field(ge=-100, le=100)] | None = 0.1
    generator_over_words: Annotated[float, Field(ge=-100, le=100)] | None = None
    generator_agreement: Annotated[float, Field(ge=0, le=1)] = 0.0
    generator_copies: Annotated[float, Field(ge=0, le=1)] = 0.25
    restorer_psnr: Annotated[float, Field(ge=0, le=100)] = 18.0
    restorer_ssim: Annotated[float, Field(ge=-1, le=1)] = 0.5
    restorer_gain: Annotated[float, Field(ge=-100, le=100)] = 3.0
    psnr_drop: Annotated[float, Field(ge=0, le=100)] = 1.0
    ssim_drop: Annotated[float, Field(ge=0, le=2)] = 0.05
    perplexity_share_rise: Annotated[float, Field(ge=0)] = 0.05


Demanded = Annotated[float, Field(ge=-1, le=100)] | None


class Slices(Section):
    """What a model must reach on the worst slice of the pictures kept from training; without a number, nothing.

    Slices are the languages, the picture sizes and the values of each attribute in the metadata.

    Attributes:
        smallest: Pictures that a slice must hold to be judged by itself.
        perplexity_share: Most of the unigram baseline's perplexity that the language model may have.
        generator_psnr: Least PSNR of a drawing, in dB.
        generator_ssim: Least SSIM of the same.
        restorer_psnr: Least PSNR of a restored picture, in dB.
        restorer_ssim: Least SSIM of the same.
    """

    smallest: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    perplexity_share: Demanded = None
    generator_psnr: Demanded = None
    generator_ssim: Demanded = None
    restorer_psnr: Demanded = None
    restorer_ssim: Demanded = None


class Retraining(Section):
    """How runs follow one another.

    Attributes:
        window: Newest spans that a run trains on.
        start: What trainings start from: `last`, the last pushed models that learned from other data, where there are
            any; `pretrained`, the weights that come with Easel, whose words stay in the vocabulary and whose sizes the
            other settings have unless the config says otherwise; `none`, nothing.
        most_drift: Distance that the data may have from those of the last run, 0 to 1, beyond what chance produces: the
            Jensen-Shannon divergence of lengths, sizes and colours; the largest difference in the share of a word or a
            language. Where a window takes in as many new pictures as old ones, the divergence is about 0.3 at most,
            however different they are.
        most_skew: The same between the pictures to train on and those kept from training.
        on_drift: Whether more than that stops the run before it trains, or is a warning.
    """

    window: Annotated[int, Field(ge=1, le=10_000)] = 8
    start: Literal["last", "pretrained", "none"] = "last"
    most_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    most_skew: Annotated[float, Field(gt=0, le=1)] = 0.3
    on_drift: Literal["stop", "warn"] = "warn"

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        """Take `warm_start`, which `start` has replaced, for one more release."""
        if not isinstance(values, dict) or not isinstance(values.get("warm_start"), bool):
            return values
        others = {name: value for name, value in values.items() if name != "warm_start"}
        return {"start": "last" if values["warm_start"] else "none", **others}


class Card(Section):
    """What the model cards say that no measurement can.

    Attributes:
        licence: Under which the models may be used, such as `CC-BY-4.0`; the licence of the data decides.
        datasets: What the models learned from, by the names of data sets on the Hugging Face Hub, such as `me/birds`.
        limits: Further sentences on what the models cannot do.
    """

    licence: Annotated[str, Field(min_length=1)] = "not stated"
    datasets: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


class RunConfig(LearningConfig):
    """All settings of a run: those of the trainings, with what a run has beside.

    Attributes:
        seed: Seeds every random choice of the run.
    """

    data: Data = Data()
    thresholds: Thresholds = Thresholds()
    slices: Slices = Slices()
    retraining: Retraining = Retraining()
    card: Card = Card()


class Profile(NamedTuple):
    """A set of settings.

    Attributes:
        settings: Those that differ from the defaults, by section.
        time: How long a run with it takes on two recent cores, in words.
    """

    settings: dict[str, Any]
    time: str


PROFILES = {
    "brief": Profile(
        {
            "language": {"steps": 500},
            "drawing": {"warmup_steps": 1500, "adversarial_steps": 0, "scenes": {"steps": 1000}},
            "restoration": {"steps": 100},
        },
        "a few minutes from pretrained weights",
    ),
    "quick": Profile({}, "about ten minutes"),
    "standard": Profile(
        {
            "data": {"picture_size": 64},
            "language": {"width": 256, "steps": 6000},
            "drawing": {"block": 4, "warmup_steps": 30_000, "adversarial_steps": 1000},
            "restoration": {"steps": 4000},
        },
        "an hour at most, by its number of steps,",
    ),
    "photo": Profile(
        {
            "language": {"steps": 1000},
            "drawing": {"network": "photo"},
            "restoration": {"steps": 2000},
            "thresholds": {
                "generator_psnr": 6.0,
                "generator_ssim": 0.0,
                "generator_gain": 0.0,
                "generator_over_mean": None,
                "generator_agreement": 0.65,
            },
        },
        "about an hour, by its number of steps,",
    ),
}


def load_config(profile: str, file: Path | None = None, start: str | None = None) -> RunConfig:
    """The settings of a profile, overridden by a TOML file.

    Args:
        profile: `brief` (to start from weights), `quick` (minutes on a laptop), `standard` or `photo`.
        file: TOML with the sections of `RunConfig`, for example `[drawing]` and `warmup_steps = 500`.
        start: Takes the place of `retraining.start`. With `pretrained`, the sizes are those of the pretrained weights
            unless the file says otherwise; how long to train stays as the profile has it.

    Raises:
        ConfigError: If the profile or a setting does not exist, a value is out of range, or the file cannot be read.
    """
    if profile not in PROFILES:
        raise ConfigError(f"There is no profile {profile!r}: choose one of {', '.join(PROFILES)}.")
    settings, given = PROFILES[profile].settings, read_settings(file) if file else {}
    if start is not None:
        given = merged(given, {"retraining": {"start": start}})
    config = validated(merged(settings, given))
    if config.retraining.start == "pretrained":
        config = validated(merged(merged(settings, pretrained_sizes()), given))
    return config


def read_settings(file: Path) -> dict[str, Any]:
    """The settings of a TOML file.

    Raises:
        ConfigError: If it cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The config {file} cannot be read: {error}.") from error


def validated(settings: dict[str, Any]) -> RunConfig:
    """Settings as a config.

    Raises:
        ConfigError: If a setting does not exist or a value is out of range.
    """
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("\n".join(sentence(problem) for problem in error.errors())) from None


def pretrained_sizes() -> dict[str, Any]:
    """The settings of the pretrained weights, but for how long and from which seed they were trained."""
    # Not by importing their package, which loads TensorFlow.
    text = (files("models") / "pretrained" / "settings.toml").read_text(encoding="utf-8")
    return without_steps(LearningConfig.model_validate(tomllib.loads(text)).model_dump(exclude={"seed"}))


def without_steps(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings without any number of training steps."""
    return {
        name: without_steps(value) if isinstance(value, dict) else value
        for name, value in settings.items()
        if not name.endswith("steps")
    }


def only(config: RunConfig, names: Sequence[str]) -> LearningConfig:
    """The settings of these names, sections or dotted, with the defaults for all others."""
    chosen: dict[str, Any] = {}
    for name in names:
        section, _, setting = name.partition(".")
        value = config.model_dump()[section]
        chosen = merged(chosen, {section: {setting: value[setting]} if setting else value})
    return LearningConfig.model_validate(chosen)


def merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Nested dictionaries laid over one another, the second on top."""
    both = {**base, **overrides}
    for name in base.keys() & overrides.keys():
        if isinstance(base[name], dict) and isinstance(overrides[name], dict):
            both[name] = merged(base[name], overrides[name])
    return both


def sentence(problem: Any) -> str:
    """One pydantic error as a sentence."""
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"There is no setting {name}: docs/reference/settings.md lists all of them."
    return f"The setting {name} is {problem['input']!r}: {problem['msg'].lower()}."
