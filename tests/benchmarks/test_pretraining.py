import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks import pretraining
from benchmarks.pretraining import draw_batch, save_half, shrunk, train, write_sheet
from models.learning.settings import LearningConfig
from models.saving import load_model
from tfx_pipeline.datasets.storybook.story import MOST
from tfx_pipeline.ingesting.annotations import boxes_of, tags_of

TINY = LearningConfig.model_validate(
    {
        "data": {"picture_size": 16, "caption_length": 32},
        "language": {"token_size": 8, "width": 16, "slots": 6, "slot_size": 8, "steps": 2, "batch_size": 4},
        "drawing": {
            "network": "scenes",
            "scenes": {"width": 16, "canvas": 16, "back_canvas": 16, "features": 4, "steps": 2, "batch_size": 4},
        },
        "restoration": {"widths": (8, 8), "steps": 2, "batch_size": 4},
    }
)


def test_boxes_and_tags_become_arrays() -> None:
    drawn = draw_batch(32, 0, (0, 12))
    boxes, tags = boxes_of(drawn.annotations, MOST), tags_of(drawn.annotations, MOST)
    assert boxes is not None and tags is not None
    assert (drawn.image.shape, drawn.image.dtype) == ((12, 32, 32, 3), np.uint8)
    there = ~np.isnan(boxes[..., 0])
    assert [int(row.sum()) for row in there] == [len(each.boxes or ()) for each in drawn.annotations]
    np.testing.assert_array_equal(tags[:, :-1].any(-1), there)
    assert tags[:, :-1].sum() == sum(len(names) for each in drawn.annotations for names in each.categories)
    assert (tags[:, -1].sum(-1) == 3).all()


def test_pictures_shrink_by_blocks() -> None:
    image = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    np.testing.assert_array_equal(shrunk(image, 1), image)
    np.testing.assert_array_equal(shrunk(image, 2)[1, 0, 1], image[1, :2, 2:].mean((0, 1)).round())


def test_half_the_bytes_load_as_the_same_weights(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((200,)), keras.layers.Dense(300)])
    model.save(tmp_path / "whole.keras")
    save_half(model, tmp_path / "half.keras")
    loaded = keras.saving.load_model(tmp_path / "half.keras")
    for ours, theirs in zip(loaded.weights, model.weights, strict=True):
        assert ours.dtype == "float32"
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=2**-8, atol=2**-25)
    whole, half = (zipfile.ZipFile(tmp_path / f"{name}.keras").infolist() for name in ("whole", "half"))
    assert max(file.file_size for file in half) < 0.6 * max(file.file_size for file in whole)


@pytest.mark.slow
def test_all_three_models_are_trained_and_draw_the_sheet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining, "PROMPTS", ("a cat", "两只猫"))
    models = train(draw_batch(32, 0, (0, 12)), TINY, tmp_path / "run")
    write_sheet(models, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()
    save_half(models.generator, tmp_path / "generator.keras")
    assert load_model(tmp_path / "generator.keras").generate("a cat", seed=1).shape == (16, 16, 3)
