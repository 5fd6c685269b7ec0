import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow_model_analysis as tfma

from tfx_pipeline.config import RunConfig, Slices, Thresholds, load_config
from tfx_pipeline.judging.metrics import MEASURES
from tfx_pipeline.judging.thresholds import demands, eval_config
from tfx_pipeline.names import MODELS, MODELS_OF_PICTURES
from tfx_pipeline.pipeline import Source, create_pipeline
from tfx_pipeline.runs.root import Root

PICTURES = Source(Path("/data/pictures"), "abc")
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
    *(f"{kind}.{name}" for kind in ("Trainer", "Baseline", "Evaluator") for name in MODELS),
    *(f"Gallery.{name}" for name in MODELS_OF_PICTURES),
    *(f"Pusher.{name}" for name in (*MODELS, "text_to_image")),
}


def components(root: Path, config: RunConfig | None = None, text: Source | None = None) -> dict[str, Any]:
    made = create_pipeline(Root(root), PICTURES, config or RunConfig(), text=text)
    return {component.id: component for component in made.components}


def settings_of_trainers(root: Path, config: RunConfig) -> dict[str, Any]:
    found = components(root, config)
    return {name: found[f"Trainer.{name}"].exec_properties["custom_config"] for name in MODELS}


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
    for name in (*MODELS, "text_to_image"):
        pusher = components(tmp_path)[f"Pusher.{name}"]
        assert pusher.exec_properties["base"] == str(tmp_path / "pushed" / name)


def test_a_pusher_is_not_served_from_the_cache_once_its_folder_changed(tmp_path: Path) -> None:
    before = components(tmp_path)["Pusher.restorer"].exec_properties
    (tmp_path / "pushed/restorer/100").mkdir(parents=True)
    assert components(tmp_path)["Pusher.restorer"].exec_properties != before


@pytest.mark.parametrize(
    ("change", "retrained"),
    [
        ({"seed": 1}, MODELS),
        ({"data": {"picture_size": 48}}, MODELS),
        ({"language": {"steps": 5}}, ("language_model",)),
        ({"drawing": {"warmup_steps": 5}}, ("generator",)),
        ({"restoration": {"steps": 5}}, ("restorer",)),
        ({"thresholds": {"restorer_ssim": 0.9}}, ()),
        ({"slices": {"restorer_ssim": 0.9}}, ()),
        ({"retraining": {"window": 2}}, ()),
        ({"card": {"licence": "CC0-1.0"}}, ()),
    ],
    ids=str,
)
def test_a_setting_retrains_only_the_models_that_read_it(
    tmp_path: Path, change: dict[str, Any], retrained: tuple[str, ...]
) -> None:
    before = settings_of_trainers(tmp_path, RunConfig())
    after = settings_of_trainers(tmp_path, RunConfig.model_validate(change))
    assert {name for name in MODELS if before[name] != after[name]} == set(retrained)


def test_trainers_get_settings_that_they_can_read(tmp_path: Path) -> None:
    config = load_config("standard")
    own = json.loads(settings_of_trainers(tmp_path, config)["restorer"])
    assert RunConfig.model_validate_json(own["config"]).restoration == config.restoration


def test_a_warm_start_is_part_of_what_a_training_is(tmp_path: Path) -> None:
    start = {"restorer": "/artifacts/Trainer.restorer/model/7"}
    made = create_pipeline(Root(tmp_path), PICTURES, RunConfig(), warm_start=start)
    after = {
        node.id.partition(".")[2]: node.exec_properties["custom_config"]
        for node in made.components
        if "Trainer." in node.id
    }
    before = settings_of_trainers(tmp_path, RunConfig())
    assert {name for name in MODELS if before[name] != after[name]} == {"restorer"}


def test_spans_and_attributes_reach_the_reader(tmp_path: Path) -> None:
    slices = (
        ("attribute.kind", "pair"),
        ("attribute.kind", "single"),
        ("attribute.colour", "red"),
        ("size", "up to 32"),
    )
    source = Source(Path("/data"), "abc", ("span-1", "span-2"), slices)
    made = create_pipeline(Root(tmp_path), source, RunConfig())
    reader = next(node for node in made.components if node.id == "FolderExampleGen").exec_properties
    assert (reader["spans"], reader["attributes"]) == ("span-1 span-2", "colour kind")


def test_new_contents_are_new_data(tmp_path: Path) -> None:
    made = create_pipeline(Root(tmp_path), Source(PICTURES.path, "other"), RunConfig())
    reader = next(node for node in made.components if node.id == "FolderExampleGen")
    assert reader.exec_properties["fingerprint"] == "other"


@pytest.mark.parametrize("name", MODELS)
def test_what_is_demanded_can_be_measured(name: str) -> None:
    rows = demands(name, Thresholds())
    assert {metric for metric, *_ in rows} <= set(MEASURES)
    assert any(least is not None or most is not None for _, least, most, _ in rows)


def test_every_threshold_is_demanded_of_some_model() -> None:
    marked = Thresholds(
        **{name: 0.5 + number / 100 for number, name in enumerate(Thresholds.model_fields)}
    ).model_dump()
    used = {value for name in MODELS for _, *bounds in demands(name, Thresholds(**marked)) for value in bounds}
    assert {name for name, value in marked.items() if value not in used} == {"generator_copies"}


def test_copies_are_held_to_their_threshold(tmp_path: Path) -> None:
    config = RunConfig(thresholds=Thresholds(generator_copies=0.125))
    assert components(tmp_path, config)["CopyCheck"].exec_properties["most"] == 0.125


@pytest.mark.parametrize("name", MODELS)
def test_tfma_takes_what_an_evaluator_is_told(name: str) -> None:
    config = tfma.utils.update_eval_config_with_defaults(eval_config(name, Thresholds()), has_baseline=True)
    tfma.utils.verify_eval_config(config)
    assert config.model_specs[0].signature_name == "evaluate"
    assert [json.loads(metric.config)["name"] for metric in config.metrics_specs[0].metrics] == [
        metric for metric, *_ in demands(name, Thresholds())
    ]


def test_restoring_is_not_held_to_the_demands_on_drawing() -> None:
    thresholds = Thresholds(generator_psnr=1, restorer_psnr=2)
    least = {name: demands(name, thresholds)[0][1] for name in ("generator", "restorer")}
    assert least == {"generator": 1, "restorer": 2}


SLICES = (("language", "en"), ("language", "zh"))


@pytest.mark.parametrize("name", MODELS)
def test_every_bound_on_the_worst_slice_is_held_against_each_slice(name: str) -> None:
    worst = Slices(perplexity_share=0.9, generator_psnr=1, generator_ssim=0.1, restorer_psnr=2, restorer_ssim=0.2)
    config = eval_config(name, Thresholds(), worst, SLICES)
    held = {
        json.loads(metric.config)["name"]: [dict(spec.feature_values) for spec in threshold.slicing_specs]
        for metric in config.metrics_specs[0].metrics
        for threshold in metric.per_slice_thresholds[1:]
    }
    each = [{"language": "en"}, {"language": "zh"}]
    names = ("perplexity_share",) if name == "language_model" else ("psnr", "ssim")
    assert held == dict.fromkeys(names, each)


def test_without_bounds_slices_are_reported_and_hold_nothing_up() -> None:
    config = eval_config("generator", Thresholds(), Slices(), SLICES)
    assert len(config.slicing_specs) == 3
    held = [threshold for metric in config.metrics_specs[0].metrics for threshold in metric.per_slice_thresholds]
    assert all([dict(spec.feature_values) for spec in threshold.slicing_specs] == [{}] for threshold in held)
