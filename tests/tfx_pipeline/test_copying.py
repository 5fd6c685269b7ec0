from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from numpy.typing import NDArray
from tfx.types.standard_artifacts import Examples, ModelBlessing

from tfx_pipeline.components.artifacts import Copies, Pictures
from tfx_pipeline.components.copying import CopyCheck
from tfx_pipeline.ingesting.examples import example
from tfx_pipeline.judging.copying import Neighbours, differences, neighbours, read_suspects
from tfx_pipeline.judging.gallery import FILE, Exhibits
from tfx_pipeline.judging.verdict import copying, refusal
from tfx_pipeline.runs.history import Artifact, Run, Step

RNG = np.random.default_rng(0)
TRAINING = RNG.integers(0, 256, (200, 8, 8, 3), np.uint8)
FRESH = RNG.integers(0, 256, (20, 8, 8, 3), np.uint8)


def among(pictures: NDArray[np.uint8], training: NDArray[np.uint8] = TRAINING, batch: int = 64) -> Neighbours:
    return neighbours(pictures, (training[start : start + batch] for start in range(0, len(training), batch)))


def near(pictures: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    noisy = pictures + RNG.normal(0, deviation, pictures.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def test_differences_are_root_mean_squares() -> None:
    pairs = FRESH[:, None].astype(float) - TRAINING[None].astype(float)
    expected = np.sqrt((pairs**2).mean(axis=(2, 3, 4)))
    np.testing.assert_allclose(differences(FRESH, TRAINING), expected, rtol=1e-4)


def test_copies_are_found_and_traced() -> None:
    found = among(near(TRAINING[60:80], 4))
    np.testing.assert_array_equal(found.nearest, TRAINING[60:80])
    assert found.copied == 1


def test_fresh_pictures_are_no_copies() -> None:
    assert among(FRESH).copied == 0


def test_a_picture_of_which_the_data_has_many_is_no_copy() -> None:
    many = near(np.repeat(TRAINING[:1], 60, axis=0), 4)
    assert among(near(TRAINING[:1], 4), np.concatenate([TRAINING, many])).copied == 0


@pytest.mark.parametrize("batch", [1, 7, 200])
def test_batches_of_any_size_give_the_same(batch: int) -> None:
    first, second = among(FRESH), among(FRESH, batch=batch)
    np.testing.assert_array_equal(first.nearest, second.nearest)
    np.testing.assert_allclose(first.isolation, second.isolation, rtol=1e-5)


def test_a_handful_of_training_pictures_is_enough() -> None:
    assert among(FRESH, TRAINING[:3]).copied == 0
    assert among(TRAINING[:1], TRAINING[:3]).copied == 1


def checked(share: float, usual: float, most: float) -> Run:
    numbers = {"share": share, "usual": usual, "most": most}
    properties = {"blessed": int(share - usual <= most), "model": "generator", **numbers}
    blessing = Artifact("blessing", "ModelBlessing", "", properties)
    return Run("2026-01-01", (Step("CopyCheck", "ran", 1.0, {}, (blessing,)),))


def test_copying_is_refused_with_both_numbers() -> None:
    assert refusal(checked(0.75, 0.05, 0.5), []) == "generator not blessed: share of copies 0.70 > 0.50"


def test_what_the_data_does_itself_is_no_copying() -> None:
    assert copying(checked(0.75, 0.5, 0.5)) == ""
    assert copying(Run("2026-01-01", ())) == ""


def check(folder: Path, drawn: NDArray[np.uint8], most: float) -> ModelBlessing:
    """Let the component look at drawings, beside fresh pictures as the withheld ones."""
    examples, pictures, copies, blessing = Examples(), Pictures(), Copies(), ModelBlessing()
    examples.uri, pictures.uri, copies.uri = (str(folder / name) for name in ("examples", "pictures", "copies"))
    examples.split_names = '["train", "eval"]'
    (folder / "examples/Split-train").mkdir(parents=True)
    (folder / "pictures").mkdir()
    with tf.io.TFRecordWriter(str(folder / "examples/Split-train/transformed.gz"), "GZIP") as out:
        for picture in TRAINING:
            out.write(example(image=picture.tobytes()))
    captions = np.array([f"number {number}" for number in range(len(drawn))])
    np.savez(folder / "pictures" / FILE, **Exhibits(captions, drawn, drawn, FRESH)._asdict())
    CopyCheck.test_call(
        examples=examples, pictures=pictures, name="generator", most=most, copies=copies, blessing=blessing
    )
    return blessing


def test_a_generator_that_copies_is_not_blessed(tmp_path: Path) -> None:
    half = np.concatenate([FRESH[:10], near(TRAINING[:10], 4)])
    blessing = check(tmp_path, half, most=0.4)
    assert blessing.get_int_custom_property("blessed") == 0
    assert blessing.get_float_custom_property("share") == 0.5
    suspects = read_suspects(str(tmp_path / "copies"))
    assert suspects is not None
    assert set(suspects.captions[:10]) == {f"number {number}" for number in range(10, 20)}
    assert (np.diff(suspects.isolation) >= 0).all()
    row = int(suspects.captions[0].split()[1]) - 10
    np.testing.assert_array_equal(suspects.nearest[0], TRAINING[row])


def test_a_generator_that_draws_is_blessed(tmp_path: Path) -> None:
    assert check(tmp_path, near(FRESH, 4), most=0.0).get_int_custom_property("blessed") == 1
