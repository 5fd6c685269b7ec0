"""Boxes and tags, from a data set's columns to what the Trainers learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from odd_pictures import encoded as picture
from odd_pictures import halves
from tfx import v1 as tfx

from models.learning.settings import LearningConfig
from models.pictures import square
from serving.images import rendered
from tfx_pipeline.config import RunConfig
from tfx_pipeline.datasets.entries import Entry, Objects, fingerprint
from tfx_pipeline.datasets.folder import read_folder
from tfx_pipeline.datasets.storybook.samples import sample, write_storybook
from tfx_pipeline.ingesting import annotations as annotating
from tfx_pipeline.ingesting.annotations import Annotations, Box, boxes_of, decoded, encoded, in_square, tags_of
from tfx_pipeline.ingesting.examples import serialized
from tfx_pipeline.kinds import GENERATOR, LANGUAGE_MODEL
from tfx_pipeline.pipeline import Source, bound, data_steps, trainer
from tfx_pipeline.runs.root import Root
from tfx_pipeline.training.job import Job
from tfx_pipeline.training.records import read_captioned
from tfx_pipeline.training.trainings import tags_for_slots

CAT = Objects(bbox=((20.0, 10.0, 10.0, 20.0),), categories=(("cat", "sitting"),))


@pytest.mark.parametrize(("width", "height"), [(40, 40), (101, 40), (40, 81)])
def test_boxes_are_cut_and_scaled_as_pictures_are(width: int, height: int) -> None:
    pixels = np.zeros([height, width, 3], np.uint8)
    left, top = (width - 40) // 2 + 10, (height - 40) // 2 + 4
    pixels[top : top + 12, left : left + 20] = 255
    (box,) = in_square(Objects(bbox=((left, top, 20, 12),)), width, height)
    rows, columns = np.nonzero(square(tf.constant(pixels), 80).numpy()[..., 0] > 127)
    drawn = (columns.min() / 80, rows.min() / 80, (columns.max() + 1) / 80, (rows.max() + 1) / 80)
    assert (box.x - box.width / 2, box.y - box.height / 2, box.x + box.width / 2, box.y + box.height / 2) == (
        pytest.approx(drawn)
    )


def test_annotations_survive_as_json() -> None:
    entry = Entry("a.png", "a cat", objects=CAT, tags=("street", "夜"))
    assert decoded(encoded(entry, 100, 40).encode()) == Annotations(
        boxes=(Box(-0.125, 0.5, 0.25, 0.5, 0.0),), categories=(("cat", "sitting"),), tags=("street", "夜")
    )
    assert decoded(encoded(Entry("a.png", "nothing", objects=Objects(bbox=())), 9, 9).encode()).boxes == ()
    assert encoded(Entry("a.png", "a cat"), 100, 40) == ""
    assert decoded(b"") == Annotations()


def test_an_example_holds_annotations_where_there_are_any() -> None:
    (image, portable) = rendered(picture(halves()))
    made = [serialized(Entry("a.png", "a", tags=tags), portable, image) for tags in ((), ("street",))]
    plain, tagged = (tf.train.Example.FromString(each).features.feature for each in made)
    assert tagged.keys() - plain.keys() == {"annotations"}
    assert decoded(tagged["annotations"].bytes_list.value[0]).tags == ("street",)


def boxes(*rows: tuple[float, float, float, float, float]) -> Annotations:
    return Annotations(boxes=tuple(Box(*row) for row in rows))


def test_the_first_boxes_are_kept_and_nan_says_that_nothing_is_there() -> None:
    one, two, three = ((0.1 * n, 0.5, 0.2, 0.3, 0.0) for n in (1, 2, 3))
    found = boxes_of([boxes(one, two, three), boxes(one), boxes(), Annotations()], things=2)
    assert found is not None and found.dtype == np.float32
    nothing = [np.nan] * 5
    np.testing.assert_allclose(found, [[one, two], [one, nothing], [nothing] * 2, [[0] * 5] * 2], rtol=1e-6)
    assert boxes_of([Annotations(tags=("street",))], things=2) is None


def test_what_lies_outside_the_square_is_not_there_and_the_others_keep_their_places() -> None:
    found = boxes_of([boxes((-0.2, 0.5, 0.4, 0.1, 0), (-0.1, 0.5, 0.4, 0.1, 0), (0.5, 1.3, 0.1, 0.5, 0))], things=3)
    assert found is not None
    assert np.isnan(found[0, :, 0]).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("nearness", "ranks"),
    [((0, 0, 0), (0, 0, 0)), ((300, -7, 20), (1, -1, 0)), ((5, 5, 1), (0.5, 0.5, -1)), ((-0.5, 0.5), (-0.5, 0.5))],
)
def test_of_nearness_the_order_counts(nearness: tuple[float, ...], ranks: tuple[float, ...]) -> None:
    found = boxes_of([boxes(*((0.5, 0.5, 0.1, 0.1, near) for near in nearness))], things=len(nearness))
    assert found is not None
    assert tuple(found[0, :, -1]) == ranks


def test_tags_have_a_row_a_thing_and_one_for_the_whole() -> None:
    found = tags_of(
        [
            Annotations(boxes=(), categories=(("cat", "orange"), ("dog",), ("owl",)), tags=("street",)),
            Annotations(categories=(("dog",),)),
            Annotations(),
        ],
        things=2,
    )
    names = ["cat", "dog", "orange", "street"]
    assert found is not None and found.shape == (3, 3, len(names))
    told = [[[names[place] for place in np.flatnonzero(part)] for part in row] for row in found]
    assert told == [[["cat", "orange"], ["dog"], ["street"]], [["dog"], [], []], [[], [], []]]
    assert tags_of([Annotations(boxes=())], things=2) is None


def test_the_commonest_tags_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotating, "MOST_TAGS", 2)
    found = tags_of([Annotations(tags=tags) for tags in (("b", "a"), ("c", "b"), ("c",))], things=0)
    assert found is not None
    assert found[:, 0].tolist() == [[True, False], [True, True], [False, True]]


@pytest.mark.parametrize("slots", [3, 2])
def test_tags_that_outnumber_the_slots_are_left_out_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], slots: int
) -> None:
    config = LearningConfig.model_validate({"language": {"slots": slots}})
    job = Job("language_model", config, [], [], "", None, tmp_path, tmp_path / "checkpoints")
    tags = tags_for_slots(job, [Annotations(categories=(("cat",), ("dog",))), Annotations()])
    told = capsys.readouterr().err
    if slots == 3:
        assert tags is not None and tags.shape == (2, 3, 2) and told == ""
    else:
        assert tags is None
        assert told == (
            "  language_model: tags are ignored: some pictures show 2 things, but language.slots = 2 has room for 1\n"
        )
    assert not (tmp_path / "metrics.jsonl").exists()


# Through TFX

SIZE, THINGS = 16, 5
TINY = RunConfig.model_validate(
    {
        "data": {"picture_size": SIZE},
        "language": {"token_size": 8, "width": 16, "slots": THINGS + 1, "slot_size": 8, "steps": 2, "batch_size": 4},
        "drawing": {
            "network": "scenes",
            "scenes": {"width": 16, "canvas": 16, "back_canvas": 16, "features": 4, "steps": 2, "batch_size": 4},
        },
    }
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Root:
    """Of a run over a small storybook, up to the Trainers of the language model and the generator."""
    folder = tmp_path_factory.mktemp("storybook")
    write_storybook(folder, count=30, size=2 * SIZE, seed=5, workers=1)
    root = Root(tmp_path_factory.mktemp("root"))
    source = Source(folder, fingerprint(folder, read_folder(folder, decode=False).entries))
    steps = data_steps(root, source, TINY, history=False)
    language = trainer(LANGUAGE_MODEL, steps.transformed, steps.graph, root, TINY, None, "")
    generator = trainer(GENERATOR, steps.transformed, steps.graph, root, TINY, language.outputs["model"], "")
    tfx.orchestration.LocalDagRunner().run(bound(root, [*steps.nodes, language, generator]))
    return root


@pytest.mark.slow
def test_the_boxes_of_a_story_reach_the_trainers_in_its_order(root: Root) -> None:
    files = [str(file) for file in root.pipeline.glob("Transform/transformed_examples/*/Split-train/*")]
    _, annotations = read_captioned(files, picture_size=2 * SIZE, caption_length=TINY.data.caption_length)
    scenes = [each.scene for each in sample(30, seed=5, withheld=None) if not each.scene.withheld]
    assert sorted((each.categories, each.tags) for each in annotations) == sorted(
        (tuple(map(tuple, scene.tags)), tuple(scene.scenery)) for scene in scenes
    )
    told = {(each.categories, each.tags): each for each in annotations}
    for scene in scenes:
        found = boxes_of([told[tuple(map(tuple, scene.tags)), tuple(scene.scenery)]], len(scene.boxes))
        assert found is not None
        np.testing.assert_allclose(found[0], np.reshape(scene.boxes, [-1, 5]), atol=0.01 / SIZE)


def metrics(root: Root, trainer: str) -> dict[str, float]:
    (file,) = root.pipeline.glob(f"{trainer}/model_run/*/metrics.jsonl")
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return {name: value for row in rows for name, value in row.items()}


@pytest.mark.slow
def test_both_trainers_learn_from_them(root: Root) -> None:
    assert metrics(root, "Trainer.language_model")["tag_loss"] > 0
    # Nothing is missed where no box is known.
    assert metrics(root, "Trainer.generator")["miss"] > 0
