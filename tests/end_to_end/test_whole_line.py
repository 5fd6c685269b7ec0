"""The whole line through the command line: one real run, and a few more in the same root, a minute each."""

import asyncio
import base64
import io
import json
import re
import shutil
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml
from easel_process import MODELS, RESTORER_STEPS, Stage, easel, succeeded
from PIL import Image
from tensorflow.core.protobuf import saved_model_pb2

from serving.client import AsyncClient, Client
from serving.process import ServerProcess
from serving.studio.drawing import draw_by_steps
from serving.studio.schemas import Generation
from serving.warmup import read_warmup, signatures_of
from tfx_pipeline.kinds import KINDS

Tensors = dict[str, str]
DRAWN = dict.fromkeys(("image_bytes", "expanded_prompt", "read_as", "unknown_words"), "string")
PICTURE = {"image_bytes": "string"}
ASKED = {"prompt": "string", "seed": "int64"}
DAMAGED = {"image_bytes": "string", "noise_sigma": "float32"}
OPTIONS = {"temperature": "float32", "expand": "bool", "refine": "bool"}
FINEST = {"candidates": "int64", "scale": "int64"}
SIGNATURES: dict[str, dict[str, tuple[Tensors, Tensors]]] = {
    "text_to_image": {
        "serving_default": (ASKED, DRAWN),
        "draw": (ASKED | OPTIONS | FINEST, DRAWN),
        "options": (ASKED | OPTIONS, DRAWN),
        "candidates": (ASKED | OPTIONS | {"candidates": "int64"}, DRAWN),
        "scaled": (ASKED | OPTIONS | FINEST, DRAWN),
        "blend": (ASKED | OPTIONS | FINEST | {"to_prompt": "string", "to_seed": "int64", "share": "float32"}, DRAWN),
        "facts": ({"language": "string"}, {"prompts": "string", "picture_size": "int64"}),
    },
    "language_model": {
        "serving_default": (ASKED | {"temperature": "float32"}, {"text": "string"}),
        "continue_by": (ASKED | {"temperature": "float32", "length": "int32"}, {"text": "string"}),
        "embed": ({"caption": "string"}, {"embedding": "float32"}),
    },
    "generator": {"serving_default": ({"caption": "string", "seed": "int64"}, PICTURE)},
    "restorer": {
        "serving_default": (DAMAGED, PICTURE),
        "inpaint": (DAMAGED | {"mask_bytes": "string"}, PICTURE),
        "sharpen": (DAMAGED | {"blur_sigma": "float32"}, PICTURE),
        "enlarge": (PICTURE, PICTURE),
    },
}
PROMPTS = (
    "a red circle",
    "a large yellow star on a black background",
    "it is snowing today",
    "今天的天气很好",
    "一个蓝色的心形",
    "黑色背景上的绿色三角形",
    "a",
    "",
)


def only_version(root: Path, model: str) -> Path:
    (version,) = (root / "pushed" / model).iterdir()
    return version


def pixels(png: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


# The first run


def test_a_run_answers_a_script_with_one_object(whole_line: Stage) -> None:
    told = succeeded(whole_line)
    assert set(told["trained"]) == {"language_model", "generator", "restorer"}
    assert set(told["pushed"]) == set(MODELS)
    assert (told["blessed"], told["refusal"]) == (True, "")
    assert {name: set(values) for name, values in told["metrics"].items()} == {
        "language_model": {"perplexity", "unigram_perplexity", "perplexity_share"},
        "generator": {metric.name for metric in KINDS["generator"].metrics},
        "restorer": {"psnr", "ssim", "psnr_gain", "ssim_gain"},
    }
    assert all(np.isfinite(value) for values in told["metrics"].values() for value in values.values())


def test_a_run_tells_a_person_how_far_it_is(whole_line: Stage) -> None:
    said = whole_line.done.stderr
    for component in ("FolderExampleGen", "Transform", "Trainer.restorer", "Evaluator.generator", "Assembler"):
        assert component in said
    for label in ("language_model", "generator_warmup", "generator_adversarial", "restorer"):
        assert f"{label}: step " in said
    assert "Traceback" not in said


def test_all_models_stand_pushed_under_one_version(whole_line: Stage) -> None:
    told = succeeded(whole_line)
    assert set(whole_line.pushed) == set(MODELS)
    (version,) = {version for found in whole_line.pushed.values() for version in found}
    assert set(told["pushed"].values()) == {version}


@pytest.mark.parametrize("model", MODELS)
def test_a_pushed_model_has_the_signatures_that_clients_see(pushed: Path, model: str) -> None:
    content = (only_version(pushed, model) / "saved_model.pb").read_bytes()
    definitions = saved_model_pb2.SavedModel.FromString(content).meta_graphs[0].signature_def
    found = {name: (dtypes(each.inputs), dtypes(each.outputs)) for name, each in definitions.items() if name[0] != "_"}
    assert found == SIGNATURES[model]


def dtypes(tensors: Any) -> Tensors:
    return {name: tf.as_dtype(each.dtype).name for name, each in tensors.items()}


@pytest.mark.parametrize("model", MODELS)
def test_a_pushed_model_warms_up_every_signature(pushed: Path, model: str) -> None:
    signatures = [request.model_spec.signature_name for request in read_warmup(only_version(pushed, model))]
    assert set(signatures) == set(SIGNATURES[model])


@pytest.mark.parametrize("model", MODELS)
def test_a_pushed_model_holds_nothing_but_what_is_served(pushed: Path, model: str) -> None:
    version = only_version(pushed, model)
    extra = {"model_card.json", "model_card.md", "parts.sha256", "tf_serving_warmup_requests"}
    extra |= set() if model == "language_model" else {"samples.png"}
    assert {file.name for file in (version / "assets.extra").iterdir()} == extra
    assert list(version.rglob("*.keras")) == []


def test_what_the_judges_call_stands_beside_what_is_served(whole_line: Stage) -> None:
    for model in MODELS[:3]:
        (folder,) = whole_line.root.glob(f"pipeline/Exporter.{model}/judged/*/Format-Serving")
        asked = {"evaluate"} if model == "language_model" else {"evaluate", "exhibit"}
        assert set(signatures_of(folder)) == asked | {"serving_default"}
        (trained,) = whole_line.root.glob(f"pipeline/Trainer.{model}/model/*/Format-Serving/{model}.keras")
        assert trained.is_file()


def test_a_run_leaves_what_a_person_looks_at(whole_line: Stage) -> None:
    logs = list(whole_line.root.glob("pipeline/Trainer.*/model_run/*"))
    assert len(logs) == 3
    for folder in logs:
        assert (folder / "metrics.jsonl").read_text(encoding="utf-8").count("\n") >= 20
        assert list(folder.rglob("events.out.tfevents.*"))
    (told,) = whole_line.root.glob("pipeline/Trainer.language_model/model_run/*/metrics.jsonl")
    calibration = json.loads(told.read_text(encoding="utf-8").splitlines()[-1])
    assert calibration["phase"] == "language_model_calibration" and 0 <= calibration["share_of_guesses"] <= 1
    assert len(list(whole_line.root.glob("pipeline/Trainer.generator/model_run/*/samples/*.png"))) == 8
    assert len(list(whole_line.root.glob("pipeline/Trainer.restorer/model_run/*/samples/*.png"))) == 4


def test_a_finished_training_keeps_no_backup(whole_line: Stage) -> None:
    assert [path for path in (whole_line.root / "checkpoints").rglob("*") if path.is_file()] == []


# A server over what was pushed


def test_a_picture_does_not_depend_on_its_batch(server: ServerProcess) -> None:
    prompts, seeds = [*PROMPTS, *PROMPTS], list(range(16))
    with Client(server.grpc_address) as client:
        together = client.generate(prompts, seed=seeds)
        alone = [client.generate(prompt, seed=seed)[0] for prompt, seed in zip(prompts, seeds, strict=True)]
    for first, second in zip(together, alone, strict=True):
        assert first.expanded_prompt == second.expanded_prompt
        assert np.abs(pixels(first.png) - pixels(second.png)).max() <= 1


def test_seeds_and_prompts_make_different_pictures(server: ServerProcess) -> None:
    with Client(server.grpc_address) as client:
        first, again = (client.generate("a red circle", seed=1)[0].png for _ in range(2))
        others = [client.generate("a red circle", seed=2)[0].png, client.generate("一个蓝色的心形", seed=1)[0].png]
    assert first == again
    assert first not in others
    assert pixels(first).shape == (32, 32, 3)


def test_json_over_http_draws_the_same_picture(server: ServerProcess) -> None:
    body = json.dumps({"instances": [{"prompt": "今天的天气很好", "seed": 7}]}).encode()
    url = f"http://{server.rest_address}/v1/models/text_to_image:predict"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=60) as response:
        (answer,) = json.loads(response.read())["predictions"]
    with Client(server.grpc_address) as client:
        (drawn,) = client.generate("今天的天气很好", seed=7)
    assert answer["expanded_prompt"] == drawn.expanded_prompt
    png = base64.b64decode(answer["image_bytes"]["b64"])
    np.testing.assert_array_equal(pixels(png), pixels(drawn.png))


def test_a_prompt_begins_its_caption(server: ServerProcess) -> None:
    with Client(server.grpc_address) as client:
        for prompt in PROMPTS:
            assert client.generate(prompt, seed=3)[0].expanded_prompt.startswith(prompt)
        assert client.generate("a red circle", seed=3, expand=False)[0].expanded_prompt == "a red circle"


@pytest.mark.parametrize("prompt", ["a red", "黑色"])
def test_the_caption_that_is_streamed_is_the_one_that_is_drawn(server: ServerProcess, prompt: str) -> None:
    async def streamed() -> list[dict[str, Any]]:
        async with AsyncClient(server.grpc_address) as client:
            return [event async for event in draw_by_steps(client, Generation(prompt=prompt, seed=3, partial_images=1))]

    written, partial, completed = asyncio.run(streamed())
    assert written["text"].startswith(prompt) and written["text"] == completed["revised_prompt"]
    assert pixels(base64.b64decode(partial["b64_json"])).shape == pixels(base64.b64decode(completed["b64_json"])).shape


def test_a_file_draws_itself_again(server: ServerProcess, tmp_path: Path) -> None:
    out, address = tmp_path / "out.png", server.grpc_address
    assert easel("generate", "a star", "-n", 9, "--scale", 2, "--server", address, "-o", out).returncode == 0
    again = easel("inspect", out, "--again", "--server", address)
    # Bit for bit, or but for rounding: the server batches as requests happen to come.
    assert again.stdout.splitlines()[-1].startswith("The same"), again.stderr


def test_drawing_here_and_at_the_server_is_the_same(server: ServerProcess, pushed: Path, tmp_path: Path) -> None:
    asked = ("generate", "一个蓝色的心形", "--seed", 5, "-n", 3, "--json")
    here = easel(*asked, "--local", "--root", pushed, "-o", tmp_path / "here.png")
    there = easel(*asked, "--server", server.grpc_address, "-o", tmp_path / "there.png")
    assert (here.returncode, there.returncode) == (0, 0), here.stderr + there.stderr
    first, second = (pixels((tmp_path / f"{name}.png").read_bytes()) for name in ("here", "there"))
    assert first.shape == (32, 3 * 32 + 2 * 2, 3)
    assert np.abs(first - second).max() <= 1
    assert json.loads(here.stdout)["pictures"] == json.loads(there.stdout)["pictures"]


def test_a_restored_picture_keeps_its_size(server: ServerProcess, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 37, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "damaged.png")
    done = easel("restore", tmp_path / "damaged.png", "-o", tmp_path / "out.png", "--server", server.grpc_address)
    assert done.returncode == 0, done.stderr
    assert pixels((tmp_path / "out.png").read_bytes()).shape == (50, 37, 3)


# The same data again


def test_a_second_run_trains_nothing_and_says_so(second_run: Stage) -> None:
    assert second_run.done.returncode == 0, second_run.done.stderr
    assert "trained nothing: all models came from the cache" in second_run.done.stdout
    assert ": step " not in second_run.done.stderr


def test_a_run_proposes_a_caption_that_it_was_trained_on(second_run: Stage) -> None:
    (proposed,) = re.findall(r"easel generate '(.*)' -o out\.png", second_run.done.stdout)
    assert proposed in trained_captions(second_run.data)


def trained_captions(folder: Path) -> set[str]:
    """The English captions of the pictures that are not withheld."""
    rows = map(json.loads, (folder / "metadata.jsonl").read_text(encoding="utf-8").splitlines())
    return {row["text"] for row in rows if not row.get("withheld")}


def test_a_second_run_pushes_no_new_version(whole_line: Stage, second_run: Stage) -> None:
    assert second_run.pushed == whole_line.pushed


# The report


@pytest.fixture(scope="session")
def page(whole_line: Stage) -> str:
    """The report of the first run."""
    return Path(succeeded(whole_line)["report"]).read_text(encoding="utf-8")


def test_a_run_leaves_a_report_with_every_chapter(page: str) -> None:
    chapters = re.findall(r'<section id="(\w+)"', page)
    assert chapters == ["pictures", "films", "metrics", "copying", "data", "curves", "steps", "next"]
    for told in ("All models are blessed and pushed", "PSNR gain", "Nats per piece", "000007.png", "MiB"):
        assert told in page, told
    assert page.count('<figure class="exhibit">') == 2 * (12 + 6 + 6) + 12


def test_a_report_asks_for_nothing_from_the_network(page: str) -> None:
    assert re.findall(r"""(?:src|href)="(?!data:|\#)|@import|url\((?!#)|<script""", page) == []


def test_a_report_sets_a_model_beside_the_last_blessed_one(second_run: Stage) -> None:
    (line,) = [line for line in second_run.done.stdout.splitlines() if line.startswith("report: ")]
    page = Path(line.removeprefix("report: ")).read_text(encoding="utf-8")
    rows = re.findall(r"<td>all</td><td>SSIM</td><td>(.*?)</td><td>(.*?)</td><td>", page)
    assert len(rows) == 2
    assert [candidate for candidate, baseline in rows if candidate != baseline] == []


def test_a_report_tells_why_nothing_was_pushed(refused_run: Stage) -> None:
    done = easel("report", "--root", refused_run.root, "--no-open")
    assert done.returncode == 0, done.stderr
    page = Path(done.stdout.strip()).read_text(encoding="utf-8")
    assert "Nothing was pushed: restorer not blessed: SSIM " in page
    assert "at least 0.99" in page


def test_a_run_that_was_killed_has_a_report_when_one_asks_for_it(refused_run: Stage, killed_run: list[str]) -> None:
    done = easel("report", "--root", refused_run.root, "--json")
    assert done.returncode == 0, done.stderr
    page = Path(json.loads(done.stdout)["report"]).read_text(encoding="utf-8")
    assert "The run was interrupted in Trainer.restorer" in page


# The gate


def test_a_model_that_is_not_blessed_is_exit_code_3_and_one_sentence(refused_run: Stage) -> None:
    assert refused_run.done.returncode == 3, refused_run.done.stderr
    told = [line for line in refused_run.done.stderr.splitlines() if "not blessed" in line]
    assert len(told) == 1
    words = told[0].split()
    assert told[0].startswith("restorer not blessed: SSIM ")
    assert (words[-2], words[-1]) == ("<", "0.99")
    assert float(words[-3]) < 0.99


def test_nothing_is_pushed_that_is_not_blessed(second_run: Stage, refused_run: Stage) -> None:
    assert refused_run.pushed == second_run.pushed


def test_a_root_that_was_moved_trains_nothing_anew(refused_run: Stage) -> None:
    assert ": step " not in refused_run.done.stderr
    assert "trained nothing: all models came from the cache" in refused_run.done.stdout


# A kill


def test_a_killed_run_goes_on_where_it_was(killed_run: list[str], resumed_run: Stage) -> None:
    assert any("restorer: step 30 of 200" in line for line in killed_run)
    told = succeeded(resumed_run)
    assert told["trained"] == ["restorer"]
    said = [line.strip() for line in resumed_run.done.stderr.splitlines() if line.strip().startswith("restorer: ")]
    resumed = int(said[0].removeprefix("restorer: resumed at step ").split()[0])
    assert resumed in (30, 40)
    assert said[1].startswith(f"restorer: step {resumed + 10} of 200")
    assert said[-1].startswith("restorer: step 200 of 200")


def test_only_what_changed_is_pushed_anew(whole_line: Stage, resumed_run: Stage) -> None:
    new = {name: len(found) - len(whole_line.pushed[name]) for name, found in resumed_run.pushed.items()}
    assert new == {"language_model": 0, "generator": 0, "restorer": 1, "text_to_image": 1}
    told = succeeded(resumed_run)["pushed"]
    assert {name: [found[-1]] for name, found in resumed_run.pushed.items()} == {
        name: [version] for name, version in told.items()
    }


# Looking back


@pytest.fixture(scope="session")
def listed(resumed_run: Stage) -> list[dict[str, Any]]:
    """All runs, oldest first."""
    done = easel("runs", "--root", resumed_run.root, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)[::-1]


def test_runs_are_listed_with_what_they_did(listed: list[dict[str, Any]]) -> None:
    assert [(run["state"], len(run["trained"]), sorted(run["pushed"])) for run in listed] == [
        ("done", 3, sorted(MODELS)),
        ("done", 0, sorted(MODELS)),
        ("done", 0, []),
        ("interrupted", 0, []),
        ("done", 1, sorted(MODELS)),
    ]
    assert {run["pictures"] for run in listed} == {399}


def test_runs_name_the_versions_that_stood_pushed(listed: list[dict[str, Any]], resumed_run: Stage) -> None:
    first, second, *_, last = (run["pushed"] for run in listed)
    assert first == second
    assert last == {name: found[-1] for name, found in resumed_run.pushed.items()}


def test_a_run_is_traced_to_its_data(resumed_run: Stage, listed: list[dict[str, Any]]) -> None:
    done = easel("runs", "show", "latest", "--root", resumed_run.root, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["run"] == listed[-1]["run"]
    assert len(told["data"].pop("fingerprint")) == 64
    assert told["data"].pop("caption") in trained_captions(resumed_run.data)
    assert told["data"] == {"folder": str(resumed_run.data), "pictures": 399, "quarantined": 1}
    states = {step["step"]: step["state"] for step in told["steps"]}
    assert (states["Trainer.restorer"], states["Trainer.generator"]) == ("ran", "cached")


def test_runs_are_told_to_a_person(resumed_run: Stage, listed: list[dict[str, Any]]) -> None:
    table = easel("runs", "--root", resumed_run.root)
    assert [run["run"][:19] for run in listed if run["run"][:19] not in table.stdout] == []
    shown = easel("runs", "show", listed[0]["run"], "--root", resumed_run.root)
    assert shown.returncode == 0, shown.stderr
    assert f"folder: {resumed_run.data}" in shown.stdout
    assert "quarantined: 1" in shown.stdout


def test_an_unknown_run_is_refused_with_a_sentence(resumed_run: Stage) -> None:
    done = easel("runs", "show", "1999", "--root", resumed_run.root)
    assert done.returncode == 1
    assert done.stderr.startswith("No run begins with '1999': choose from 2")
    assert done.stderr.count("\n") == 1


def test_two_runs_lie_side_by_side(resumed_run: Stage, listed: list[dict[str, Any]], tmp_path: Path) -> None:
    out = tmp_path / "diff.png"
    done = easel("runs", "diff", listed[0]["run"], "latest", "--root", resumed_run.root, "--pictures", out, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["runs"] == [listed[0]["run"], listed[-1]["run"]]
    assert told["data"] == {}
    assert told["config"] == {"restoration.steps": [20, RESTORER_STEPS]}
    first, second = told["metrics"]["restorer.psnr"]
    assert second > first
    assert told["metrics"]["generator.psnr"][0] == pytest.approx(told["metrics"]["generator.psnr"][1])
    with Image.open(out) as drawn:
        assert drawn.width > 1000


# The cards


@pytest.mark.parametrize("model", MODELS)
def test_a_pushed_model_tells_what_it_came_from(pushed: Path, whole_line: Stage, model: str) -> None:
    extra = only_version(pushed, model) / "assets.extra"
    card = json.loads((extra / "model_card.json").read_text(encoding="utf-8"))
    told = succeeded(whole_line)
    assert (card["model"], card["version"]) == (model, int(told["pushed"][model]))
    assert card["data"]["pictures"] == 399 and len(card["data"]["fingerprint"]) == 64
    assert card["config"]["language"]["steps"] == 200
    assert card["licence"] == "CC0-1.0" and card["limits"][-1] == "It was trained for seconds."
    parts = MODELS[:3] if model == "text_to_image" else (model,)
    assert {name: slices["all"] for name, slices in card["metrics"].items()} == {
        name: pytest.approx(told["metrics"][name]) for name in parts
    }
    page = (extra / "model_card.md").read_text(encoding="utf-8")
    assert f"\n# {model} {card['version']}\n" in page
    metadata = yaml.safe_load(page.split("---\n")[1])
    assert (metadata["license"], metadata["language"]) == ("cc0-1.0", ["en", "zh"])
    (index,) = metadata["model-index"]
    assert [result["task"]["name"] for result in index["results"]] == list(parts)


def test_models_are_judged_by_language_and_attribute(whole_line: Stage) -> None:
    for slices in succeeded(whole_line)["slices"].values():
        assert {"all", "language=en", "language=zh", "attribute.kind=single", "attribute.kind=pair"} <= set(slices)
        assert len({tuple(metrics.values()) for metrics in slices.values()}) > len(slices) // 2
        assert all(np.isfinite(value) for metrics in slices.values() for value in metrics.values())


# Data that cannot be used


@pytest.fixture(scope="session")
def damaged_run(whole_line: Stage, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A third of the pictures damaged, in a root of its own."""
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(whole_line.data, folder / "shapes")
    for number in range(133):
        (folder / f"shapes/images/{number:06}.png").write_bytes(b"not a picture")
    return Stage(folder / "root", folder / "shapes", whole_line.done, {}).run()


def test_a_damaged_data_set_stops_the_run_with_one_sentence(damaged_run: Stage) -> None:
    assert damaged_run.done.returncode == 1
    told = damaged_run.done.stderr
    assert told.startswith("133 of 400 pictures (33.2%) were quarantined, and at most 5.0% may be; ")
    assert told.count("\n") == 1
    assert "max_quarantine = 0.34" in told


def test_a_damaged_data_set_leaves_a_report_of_what_was_set_aside(damaged_run: Stage) -> None:
    (file,) = (damaged_run.root / "reports").glob("*.html")
    page = file.read_text(encoding="utf-8")
    assert "133 of 400 pictures (33.2%) were quarantined" in page
    assert "And 85 more" in page


def test_a_run_that_stopped_is_remembered_as_failed(damaged_run: Stage) -> None:
    (run,) = json.loads(easel("runs", "--root", damaged_run.root, "--json").stdout)
    assert (run["state"], run["trained"], run["pushed"]) == ("failed", [], {})
