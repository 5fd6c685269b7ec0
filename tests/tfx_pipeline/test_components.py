import json
import shutil
from pathlib import Path

import pytest
from tfx.types import Artifact
from tfx.types.standard_artifacts import Model, ModelBlessing
from tfx.v1.dsl.components import OutputArtifact, Parameter

from tfx_pipeline.components.signatures import component_with
from tfx_pipeline.pushing.cards import CARD_FILES, ModelCard
from tfx_pipeline.pushing.versions import LARGEST, PARTS_FILE, push, same_model, same_tree


@component_with({"first": Model, "second": ModelBlessing})
def Gatherer(greeting: Parameter[str], blessing: OutputArtifact[ModelBlessing], **given: Artifact) -> None:
    said = [greeting, *(f"{name}: {artifact.type_name}" for name, artifact in given.items())]
    blessing.set_string_custom_property("said", ", ".join(said))


def test_a_component_takes_inputs_that_its_function_does_not_name() -> None:
    assert {name: channel.type for name, channel in Gatherer.SPEC_CLASS.INPUTS.items()} == {
        "first": Model,
        "second": ModelBlessing,
    }
    blessing = ModelBlessing()
    inputs = {"first": [Model()], "second": [ModelBlessing()]}
    Gatherer.EXECUTOR_SPEC.executor_class().Do(inputs, {"blessing": [blessing]}, {"greeting": "hello"})
    assert blessing.get_string_custom_property("said") == "hello, first: Model, second: ModelBlessing"


def saved_model(folder: Path, content: str = "graph") -> Path:
    """Files where a SavedModel has them."""
    for name in ("saved_model.pb", "variables/variables.index", "assets.extra/model.keras"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content} {name}")
    return folder


def card(version: int) -> ModelCard:
    """A card that says little."""
    known = {"data": {}, "config": {}, "metrics": {}, "warm_start": "", "limits": []}
    told = {"model": "restorer", "task": "image-to-image", "use": "Restores pictures.", "licence": "CC0-1.0"}
    return ModelCard(**told, version=version, commit="", **known)


def versions(base: Path) -> list[str]:
    """What a server would take for versions."""
    return sorted(path.name for path in base.iterdir() if path.name.isdigit())


def test_a_pushed_version_is_the_whole_model(tmp_path: Path) -> None:
    model = saved_model(tmp_path / "model")
    place = push(model, tmp_path / "pushed/restorer", card(100))
    assert place == tmp_path / "pushed/restorer/100"
    assert same_tree(model, place)
    assert [path.name for path in place.parent.iterdir()] == ["100"]


def test_a_pushed_model_carries_its_card(tmp_path: Path) -> None:
    place = push(saved_model(tmp_path / "model"), tmp_path / "pushed", card(100))
    told, page = ((place / name).read_text(encoding="utf-8") for name in CARD_FILES[:2])
    assert ModelCard.model_validate_json(told) == card(100)
    assert page.startswith('---\nlicense: "cc0-1.0"\n') and "\n# restorer 100\n" in page
    assert not (tmp_path / "model" / CARD_FILES[0]).exists()


def test_a_push_that_breaks_off_shows_no_version(tmp_path: Path) -> None:
    model, base = saved_model(tmp_path / "model"), tmp_path / "pushed"
    (model / "variables/broken").symlink_to(tmp_path / "nowhere")
    with pytest.raises(shutil.Error):
        push(model, base, card(100))
    assert versions(base) == []
    (model / "variables/broken").unlink()
    assert push(model, base, card(100)).name == "100"
    assert same_tree(model, base / "100")
    assert [path.name for path in base.iterdir()] == ["100"]


def test_a_push_to_a_full_disk_leaves_what_is_served_alone(tmp_path: Path, small_disk: Path) -> None:
    first, base = saved_model(tmp_path / "model"), small_disk / "pushed"
    push(first, base, card(100))
    large = saved_model(tmp_path / "large")
    (large / "variables/variables.data").write_bytes(bytes(5_000_000))
    with pytest.raises(shutil.Error, match="No space left on device"):
        push(large, base, card(200))
    assert [path.name for path in base.iterdir()] == ["100"]
    assert same_tree(first, base / "100")


def test_what_an_interrupted_push_left_is_not_mixed_in(tmp_path: Path) -> None:
    model, base = saved_model(tmp_path / "model"), tmp_path / "pushed"
    saved_model(base / ".100.partial", "older")
    (base / ".100.partial/stray").touch()
    saved_model(base / ".99.partial")
    assert same_tree(model, push(model, base, card(100)))
    assert [path.name for path in base.iterdir()] == ["100"]


def test_an_unchanged_model_stays_where_it_is(tmp_path: Path) -> None:
    model, base = saved_model(tmp_path / "model"), tmp_path / "pushed"
    first = push(model, base, card(100))
    assert push(saved_model(tmp_path / "again"), base, card(200)) == first
    assert versions(base) == ["100"]


def test_a_changed_model_is_a_new_version(tmp_path: Path) -> None:
    base = tmp_path / "pushed"
    push(saved_model(tmp_path / "model"), base, card(100))
    assert push(saved_model(tmp_path / "other", "graf"), base, card(200)) == base / "200"
    assert versions(base) == ["100", "200"]
    assert same_tree(tmp_path / "model", base / "100")


@pytest.mark.parametrize("standing", [["300"], ["300", "²", "9" * 30], ["0300", "7"]])
def test_a_version_above_the_clock_is_pushed_over(tmp_path: Path, standing: list[str]) -> None:
    for name in standing:
        saved_model(tmp_path / "pushed" / name, f"older {name}")
    place = push(saved_model(tmp_path / "model"), tmp_path / "pushed", card(200))
    assert place.name == "301"
    assert json.loads((place / CARD_FILES[0]).read_text(encoding="utf-8"))["version"] == 301


def test_no_version_is_pushed_over_the_largest(tmp_path: Path) -> None:
    largest = saved_model(tmp_path / f"pushed/{LARGEST}", "older")
    with pytest.raises(ValueError, match=f"{largest} has the largest number that a version can have: move it away"):
        push(saved_model(tmp_path / "model"), tmp_path / "pushed", card(200))


def test_a_fused_model_is_unchanged_while_its_parts_are(tmp_path: Path) -> None:
    base = tmp_path / "pushed"
    for name, parts in (("100", "a\nb"), ("200", "a\nb"), ("300", "a\nc")):
        (saved_model(tmp_path / name, f"export {name}") / PARTS_FILE).write_text(parts)
        push(tmp_path / name, base, card(int(name)))
    assert versions(base) == ["100", "300"]


def test_a_model_with_parts_is_not_one_without(tmp_path: Path) -> None:
    fused, plain = saved_model(tmp_path / "fused"), saved_model(tmp_path / "plain")
    assert same_model(fused, plain)
    (fused / PARTS_FILE).write_text("a\nb")
    assert not same_model(fused, plain)


def test_only_the_newest_version_counts_as_unchanged(tmp_path: Path) -> None:
    base = tmp_path / "pushed"
    push(saved_model(tmp_path / "model"), base, card(9))
    push(saved_model(tmp_path / "other", "graf"), base, card(10))
    assert push(tmp_path / "model", base, card(11)) == base / "11"


def test_what_is_no_version_is_passed_over(tmp_path: Path) -> None:
    base = tmp_path / "pushed"
    saved_model(base / "notes")
    assert push(saved_model(tmp_path / "model"), base, card(100)).name == "100"


def test_trees_are_the_same_by_names_and_bytes(tmp_path: Path) -> None:
    first, second = saved_model(tmp_path / "first"), saved_model(tmp_path / "second")
    assert same_tree(first, second)
    (second / "more").touch()
    assert not same_tree(first, second)
    (first / "more").write_text("x")
    assert not same_tree(first, second)
    (second / "more").write_text("y")
    assert not same_tree(first, second)
    (second / "more").write_text("x")
    assert same_tree(first, second)
    (second / "more").rename(second / "less")
    assert not same_tree(first, second)
