import mmap
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfx_pipeline.judging.gallery import Exhibits
from tfx_pipeline.kinds import GENERATOR
from tfx_pipeline.report import Remarks, duration, plain, write_report
from tfx_pipeline.report.headline import commands, headline
from tfx_pipeline.report.pictures import films_of, wall
from tfx_pipeline.report.plots import curve, histograms
from tfx_pipeline.report.thumbnails import as_uri, thumbnail
from tfx_pipeline.runs.history import Artifact, History, Run, Step
from tfx_pipeline.runs.memory import PeakMemory, peak_mib
from tfx_pipeline.runs.root import Root

ID = "2026-01-02T03:04:05.000006"
ELSEWHERE = re.compile(r"""(src|href)="(?!data:|\#)|@import|url\((?!#)|<script""")


def run_of(**states: str) -> Run:
    return Run(ID, tuple(Step(name, state, 1.0, {}) for name, state in states.items()))


@pytest.fixture(scope="module")
def early(reading_run: Path) -> str:
    """The report of a run that read its data and came no further."""
    root = Root(reading_run)
    file = write_report(
        root, History(root).run("latest"), Remarks("Transform failed: <b>no memory</b>.", {"Transform": 12.0})
    )
    return file.read_text(encoding="utf-8")


def test_a_report_goes_as_far_as_the_run(early: str) -> None:
    assert "Transform failed: &lt;b&gt;no memory&lt;/b&gt;." in early
    assert "red number 3" in early
    assert "not a picture" not in early
    assert [name for name in ("metrics", "curves", "films", "pictures") if f'id="{name}"' in early] == []


def test_a_report_shows_what_was_set_aside_with_its_reason(early: str) -> None:
    (item,) = re.findall(r'<ul class="aside">.*?</ul>', early, re.DOTALL)
    assert item.count("<li>") == 1
    assert "<code>00.png</code>" in item
    assert "<img" not in item


def test_a_report_asks_for_nothing_from_elsewhere(early: str) -> None:
    assert ELSEWHERE.findall(early) == []


def test_a_report_keeps_the_remarks_of_its_run_when_it_is_written_again(reading_run: Path, early: str) -> None:
    root = Root(reading_run)
    again = write_report(root, History(root).run("latest"))
    assert again.read_text(encoding="utf-8") == early


@pytest.mark.parametrize(
    ("run", "failure", "state", "told"),
    [
        (run_of(Transform="failed"), "", "failed", "Transform failed; see the newest file in logs/."),
        (run_of(Transform="failed"), "It broke.", "failed", "It broke."),
        (run_of(Trainer="interrupted"), "", "interrupted", "The run was interrupted in Trainer; "),
        (run_of(**{"Trainer.restorer": "ran"}), "", "pushed", "blessed and pushed; this run trained restorer."),
        (run_of(**{"Trainer.restorer": "cached"}), "", "pushed", "this run trained nothing, "),
    ],
)
def test_the_verdict_is_a_sentence(run: Run, failure: str, state: str, told: str) -> None:
    found = headline(run, failure)
    assert found.state == state
    assert told in found.sentence


def test_what_was_not_pushed_is_told_with_its_reason() -> None:
    blessing = Artifact("blessing", "InfraBlessing", "", {"blessed": 0, "reason": "it does not load"})
    run = Run(ID, (Step("ServingValidator", "ran", 1.0, {}, (blessing,)),))
    assert headline(run, "").sentence == "Nothing was pushed: the serving check failed: it does not load."


@pytest.mark.parametrize("state", ["pushed", "refused", "failed", "interrupted"])
def test_the_commands_can_be_copied(state: str) -> None:
    found = commands(Root(Path("my work")), run_of(), state)
    assert all(command.startswith("easel ") for _, command in found)
    assert any("--root 'my work'" in command for _, command in found)


def test_the_worst_and_the_best_pictures_are_found() -> None:
    truth = np.full((20, 16, 16, 3), 128, np.uint8)
    candidate = truth + np.arange(20, dtype=np.uint8)[:, None, None, None]
    found = wall(GENERATOR, Exhibits(np.array([str(i) for i in range(20)]), candidate, candidate, truth))
    assert [item.caption for item in found.best[:3]] == ["0", "1", "2"]
    assert [item.caption for item in found.worst[:3]] == ["19", "18", "17"]
    assert found.best[0].psnr == 100
    assert found.count == 20


def test_a_film_is_in_the_order_of_its_steps(tmp_path: Path) -> None:
    (tmp_path / "samples").mkdir()
    for step in (10, 5, 100):
        Image.new("RGB", (2, 2)).save(tmp_path / f"samples/restorer-{step:07}.png")
    (film,) = films_of(tmp_path)
    assert [step for step, _ in film.frames] == [5, 10, 100]
    assert list(films_of(None)) == []


def test_plots_take_the_colours_of_the_page() -> None:
    for plot in (curve([1, 2], [3.0, 4.0]), histograms({"a": np.arange(9), "b": np.arange(4)}, unit="dB")):
        assert plot.startswith("<svg ")
        assert "var(--first)" in plot
        assert "#0101" not in plot
        assert "<style" not in plot
    assert "var(--second)" in plot


@pytest.mark.parametrize("name", ["none.png", "../secret.png", "text.png", "/etc/hostname"])
def test_what_is_no_picture_of_the_folder_has_no_thumbnail(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.png")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/text.png").write_text("text")
    assert thumbnail(tmp_path / "data", name) is None


def test_a_thumbnail_is_small(tmp_path: Path) -> None:
    Image.effect_noise((900, 300), 80).save(tmp_path / "noise.png")
    uri = thumbnail(tmp_path, "noise.png")
    assert uri is not None
    assert uri.startswith("data:image/png;base64,")
    assert len(uri) < 10_000


def test_equal_pictures_are_equal_uris() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert as_uri(picture) == as_uri(picture.copy()) != as_uri(255 - picture)


def test_a_task_is_told_what_it_held_and_not_what_others_did() -> None:
    memory = PeakMemory()
    memory.begin("large")
    # A mapping of its own: an array may take memory that earlier tests have left to the process.
    with mmap.mmap(-1, 64 * 2**20) as large:
        large.write(b"1" * len(large))
    memory.begin("small")
    memory.begin("smaller")
    memory.end()
    if peak_mib() is None:
        pytest.skip("this machine does not tell")
    assert set(memory.peaks) == {"large", "small", "smaller"}
    assert memory.peaks["large"] - memory.peaks["smaller"] > 32


def test_words_for_people() -> None:
    assert [duration(seconds) for seconds in (4.6, 61, 3600)] == ["5 s", "1 min 1 s", "60 min 0 s"]
    assert plain("generator_warmup") == "Generator warmup"
