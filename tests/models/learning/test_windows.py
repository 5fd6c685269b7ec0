import itertools

import numpy as np

from models.learning.windows import window_batches


def test_each_stream_goes_on_around_the_text() -> None:
    ids = np.arange(1000, dtype=np.int64)
    batches = [batch["ids"].numpy() for batch in window_batches(ids, streams=4, window=24).dataset().take(60)]
    assert batches[0].shape == (4, 25) and batches[0][:, 0].tolist() == [0, 250, 500, 750]
    for before, after in itertools.pairwise(batches):
        np.testing.assert_array_equal(before[:, -1], after[:, 0])
    for batch in batches:
        assert (np.diff(batch, axis=1) % 1000 == 1).all()
