"""The settings of a run with their ranges; a profile is a set of values, which a TOML file can override."""

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, model_validator

from models.learning.settings import ConfigError, LearningConfig, Section
from models.learning.settings import Data as LearningData


class Data(LearningData):
    """The training data.

    Attributes:
        picture_size: Side of the training pictures in pixels; a multiple of 8.
        caption_length: Maximum number of tokens in a caption, including start and end; longer ones are truncated.
        unknown_words: Share of the captions in which some words are masked as unknown, 0 to 1; see
            `models.learning.settings.Data`.
        vocabulary_size: Maximum number of tokens in the vocabulary.
        max_quarantine: Maximum share of entries that may be quarantined; above it, the run stops.
    """

    vocabulary_size: Annotated[int, Field(ge=16, le=100_000)] = 8192
    max_quarantine: Annotated[float, Field(ge=0, le=1)] = 0.05


class Thresholds(Section):
    """The thresholds of a blessing. PSNR in dB; SSIM in -1..1.

    Attributes:
        perplexity_share: Maximum perplexity of the language model on withheld captions, relative to that of a unigram
            baseline. Calibration brings it to about 1 if the captions have nothing in common, so the default allows for
            chance. Set a lower value if prompts should be expanded well; the default data reach 0.1.
        generator_psnr: Minimum PSNR between a drawing and the picture with the same caption.
        generator_ssim: Minimum SSIM of the same.
        generator_gain: Minimum gain in PSNR over a drawing from another picture's caption.
        generator_over_mean: Minimum gain in PSNR over the mean training picture. Any value above 0 rejects a generator
            that draws only this picture; without a value, or below 0, a negative gain is a warning.
        generator_over_words: Minimum gain in PSNR over the picture that ridge regression predicts from the words of the
            caption. Sharp drawings may lose to such blurred pictures, so without a value it is a warning.
        generator_agreement: Minimum caption agreement, 0 to 1: the share of other captions that match a drawing less
            well than its own, as measured by a small network; about 0.5 for a generator that ignores captions. If
            pictures with the same caption differ as much as photographs do, it says more than PSNR and SSIM.
        generator_copies: Maximum share of the drawings that are copies of training pictures, in excess of the share of
            withheld pictures that count as copies.
        restorer_psnr: Minimum PSNR between a restored picture and the clean one.
        restorer_ssim: Minimum SSIM of the same.
        restorer_gain: Minimum gain in PSNR over the damaged picture.
        psnr_drop: Maximum drop in PSNR from the last blessed model.
        ssim_drop: Maximum drop in SSIM from the last blessed model.
        perplexity_share_rise: Maximum rise of `perplexity_share` over the last blessed model.
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
    """Thresholds for the worst slice of the withheld pictures; None for no threshold.

    Slices are the languages, the picture sizes and the values of each attribute in the metadata.

    Attributes:
        smallest: Minimum number of pictures in a slice.
        perplexity_share: Maximum perplexity relative to the unigram baseline.
        generator_psnr: Minimum PSNR of a drawing, in dB.
        generator_ssim: Minimum SSIM of the same.
        restorer_psnr: Minimum PSNR of a restored picture, in dB.
        restorer_ssim: Minimum SSIM of the same.
    """

    smallest: Annotated[int, Field(ge=1, le=1_000_000)] = 30
    perplexity_share: Demanded = None
    generator_psnr: Demanded = None
    generator_ssim: Demanded = None
    restorer_psnr: Demanded = None
    restorer_ssim: Demanded = None


class Retraining(Section):
    """How a run uses earlier runs.

    Attributes:
        window: Number of spans to train on, the newest ones.
        start: The initial weights: `last`, those of the last pushed models trained on other data, if there are any;
            `pretrained`, the shipped weights, which also determine the vocabulary's first words and the sizes, unless
            the config sets them; `none`, random weights.
        most_drift: Maximum distance of the data from those of the last run, 0 to 1, above what chance produces: the
            Jensen-Shannon divergence of lengths, sizes and colours, or the largest difference in the share of a word or
            a language. If a window contains as many new pictures as old ones, the divergence is at most about 0.3.
        most_skew: The same between the training pictures and the withheld ones.
        on_drift: Whether a larger distance stops the run before training or causes a warning.
    """

    window: Annotated[int, Field(ge=1, le=10_000)] = 8
    start: Literal["last", "pretrained", "none"] = "last"
    most_drift: Annotated[float, Field(gt=0, le=1)] = 0.1
    most_skew: Annotated[float, Field(gt=0, le=1)] = 0.3
    on_drift: Literal["stop", "warn"] = "warn"

    @model_validator(mode="before")
    @classmethod
    def _renamed(cls, values: Any) -> Any:
        """Accept `warm_start`, which `start` replaces, for one more release."""
        if not isinstance(values, dict) or not isinstance(values.get("warm_start"), bool):
            return values
        others = {name: value for name, value in values.items() if name != "warm_start"}
        return {"start": "last" if values["warm_start"] else "none", **others}


class Card(Section):
    """Statements for the model cards that cannot be measured.

    Attributes:
        licence: Licence of the models, such as `CC-BY-4.0`; it depends on that of the data.
        datasets: The training datasets, by their names on the Hugging Face Hub, such as `me/birds`.
        limits: Further limitations of the models, as sentences.
    """

    licence: Annotated[str, Field(min_length=1)] = "not stated"
    datasets: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()


class RunConfig(LearningConfig):
    """All settings of a run.

    Attributes:
        seed: Seed of all random choices of the run.
    """

    data: Data = Data()
    thresholds: Thresholds = Thresholds()
    slices: Slices = Slices()
    retraining: Retraining = Retraining()
    card: Card = Card()


class Profile(NamedTuple):
    """A set of settings.

    Attributes:
        settings: Values that differ from the defaults, by section.
        time: Duration of a run on two recent cores, in words.
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
        start: Overrides `retraining.start`. With `pretrained`, the sizes are those of the pretrained weights
            unless the file says otherwise; the number of steps is that of the profile.

    Raises:
        ConfigError: The profile or a setting does not exist, a value is out of range, or the file cannot be read.
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
        ConfigError: The file cannot be read.
    """
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The config {file} cannot be read: {error}.") from error


def validated(settings: dict[str, Any]) -> RunConfig:
    """Settings as a config.

    Raises:
        ConfigError: A setting does not exist, or a value is out of range.
    """
    try:
        return RunConfig.model_validate(settings)
    except ValidationError as error:
        raise ConfigError("\n".join(sentence(problem) for problem in error.errors())) from None


def pretrained_sizes() -> dict[str, Any]:
    """The settings of the pretrained weights, without numbers of steps and seed."""
    # Without importing their package, which loads TensorFlow.
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
    """The settings with these names, sections or dotted names, with the defaults for all others."""
    chosen: dict[str, Any] = {}
    for name in names:
        section, _, setting = name.partition(".")
        value = config.model_dump()[section]
        chosen = merged(chosen, {section: {setting: value[setting]} if setting else value})
    return LearningConfig.model_validate(chosen)


def merged(base: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Merge nested dictionaries; values of the second take precedence."""
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
