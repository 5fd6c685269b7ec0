import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import annotated_types
import pytest
from pydantic.fields import FieldInfo

from easel.runs import plan
from models.learning.settings import ConfigError, LearningConfig, Section
from models.pretrained import HERE
from tfx_pipeline.config import PROFILES, Profile, RunConfig, load_config, merged, without_steps


def sections(kind: type[Section] = RunConfig, prefix: str = "") -> Iterator[tuple[str, type[Section]]]:
    """Every section with the prefix of its settings' names, such as `data.`."""
    yield prefix, kind
    for name, field in kind.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            yield from sections(field.annotation, f"{prefix}{name}.")


def settings(kind: type[Section]) -> dict[str, FieldInfo]:
    """The settings of a section, without the sections inside it."""
    inner = {name for name, value in kind() if isinstance(value, Section)}
    return {name: field for name, field in kind.model_fields.items() if name not in inner}


def outside(field: FieldInfo) -> Iterator[float]:
    """A value just beyond each bound of a setting."""
    step = 1 if field.annotation is int else 1e-3
    for bound in field.metadata:
        match bound:
            case annotated_types.Ge(ge=least):
                yield least - step
            case annotated_types.Gt(gt=least):
                yield least
            case annotated_types.Le(le=most):
                yield most + step
            case annotated_types.Lt(lt=most):
                yield most
            case annotated_types.MultipleOf(multiple_of=unit):
                yield 10 * unit + 1


WRONG_BY_HAND: list[tuple[str, Any]] = [
    ("drawing.block", 3),
    ("language.steps", 10.5),
    ("language.width", "wide"),
]
WRONG = [
    (prefix + name, value)
    for prefix, kind in sections()
    for name, field in settings(kind).items()
    for value in outside(field)
] + WRONG_BY_HAND


def toml(tmp_path: Path, name: str, value: Any) -> Path:
    *section, key = name.split(".")
    told = f'"{value}"' if isinstance(value, str) else value
    file = tmp_path / "config.toml"
    head = f"[{'.'.join(section)}]\n" if section else ""
    file.write_text(f"{head}{key} = {told}\n", encoding="utf-8")
    return file


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_loads(profile: str) -> None:
    assert load_config(profile).seed == 0


def test_a_new_profile_needs_its_settings_and_its_time_alone(tmp_path: Path) -> None:
    with patch.dict(PROFILES, {"tiny": Profile({"language": {"steps": 5}}, "a minute")}):
        assert load_config("tiny").language.steps == 5
        assert plan(tmp_path, tmp_path, "tiny", None).startswith(
            f"Training on {tmp_path} with the tiny profile: a minute on two recent cores; "
        )


def test_the_standard_profile_trains_longer_than_the_quick_one() -> None:
    quick, standard = load_config("quick"), load_config("standard")
    assert quick == RunConfig()
    assert standard.drawing.warmup_steps > quick.drawing.warmup_steps
    assert standard.restoration.depth == quick.restoration.depth


def test_a_file_overrides_a_profile_setting_by_setting(tmp_path: Path) -> None:
    config = load_config("standard", toml(tmp_path, "language.steps", 7))
    assert (config.language.steps, config.language.width) == (7, load_config("standard").language.width)


@pytest.mark.parametrize("profile", PROFILES)
def test_sizes_are_those_of_the_pretrained_weights_where_trainings_start_from_them(profile: str) -> None:
    config, plain = load_config(profile, start="pretrained"), load_config(profile)
    shipped = LearningConfig.model_validate(tomllib.loads((HERE / "settings.toml").read_text(encoding="utf-8")))
    ours, sizes = config.model_dump(), without_steps(shipped.model_dump(exclude={"seed"}))
    assert merged(ours, sizes) == ours
    assert (config.language.steps, config.restoration.steps) == (plain.language.steps, plain.restoration.steps)
    assert config.drawing.warmup_steps == plain.drawing.warmup_steps


def test_a_file_overrides_the_sizes_of_the_pretrained_weights(tmp_path: Path) -> None:
    file = toml(tmp_path, "language.width", 40)
    config = load_config("quick", file, "pretrained")
    assert config.language == load_config("quick", start="pretrained").language.model_copy(update={"width": 40})


def test_a_file_may_say_what_trainings_start_from_and_an_argument_has_the_last_word(tmp_path: Path) -> None:
    file = toml(tmp_path, "retraining.start", "pretrained")
    assert load_config("standard", file) == load_config("standard", start="pretrained")
    assert load_config("standard", file, "none").language == load_config("standard").language


@pytest.mark.parametrize(("value", "start"), [("true", "last"), ("false", "none")])
def test_the_former_name_of_a_start_is_taken(tmp_path: Path, value: str, start: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(f"[retraining]\nwarm_start = {value}\nwindow = 3\n")
    config = load_config("quick", file)
    assert (config.retraining.start, config.retraining.window) == (start, 3)


def test_an_unknown_start_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(
        ConfigError, match=r"retraining.start is 'cold': input should be 'last', 'pretrained' or 'none'"
    ):
        load_config("quick", start="cold")


def test_merging_keeps_what_is_not_overridden() -> None:
    base = {"a": {"x": 1, "y": 2}, "b": 3}
    assert merged(base, {"a": {"y": 4}, "c": 5}) == {"a": {"x": 1, "y": 4}, "b": 3, "c": 5}
    assert base == {"a": {"x": 1, "y": 2}, "b": 3}


def test_an_unknown_profile_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(ConfigError, match=r"There is no profile 'fast': choose one of brief, quick, standard, photo\."):
        load_config("fast")


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value}" for name, value in WRONG])
def test_a_value_out_of_range_is_refused_by_name(tmp_path: Path, name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config("quick", toml(tmp_path, name, value))
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"The setting {name} is {value!r}: ")
    assert line.endswith(".")


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("drawing.reconstruction_weights", [60.0], "drawing.reconstruction_weights.1 is "),
        ("drawing.reconstruction_weights", [60.0, -1.0], "drawing.reconstruction_weights.1 is -1.0: "),
        ("restoration.widths", [4, 96], "restoration.widths.0 is 4: "),
        ("restoration.widths", [48, 96, 96], "restoration.widths is [48, 96, 96]: "),
    ],
)
def test_a_wrong_pair_is_refused_by_place(tmp_path: Path, name: str, value: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"The setting {told}")):
        load_config("quick", toml(tmp_path, name, value))


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("name", ["thresholds.restorer_ssim", "language.learning_rate", "data.max_quarantine"])
def test_what_is_no_number_is_out_of_every_range(tmp_path: Path, name: str, value: str) -> None:
    file = tmp_path / "config.toml"
    section, key = name.split(".")
    file.write_text(f"[{section}]\n{key} = {value}\n")
    with pytest.raises(ConfigError, match=re.escape(f"The setting {name} is ")):
        load_config("quick", file)


@pytest.mark.parametrize("name", ["colour", "data.colour", "drawing.step", "restoration.Steps"])
def test_an_unknown_setting_is_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"There is no setting {name}: ")):
        load_config("quick", toml(tmp_path, name, 1))


def test_all_wrong_values_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("seed = -1\n[data]\npicture_size = 20\ncolour = 1\n")
    with pytest.raises(ConfigError) as refused:
        load_config("quick", file)
    assert len(str(refused.value).splitlines()) == 3


def test_a_section_must_be_a_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="The setting drawing is 3: "):
        load_config("quick", toml(tmp_path, "drawing", 3))


@pytest.mark.parametrize("content", [b"seed = \n", b"seed = 1\nseed = 2\n", b"# \xff\n"])
def test_a_file_that_is_no_toml_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=re.escape(f"The config {file} cannot be read: ")) as refused:
        load_config("quick", file)
    assert len(str(refused.value).splitlines()) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"The config {tmp_path / 'none.toml'} cannot be read: ")):
        load_config("quick", tmp_path / "none.toml")


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().seed = 1


def test_settings_survive_their_way_to_the_trainers() -> None:
    config = load_config("standard")
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("kind", [kind for _, kind in sections()], ids=lambda kind: kind.__name__)
def test_a_section_that_documents_settings_documents_all(kind: type[Section]) -> None:
    told = kind.__doc__ or ""
    assert told
    if "Attributes:" in told:
        assert [name for name in settings(kind) if f" {name}: " not in told] == []
