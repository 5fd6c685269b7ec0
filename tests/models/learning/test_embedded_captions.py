import numpy as np

from models.learning.captions import VERSIONS, versions
from models.learning.inputs import UnknownWords
from models.vocabulary import END, PAD, START

CAPTIONS = np.array([[[START, 4, 5, 6, END], [START, END, PAD, PAD, PAD]]] * 30, np.int64)


def test_versions_are_the_caption_and_others_with_unknown_words() -> None:
    several = versions(CAPTIONS, UnknownWords([7, 8, 9], 0.5))
    assert several.shape == (30, 2 * VERSIONS, 5)
    np.testing.assert_array_equal(several[:, :2], CAPTIONS)
    english, chinese = several[:, 2::2], several[:, 3::2]
    assert (chinese == CAPTIONS[:, 1:]).all()
    changed = (english != CAPTIONS[:, :1]).any(axis=-1)
    assert 0.15 < changed.mean() < 0.5
    assert np.isin(english, [7, 8, 9]).any(axis=-1)[changed].all()
