from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from models.learning.inputs import (
    LONGEST_WORD,
    Batches,
    Captioned,
    UnknownWords,
    caption_batches,
    embedding_batches,
    is_present,
    one_caption,
    picture_batches,
    some_beheaded,
    unknown_words,
    with_unknown_words,
)
from models.vocabulary import END, PAD, RESERVED, START, UNKNOWN

SIZE, LENGTH = 8, 6
MISSING = [START, END] + [PAD] * (LENGTH - 2)


def rows_of(count: int, batch: int, *, seed: int) -> tf.data.Dataset:
    """Batches that are their rows' numbers."""
    return Batches(count, batch, seed, lambda _, rows: rows).dataset()


def ids(piece: int) -> list[int]:
    return [START, piece, END] + [PAD] * (LENGTH - 3)


def data(count: int) -> Captioned:
    """Picture i is of grey level i and says 10 + i in English and, where i is even, 100 + i in Chinese."""
    image = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones([1, SIZE, SIZE, 3], np.uint8)
    captions = [[ids(10 + i), MISSING if i % 2 else ids(100 + i)] for i in range(count)]
    return Captioned(image, np.array(captions, np.int64))


def test_what_is_present_says_something() -> None:
    np.testing.assert_array_equal(is_present(data(3).captions), [[True, True], [True, False], [True, True]])


@pytest.mark.parametrize(("count", "batch"), [(12, 4), (10, 4), (3, 8)])
def test_every_row_comes_once_an_epoch(count: int, batch: int) -> None:
    epochs = 4
    batches = rows_of(count, batch, seed=1).take(-(-epochs * count // batch))
    rows = np.concatenate([rows.numpy() for rows in batches])[: count * (epochs - 1)]
    for epoch in rows.reshape(epochs - 1, count):
        assert sorted(epoch) == list(range(count))


def test_epochs_come_in_different_orders_and_seeds_too() -> None:
    first, second = (row.numpy().tolist() for row in rows_of(32, 32, seed=1).take(2))
    (other,) = (row.numpy().tolist() for row in rows_of(32, 32, seed=2).take(1))
    assert first != second
    assert first != other


def test_a_missing_caption_is_never_chosen() -> None:
    captions = tf.constant(data(50).captions)
    chosen = np.stack([one_caption(captions).numpy() for _ in range(40)])
    assert not np.any(chosen[..., 1] == END)
    picks = Counter(chosen[:, 0, 1].tolist())
    assert set(picks) == {10, 100}
    assert min(picks.values()) > 4


def test_every_caption_of_a_picture_has_its_turn_and_a_missing_one_none() -> None:
    captions = tf.constant([[ids(10), MISSING, ids(11), ids(12), MISSING]] * 600, tf.int64)
    picks = Counter(one_caption(captions).numpy()[:, 1].tolist())
    assert set(picks) == {10, 11, 12}
    assert min(picks.values()) > 140


def test_some_captions_begin_with_a_later_piece() -> None:
    whole = [START, 7, 8, 9, END, PAD]
    rows = some_beheaded(tf.constant([whole, ids(5), MISSING] * 2000, tf.int64)).numpy().reshape(2000, 3, LENGTH)
    seen = Counter(map(tuple, rows[:, 0]))
    assert set(seen) == {tuple(whole), (START, 8, 9, END, PAD, PAD), (START, 9, END, PAD, PAD, PAD)}
    assert 0.04 < 1 - seen[tuple(whole)] / 2000 < 0.1
    assert (rows[:, 1:] == [ids(5), MISSING]).all()


def test_some_pieces_become_words_that_nobody_knows() -> None:
    letters, count = [50, 51, 52], 2000
    rows = tf.constant([[START, 7, 8, 9, END, PAD], ids(5), MISSING] * count, tf.int64)
    read, learned = (part.numpy() for part in with_unknown_words(rows, UnknownWords(letters, share=0.5)))
    assert read.shape == learned.shape == (3 * count, LENGTH + LONGEST_WORD)
    unknown = np.isin(read, letters)
    np.testing.assert_array_equal(learned, np.where(unknown, PAD, read))
    assert (read[:, 0] == START).all() and (np.sort(read != PAD, axis=1)[:, ::-1] == (read != PAD)).all()
    np.testing.assert_array_equal(read[2::3, :LENGTH], [MISSING] * count)
    kept = [tuple(row[~np.isin(row, [*letters, PAD])]) for row in read[::3]]
    whole = (START, 7, 8, 9, END)
    assert 0.5 < Counter(kept)[whole] / count < 0.75
    assert {(START, 7, 9, END), (START, 8, END), (START, END)} < set(kept)
    words = read[1::3][unknown[1::3, 1], 1:]
    assert 0.15 < len(words) / count < 0.35
    assert (words[:, 0] == letters[0]).all() and np.isin(words[:, 1], letters).all()
    assert set(np.isin(words, letters).sum(axis=1)) == set(range(2, LONGEST_WORD + 1))


def test_without_a_share_no_word_is_unknown() -> None:
    rows = tf.constant(data(10).captions[:, 0])
    for part in with_unknown_words(rows, UnknownWords([50], share=0.0)):
        np.testing.assert_array_equal(part[:, :LENGTH], rows)


def test_unknown_words_consist_of_letters_that_no_text_has() -> None:
    vocabulary = [*RESERVED, "▁red", "红", "▁", "e", "d"]
    texts = np.array([[START, 4, END, PAD], [START, 5, 8, END]])
    assert unknown_words(vocabulary, 0.1, texts[:1]) == ([6, 7, 8], 0.1)
    assert unknown_words(vocabulary, 0.1, texts[:1], texts[1:]) == ([6, 7], 0.1)
    assert unknown_words(vocabulary[:6], 0.1, texts) == ([UNKNOWN], 0.1)
    assert unknown_words(vocabulary, 0.0, texts) is None


def test_a_word_that_no_text_has_keeps_its_meaning() -> None:
    vocabulary = [*RESERVED, "▁cat", "猫", "▁red", "▁", "r", "e", "d", "c", "a", "t"]
    texts = np.array([[START, 6, END, PAD]])
    assert unknown_words(vocabulary, 0.1, texts) == ([*range(7, 14)], 0.1)


def test_caption_batches_with_unknown_words_learn_the_rest() -> None:
    none = np.zeros([0, LENGTH], np.int64)
    batches = caption_batches(data(10), none, batch_size=5, seed=0, unknown=UnknownWords([50, 51], 1.0))
    assert {part.shape[0] for part in batches.dataset().element_spec.values()} == {5}
    rows = list(batches.dataset().take(40))
    read, learned = (np.concatenate([batch[name].numpy() for batch in rows]) for name in ("ids", "targets"))
    assert (read >= 50).any()
    np.testing.assert_array_equal(learned, np.where(np.isin(read, [50, 51]), PAD, read))
    assert all((batch["all_ids"].numpy() != 50).all() for batch in rows)


def test_a_lone_chinese_caption_is_chosen() -> None:
    captions = tf.constant([[MISSING, ids(7)]] * 20, tf.int64)
    np.testing.assert_array_equal(one_caption(captions), [ids(7)] * 20)


def test_caption_batches_keep_picture_and_caption_together() -> None:
    for batch in caption_batches(data(10), np.zeros([0, LENGTH], np.int64), batch_size=6, seed=0).dataset().take(20):
        grey = batch["image"][:, 0, 0, 0].numpy().astype(int)
        assert set(batch["has_picture"].numpy()) == {1.0}
        for row, own in zip(batch["ids"].numpy(), grey, strict=True):
            assert row.tolist() in ([10 + own], [100 + own]) or row[1] in (10 + own, 100 + own)
        np.testing.assert_array_equal(batch["all_ids"].numpy()[:, 0, 1], 10 + grey)


def test_lines_have_no_picture() -> None:
    lines = np.array([ids(200 + number) for number in range(5)], np.int64)
    seen: Counter[int] = Counter()
    for batch in caption_batches(data(10), lines, batch_size=5, seed=0).dataset().take(3 * 4):
        is_line = batch["ids"].numpy()[:, 1] >= 200
        np.testing.assert_array_equal(batch["has_picture"].numpy(), np.where(is_line, 0.0, 1.0))
        seen.update(batch["ids"].numpy()[is_line, 1].tolist())
    assert seen == {200 + number: 4 for number in range(5)}


@pytest.mark.parametrize(("longest", "width"), [(0, 3), (2, 3), (5, 5)])
def test_caption_batches_have_no_column_of_padding(longest: int, width: int) -> None:
    assert data(10).captions.shape[-1] == LENGTH > width
    lines = np.zeros([4, LENGTH], np.int64)
    lines[2, :longest] = 9
    (batch,) = caption_batches(data(10), lines, batch_size=14, seed=0).dataset().take(1)
    assert batch["ids"].shape == (14, width) and batch["all_ids"].shape == (14, 2, width)


def test_embedding_batches_pair_a_picture_with_one_of_its_own() -> None:
    pictures = data(10)
    embeddings = pictures.captions[..., 1:2].astype(np.float32)
    batches = embedding_batches(pictures.image, embeddings, is_present(pictures.captions), batch_size=5, seed=0)
    seen = set()
    for batch in batches.dataset().take(40):
        own = batch["image"][:, 0, 0, 0].numpy().astype(int)
        said = batch["embedding"][:, 0].numpy().astype(int)
        seen |= set(said)
        assert all(word in (10 + grey, 100 + grey) and word != END for word, grey in zip(said, own, strict=True))
    assert seen == set(range(10, 20)) | set(range(100, 110, 2))


def test_picture_batches_never_repeat_a_seed() -> None:
    batches = list(picture_batches(data(10).image, batch_size=4, seed=3).dataset().take(50))
    seeds = np.concatenate([batch["seed"].numpy() for batch in batches])
    assert len(set(seeds)) == len(seeds)
    again = next(iter(picture_batches(data(10).image, batch_size=4, seed=3).dataset()))
    np.testing.assert_array_equal(again["seed"], batches[0]["seed"])
    np.testing.assert_array_equal(again["image"], batches[0]["image"])


def test_picture_batches_have_the_dtypes_that_training_takes() -> None:
    spec = picture_batches(data(4).image, batch_size=2, seed=0).dataset().element_spec
    assert {name: (each.dtype, tuple(each.shape)) for name, each in spec.items()} == {
        "image": (tf.uint8, (2, SIZE, SIZE, 3)),
        "seed": (tf.int64, (2,)),
    }
