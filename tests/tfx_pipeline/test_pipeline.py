import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma
from pydantic import ValidationError
from toy_row import TOY, registered

from models import pretrained
from models.learning.networks import NETWORKS
from models.learning.settings import Drawing, Scenes, Section
from tfx_pipeline.config import RunConfig, Slices, Thresholds, load_config, merged
from tfx_pipeline.engines import beam_args
from tfx_pipeline.judging.metrics import METRICS
from tfx_pipeline.judging.thresholds import Demand, demanded
from tfx_pipeline.kinds import KINDS
from tfx_pipeline.pipeline import Source, Start, create_pipeline, pretrained_start, seen_by_beam
from tfx_pipeline.runs.root import Root

PICTURES = Source(Path("/data/pictures"), "abc")
SLICES = (("language", "en"), ("language", "zh"))
TEXT = Source(Path("/data/lines.txt"), "def")
COMPONENTS = {
    "FolderExampleGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "LastData",
    "DriftCheck",
    "Transform",
    "CopyCheck",
    "Assembler",
    "ServingValidator",
    "CardWriter",
    *(f"{step}.{name}" for step in ("Trainer", "Exporter", "Baseline", "Evaluator") for name in KINDS),
    "Gallery.generator",
    "Gallery.restorer",
    *(f"Pusher.{name}" for name in (*KINDS, "text_to_image")),
}


def components(root: Path, config: RunConfig | None = None, text: Source | None = None) -> dict[str, Any]:
    made = create_pipeline(Root(root), PICTURES, config or RunConfig(), text=text)
    return {component.id: component for component in made.components}


def settings_of_trainers(root: Path, config: RunConfig) -> dict[str, Any]:
    found = components(root, config)
    return {name: found[f"Trainer.{name}"].exec_properties["custom_config"] for name in KINDS}


def test_a_relative_root_is_seen_by_a_path_without_its_name_unless_workers_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work [v2]").mkdir()
    monkeypatch.chdir(tmp_path / "work [v2]")
    seen = seen_by_beam(Root(Path())).path
    assert str(seen) == "/proc/self/cwd" and seen.samefile(tmp_path / "work [v2]")
    elsewhere = beam_args("FlinkRunner", ["flink_master=f:8081", "environment_type=EXTERNAL"])
    assert seen_by_beam(Root(Path()), elsewhere).path == tmp_path / "work [v2]"
    assert seen_by_beam(Root(tmp_path)).path == seen_by_beam(Root(tmp_path), elsewhere).path == tmp_path


def test_the_line_is_whole(tmp_path: Path) -> None:
    assert set(components(tmp_path)) == COMPONENTS


def test_text_is_one_component_more(tmp_path: Path) -> None:
    assert set(components(tmp_path, text=TEXT)) == COMPONENTS | {"TextExampleGen"}


def test_laying_it_out_writes_no_file(tmp_path: Path) -> None:
    create_pipeline(Root(tmp_path / "root"), PICTURES, RunConfig(), text=TEXT)
    assert [path for path in tmp_path.rglob("*") if not path.is_dir()] == []


def test_laying_it_out_twice_gives_the_same(tmp_path: Path) -> None:
    first, second = (components(tmp_path, text=TEXT) for _ in range(2))
    assert [name for name in first if first[name].exec_properties != second[name].exec_properties] == []


def test_everything_stays_in_the_root(tmp_path: Path) -> None:
    made = create_pipeline(Root(tmp_path), PICTURES, RunConfig())
    assert made.pipeline_info.pipeline_root == str(tmp_path / "pipeline")
    for name in (*KINDS, "text_to_image"):
        pusher = components(tmp_path)[f"Pusher.{name}"]
        assert pusher.exec_properties["base"] == str(tmp_path / "pushed" / name)


def test_a_pusher_is_not_served_from_the_cache_once_its_folder_changed(tmp_path: Path) -> None:
    before = components(tmp_path)["Pusher.restorer"].exec_properties
    (tmp_path / "pushed/restorer/100").mkdir(parents=True)
    assert components(tmp_path)["Pusher.restorer"].exec_properties != before


TRAINERS, EXPORTERS = ({f"{step}.{name}" for name in KINDS} for step in ("Trainer", "Exporter"))
# Beside the writer of model cards, which tells of all settings. The first prefix that fits counts.
READERS: dict[str, set[str]] = {
    "seed": TRAINERS,
    "data.picture_size": {"Transform"} | TRAINERS | EXPORTERS,
    "data.caption_length": {"Transform"} | TRAINERS,
    "data.unknown_words": {"Trainer.language_model", "Trainer.generator"},
    "data.vocabulary_size": {"Transform"},
    "data.max_quarantine": {"FolderExampleGen"},
    "language": {"Trainer.language_model"},
    "drawing.network": {"Transform", "Trainer.generator"},
    "drawing": {"Trainer.generator"},
    "restoration": {"Trainer.restorer"},
    "thresholds.perplexity_share": {"Evaluator.language_model"},
    "thresholds.generator_copies": {"CopyCheck"},
    "thresholds.generator": {"Evaluator.generator"},
    "thresholds.restorer": {"Evaluator.restorer"},
    "thresholds.": {"Evaluator.generator", "Evaluator.restorer"},
    "slices.smallest": set(),
    "slices.perplexity_share": {"Evaluator.language_model"},
    "slices.generator": {"Evaluator.generator"},
    "slices.restorer": {"Evaluator.restorer"},
    "retraining.window": set(),
    "retraining.start": set(),
    "retraining": {"DriftCheck"},
    "card": set(),
}


def leaves(section: Section, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting by its dotted name, with its value."""
    for name, value in section:
        if isinstance(value, Section):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def nested(name: str, value: Any) -> dict[str, Any]:
    """A setting as a config file has it."""
    for part in reversed(name.split(".")):
        value = {part: value}
    return value


def network_of(name: str) -> dict[str, Any]:
    """The network that reads a setting, as a config file chooses it; nothing for the first one."""
    sections = {f"drawing.{network.section}.": network.name for network in NETWORKS.values() if network.section}
    chosen = next((network for section, network in sections.items() if name.startswith(section)), None)
    return {"drawing": {"network": chosen}} if chosen else {}


def changed(name: str, value: Any) -> RunConfig:
    """The defaults but for one setting, which has another value that is allowed, and the network that reads it."""
    if isinstance(value, str):
        others: list[Any] = [TOY.name, "stop", "none", "other"]
    elif isinstance(value, tuple):
        others = [tuple(2 * number for number in value), ("other",)]
    elif isinstance(value, bool):
        others = [not value]
    else:
        others = [1, 0.25, value and value * 2, value and value / 2, 16]
    for other in (other for other in others if other != value):
        with contextlib.suppress(ValidationError):
            return RunConfig.model_validate(merged(nested(name, other), network_of(name)))
    raise AssertionError(f"no other value of {name} was tried")


@pytest.mark.parametrize(("name", "value"), list(leaves(RunConfig())), ids=str)
def test_a_setting_runs_the_components_that_read_it_and_no_other(tmp_path: Path, name: str, value: Any) -> None:
    with registered():
        plain = RunConfig.model_validate(network_of(name))
        before, after = (settings_of_all(tmp_path, config) for config in (plain, changed(name, value)))
    readers = next(found for prefix, found in READERS.items() if name.startswith(prefix))
    assert {step for step in before if before[step] != after[step]} == readers | {"CardWriter"}


def settings_of_all(root: Path, config: RunConfig) -> dict[str, Any]:
    """What enters the cache key of each component, beside its inputs."""
    pictures = Source(PICTURES.path, PICTURES.fingerprint, slices=SLICES)
    made = create_pipeline(Root(root), pictures, config)
    return {component.id: component.exec_properties for component in made.components}


def test_settings_of_another_network_train_nothing() -> None:
    """A network with a section of its own reads that one alone, and the first network reads all but such sections."""
    drawing = Drawing(width=32, scenes=Scenes(width=64))
    assert drawing.chosen == Drawing(width=32)
    drawing = drawing.model_copy(update={"network": "scenes"})
    assert drawing.chosen == Drawing(network="scenes", scenes=Scenes(width=64))


def test_trainers_get_settings_that_they_can_read(tmp_path: Path) -> None:
    config = load_config("standard")
    own = json.loads(settings_of_trainers(tmp_path, config)["restorer"])
    assert RunConfig.model_validate_json(own["config"]).restoration == config.restoration


def test_a_warm_start_is_part_of_what_a_training_is(tmp_path: Path) -> None:
    start = Start({"restorer": "/artifacts/Trainer.restorer/model/7"})
    made = create_pipeline(Root(tmp_path), PICTURES, RunConfig(), start=start)
    after = {
        node.id.partition(".")[2]: node.exec_properties["custom_config"]
        for node in made.components
        if "Trainer." in node.id
    }
    before = settings_of_trainers(tmp_path, RunConfig())
    assert {name for name in KINDS if before[name] != after[name]} == {"restorer"}


def test_pretrained_weights_and_their_words_are_part_of_what_is_trained(tmp_path: Path) -> None:
    made = create_pipeline(Root(tmp_path), PICTURES, RunConfig(), start=pretrained_start())
    given = {node.id: node.exec_properties for node in made.components}
    assert json.loads(given["Transform"]["custom_config"])["known_pieces"] == pretrained.pieces()
    for name in KINDS:
        trainer = json.loads(given[f"Trainer.{name}"]["custom_config"])
        assert trainer["warm_start"] == pretrained.origin(name)


def test_spans_and_attributes_reach_the_reader(tmp_path: Path) -> None:
    source = Source(Path("/data"), "abc", ("span-1", "span-2"), SLICES, ("colour", "kind"))
    made = create_pipeline(Root(tmp_path), source, RunConfig())
    reader = next(node for node in made.components if node.id == "FolderExampleGen").exec_properties
    assert (reader["spans"], reader["attributes"]) == ("span-1 span-2", "colour kind")


def test_new_contents_are_new_data(tmp_path: Path) -> None:
    made = create_pipeline(Root(tmp_path), Source(PICTURES.path, "other"), RunConfig())
    reader = next(node for node in made.components if node.id == "FolderExampleGen")
    assert reader.exec_properties["fingerprint"] == "other"


@pytest.mark.parametrize("name", KINDS)
def test_something_is_demanded_of_every_model(name: str) -> None:
    demands = [demanded(metric, name, Thresholds()) for metric in KINDS[name].metrics]
    assert any(demand.bound is not None for demand in demands)


def test_every_bound_is_demanded_of_some_model() -> None:
    marked = {name: 0.5 + number / 1000 for number, name in enumerate(Thresholds.model_fields)}
    sliced = {name: 0.9 + number / 1000 for number, name in enumerate(Slices.model_fields) if name != "smallest"}
    thresholds, worst = Thresholds(**marked), Slices(**sliced)
    used = {
        value
        for kind in KINDS.values()
        for metric in kind.metrics
        for value in demanded(metric, kind.name, thresholds, worst)
    }
    assert {name for name, value in (marked | sliced).items() if value not in used} == {"generator_copies"}


def test_copies_are_held_to_their_threshold(tmp_path: Path) -> None:
    config = RunConfig(thresholds=Thresholds(generator_copies=0.125))
    assert components(tmp_path, config)["CopyCheck"].exec_properties["most"] == 0.125


@pytest.mark.parametrize("name", KINDS)
def test_tfma_takes_what_an_evaluator_is_told(name: str) -> None:
    told = KINDS[name].eval_config(RunConfig(), ())
    config = tfma.utils.update_eval_config_with_defaults(told, has_baseline=True)
    tfma.utils.verify_eval_config(config)
    assert config.model_specs[0].signature_name == "evaluate"
    names = [json.loads(metric.config)["name"] for metric in config.metrics_specs[0].metrics]
    assert names == [metric.name for metric in KINDS[name].metrics]


def test_restoring_is_not_held_to_the_demands_on_drawing() -> None:
    thresholds = Thresholds(generator_psnr=1, restorer_psnr=2, psnr_drop=3)
    psnr = METRICS["psnr"]
    assert demanded(psnr, "generator", thresholds, Slices(restorer_psnr=4)) == Demand(1, 3, None)
    assert demanded(psnr, "restorer", thresholds, Slices(restorer_psnr=4)) == Demand(2, 3, 4)


@pytest.mark.parametrize("name", KINDS)
def test_every_bound_on_the_worst_slice_is_held_against_each_slice(name: str) -> None:
    worst = Slices(perplexity_share=0.9, generator_psnr=1, generator_ssim=0.1, restorer_psnr=2, restorer_ssim=0.2)
    config = KINDS[name].eval_config(RunConfig(slices=worst), SLICES)
    held = {
        json.loads(metric.config)["name"]: [dict(spec.feature_values) for spec in threshold.slicing_specs]
        for metric in config.metrics_specs[0].metrics
        for threshold in metric.per_slice_thresholds[1:]
    }
    each = [{"language": "en"}, {"language": "zh"}]
    names = ("perplexity_share",) if name == "language_model" else ("psnr", "ssim")
    assert held == dict.fromkeys(names, each)


def test_without_bounds_slices_are_reported_and_hold_nothing_up() -> None:
    config = KINDS["generator"].eval_config(RunConfig(), SLICES)
    assert len(config.slicing_specs) == 3
    held = [threshold for metric in config.metrics_specs[0].metrics for threshold in metric.per_slice_thresholds]
    assert all([dict(spec.feature_values) for spec in threshold.slicing_specs] == [{}] for threshold in held)


def test_what_drawings_must_beat_enters_the_cache_key_of_their_evaluator_alone(tmp_path: Path) -> None:
    thresholds = Thresholds(generator_over_mean=2, generator_over_words=1)
    nodes, others = components(tmp_path), components(tmp_path, RunConfig(thresholds=thresholds))
    changed = {name for name, node in nodes.items() if node.exec_properties != others[name].exec_properties}
    assert changed - {"CardWriter"} == {"Evaluator.generator"}
