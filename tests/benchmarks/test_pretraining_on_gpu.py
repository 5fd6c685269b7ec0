import numpy as np

from benchmarks.pretraining_on_gpu import (
    LONGEST_WORD,
    VERSIONS,
    Data,
    beheaded,
    drawn_batch,
    read_batch,
    scenes,
    split,
    with_unknown_words,
)
from models.vocabulary import END, PAD, START

CAPTION = np.array([START, 7, 8, 9, END, PAD], np.int16)
LETTERS = np.array([20, 21, 22], np.int32)
SCENES = 3


def data() -> Data:
    """Captions that differ in their last piece by version, and as many embeddings of captions with unknown words."""
    ids = np.tile(CAPTION, (SCENES, 2 * VERSIONS, 1))
    ids[..., 3] = 10 + np.arange(2 * VERSIONS)
    image = np.arange(SCENES, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    embedding = np.arange(SCENES * 4 * VERSIONS, dtype=np.float16).reshape(SCENES, -1, 1)
    boxes, tags = np.zeros((SCENES, 5, 5), np.float32), np.zeros((SCENES, 6, 2), bool)
    return Data(ids, image, image[:, :2, :2], boxes, tags, embedding)


def test_scenes_are_never_withheld_and_have_captions_in_two_languages() -> None:
    drawn = list(scenes((5, 20)))
    assert not any(scene.withheld for scene, _ in drawn)
    assert all(len(texts) == 2 * VERSIONS for _, texts in drawn)
    assert all(text.isascii() != number % 2 for _, texts in drawn for number, text in enumerate(texts))
    again = list(scenes((10, 1)))
    assert again[0] == drawn[5]


def test_numbers_are_split_without_a_rest_left_out() -> None:
    assert split(12, 5) == [(0, 5), (5, 5), (10, 2)]


def test_a_share_of_captions_lacks_its_first_pieces() -> None:
    ids = np.tile(CAPTION.astype(np.int32), (4, 1))
    chances = np.array([[0.5, 0.05, 0.05, 0.05], [0.9, 0.0, 0.5, 0.99]], np.float32)
    whole, first, second, last = np.asarray(beheaded(ids, chances))
    np.testing.assert_array_equal(whole, CAPTION)
    np.testing.assert_array_equal(first, CAPTION)
    np.testing.assert_array_equal(second, [START, 8, 9, END, PAD, PAD])
    np.testing.assert_array_equal(last, [START, 9, END, PAD, PAD, PAD])


def test_unknown_words_are_read_and_not_learned() -> None:
    rows = np.zeros(64, np.int32)
    batch = read_batch(data(), np.int32(3), rows, letters=LETTERS)
    ids, targets, both = (np.asarray(batch[name]) for name in ("ids", "targets", "all_ids"))
    assert 0 < (targets != ids).any(axis=1).mean() < 0.6
    assert both.shape == (64, 2 * VERSIONS, len(CAPTION))
    assert set(ids[:, 0]) == {START}


def test_an_unknown_word_is_spelled_in_the_place_of_the_piece_that_it_replaces() -> None:
    captions = np.tile(np.pad(CAPTION, (0, 4 * LONGEST_WORD)).astype(np.int32), (500, 1))
    read, learned = (np.asarray(each) for each in with_unknown_words(captions, LETTERS, np.int32(0)))
    for row, targets in zip(read.tolist(), learned.tolist(), strict=True):
        spelled = [piece for piece in row if piece in LETTERS]
        kept = [piece for piece in row if piece not in LETTERS]
        assert kept[: kept.index(END) + 1] == [piece for piece in targets if piece != PAD]
        replaced = len(CAPTION[CAPTION != PAD]) - kept.index(END) - 1
        assert 2 * replaced <= len(spelled) <= LONGEST_WORD * replaced
        assert set(row[row.index(END) + 1 :]) == {PAD}
    assert 0.3 < (learned != read).any(axis=1).mean() < 0.95


def test_pictures_come_with_an_embedding_of_their_own() -> None:
    rows = np.array([0, 2, 1], np.int32)
    batch = {name: np.asarray(values) for name, values in drawn_batch(data(), np.int32(1), rows).items()}
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], rows)
    np.testing.assert_array_equal(batch["embedding"][:, 0] // (4 * VERSIONS), rows)
