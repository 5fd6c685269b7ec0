import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfx_pipeline.datasets.folder import DataSetError, read_folder
from tfx_pipeline.datasets.storybook.samples import Sample, StorybookSummary, sample, write_storybook
from tfx_pipeline.datasets.storybook.scene import render
from tfx_pipeline.datasets.storybook.things import ART, THINGS


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_samples_depend_on_the_seed_and_their_number_alone() -> None:
    first = list(sample(6, seed=7))
    assert first == list(sample(6, seed=7))
    assert first[4:] == list(sample(2, seed=7, start=4))
    assert first != list(sample(6, seed=8))


@pytest.mark.parametrize("withheld", [True, False])
def test_samples_are_seen_unless_others_are_asked_for(withheld: bool) -> None:
    assert {each.scene.withheld for each in sample(30, seed=0, withheld=withheld)} == {withheld}
    assert not any(each.scene.withheld for each in sample(30, seed=0))


def test_samples_of_one_kind_can_be_asked_for() -> None:
    assert {each.scene.kind for each in sample(20, seed=0, shares={"pair": 1, "count": 1})} == {"pair", "count"}


def nouns_of(each: Sample) -> set[str]:
    return {role.noun for role in each.scene.story.roles}


def test_every_second_sample_is_about_the_nouns_that_are_asked_for() -> None:
    asked, plain = sample(12, seed=4, about=("cat", "owl")), list(sample(12, seed=4))
    for number, each in enumerate(asked):
        assert each == plain[number] if number % 2 else nouns_of(each) & {"cat", "owl"}


def test_further_things_are_drawn_in_every_second_scene_and_are_not_kept(tmp_path: Path) -> None:
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        write_storybook(tmp_path / str(workers), count=300, size=16, seed=3, workers=workers, things=ART / "demo")
    assert files(tmp_path / "1") == files(tmp_path / "2")
    shown = ["dinosaur" in json.dumps(entry.attributes) for entry in read_folder(tmp_path / "1").entries]
    assert all(shown[::2]) and not all(shown[1::2])
    assert "dinosaur" not in THINGS


def test_a_data_set_is_the_same_however_many_draw_it(tmp_path: Path) -> None:
    progress: list[int] = []
    for workers in (1, 2):
        (tmp_path / str(workers)).mkdir()
        summary = write_storybook(
            tmp_path / str(workers), count=300, size=16, seed=3, workers=workers, progress=progress.append
        )
    assert files(tmp_path / "1") == files(tmp_path / "2")
    assert progress == [256, 300] * 2
    lines = [json.loads(line) for line in (tmp_path / "1/metadata.jsonl").read_text(encoding="utf-8").splitlines()]
    assert summary == StorybookSummary(300, sum(line.get("withheld", False) for line in lines))
    assert 30 < summary.withheld < 90


def test_a_data_set_holds_what_its_samples_say(tmp_path: Path) -> None:
    write_storybook(tmp_path, count=12, size=32, seed=5, workers=1)
    reading = read_folder(tmp_path)
    assert reading.quarantined == ()
    for number, (entry, each) in enumerate(zip(reading.entries, sample(12, seed=5, withheld=None), strict=True)):
        assert entry.file_name == f"images/{number:06}.png"
        assert (entry.text, entry.text_zh) == (each.captions.english, each.captions.chinese)
        assert entry.attributes == each.scene.attributes | {"open": list(each.captions.open)}
        assert entry.withheld == each.scene.withheld
        assert entry.objects is not None
        assert entry.objects.categories == tuple(map(tuple, each.scene.tags))
        for (left, top, width, height), near, box in zip(
            entry.objects.bbox, entry.objects.nearness, each.scene.boxes, strict=True
        ):
            shares = ((left + width / 2) / 32, (top + height / 2) / 32, width / 32, height / 32, near)
            assert shares == pytest.approx(box, abs=0.001)
        assert entry.tags == tuple(each.scene.scenery)
        assert np.array_equal(np.asarray(Image.open(tmp_path / entry.file_name)), render(each.scene, 32))


@pytest.mark.parametrize(("count", "size"), [(0, 64), (1, 8), (1, 1024)])
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, count: int, size: int) -> None:
    with pytest.raises(DataSetError, match=f"count {count} and size {size}: count must be at least 1 and size 16 to"):
        write_storybook(tmp_path, count=count, size=size, seed=0)
