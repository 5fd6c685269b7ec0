import keras
import numpy as np
import pytest
import tensorflow as tf
from tiny_models import VOCABULARY, copy_of, moved, pictures, tiny_language_model

from models.language_model import LanguageModel
from models.language_training import GroundedLanguageModel, TextTraining
from models.vocabulary import END, PAD, START, character_vocabulary

CAPTIONS = ("a red circle", "a blue circle", "a red square", "a blue square on red", "红色圆形", "一个蓝色方块")
Batch = dict[str, tf.Tensor]


@pytest.fixture
def training() -> GroundedLanguageModel:
    return GroundedLanguageModel(tiny_language_model(), picture_size=16)


def corpus(training: GroundedLanguageModel) -> Batch:
    ids = training.language_model.tokenizer.tokenize(tf.constant(CAPTIONS))
    return {
        "ids": ids,
        "targets": ids,
        "all_ids": ids[:, None],
        "image": tf.constant(pictures(len(CAPTIONS))),
        "has_picture": tf.ones(len(CAPTIONS)),
    }


def test_training_lowers_every_loss(training: GroundedLanguageModel) -> None:
    batch = corpus(training)
    before, weights = training.losses_of(batch), copy_of(training.language_model.trainable_variables)
    training.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=False)
    history = training.fit(tf.data.Dataset.from_tensors(batch).repeat(40), shuffle=False, verbose=0).history
    after = training.losses_of(batch)
    assert set(history) == set(after) == {"nats_per_piece", "word_loss", "picture_loss"}
    assert float(after["nats_per_piece"]) < 0.6 * float(before["nats_per_piece"])
    assert float(after["word_loss"]) < 0.5 * float(before["word_loss"])
    assert float(after["picture_loss"]) < 0.9 * float(before["picture_loss"])
    assert all(
        moved([old], [new]) for old, new in zip(weights, training.language_model.trainable_variables, strict=True)
    )


def test_what_it_learnt_to_write_it_writes(training: GroundedLanguageModel) -> None:
    ids = training.language_model.tokenizer.tokenize(tf.constant(["a red circle"]))
    batch = {
        "ids": ids,
        "targets": ids,
        "all_ids": ids[:, None],
        "image": tf.constant(pictures(1)),
        "has_picture": tf.ones(1),
    }
    training.compile(optimizer=keras.optimizers.Adam(0.03), jit_compile=False)
    training.fit(tf.data.Dataset.from_tensors(batch).repeat(60), shuffle=False, verbose=0)
    assert training.language_model.generate(["a", "a red", ""], temperature=0.0) == ["a red circle"] * 3


def test_nats_are_those_of_the_likelihood(training: GroundedLanguageModel) -> None:
    batch = corpus(training)
    nats, _, count = training.language_model.negative_log_likelihood(batch["ids"])
    expected = float(tf.reduce_sum(nats) / tf.reduce_sum(count))
    assert float(training.losses_of(batch)["nats_per_piece"]) == pytest.approx(expected, rel=1e-5)


def test_pieces_that_are_no_targets_are_read_and_not_learned(training: GroundedLanguageModel) -> None:
    batch = corpus(training)
    hidden = tf.concat([batch["ids"][:, :2], tf.zeros_like(batch["ids"][:, 2:])], axis=1)
    losses, whole = training.losses_of({**batch, "targets": hidden}), training.losses_of(batch)
    logits, _ = training.language_model(batch["ids"])
    first = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=batch["ids"][:, 1], logits=logits[:, 0])
    assert float(losses["nats_per_piece"]) == pytest.approx(float(tf.reduce_mean(first)), rel=1e-5)
    for name in ("word_loss", "picture_loss"):
        assert float(losses[name]) == float(whole[name])


def test_a_text_without_a_picture_teaches_writing_alone(training: GroundedLanguageModel) -> None:
    batch = corpus(training)
    first = {name: part[:1] for name, part in batch.items()}
    alone = training.losses_of(first)
    lonely = {**batch, "has_picture": tf.constant([1.0] + [0.0] * (len(CAPTIONS) - 1))}
    losses = training.losses_of(lonely)
    for name in ("word_loss", "picture_loss"):
        np.testing.assert_allclose(losses[name], alone[name], rtol=1e-5)
    none = training.losses_of({**batch, "has_picture": tf.zeros(len(CAPTIONS))})
    assert float(none["word_loss"]) == float(none["picture_loss"]) == 0
    assert float(none["nats_per_piece"]) == float(losses["nats_per_piece"])


def test_words_are_those_of_all_captions_of_a_picture(training: GroundedLanguageModel) -> None:
    a, red, circle, chinese = (VOCABULARY.index(piece) for piece in ("▁a", "▁red", "▁circle", "红"))
    rows = [[[START, a, red, END], [START, chinese, END, PAD]], [[START, circle, circle, END], [START, END, PAD, PAD]]]
    words = training.words_of(tf.constant(rows, tf.int64)).numpy()
    assert words.shape == (2, len(VOCABULARY)) and set(words.ravel()) == {0.0, 1.0}
    assert [set(np.flatnonzero(row)) for row in words] == [{a, red, chinese}, {circle}]


def test_slots_come_to_tell_the_tags_of_their_parts() -> None:
    training = GroundedLanguageModel(tiny_language_model(), picture_size=16, tags=3)
    tags = np.zeros((len(CAPTIONS), 2, 3), bool)
    tags[:, 0, 0] = tags[:, 1, 1] = True
    tags[::2, 1, 2] = True
    batch = {**corpus(training), "tags": tf.constant(tags)}
    before = float(training.losses_of(batch)["tag_loss"])
    none = training.losses_of({**batch, "has_picture": tf.zeros(len(CAPTIONS))})
    training.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=False)
    training.fit(tf.data.Dataset.from_tensors(batch).repeat(40), shuffle=False, verbose=0)
    assert float(none["tag_loss"]) == 0
    assert float(training.losses_of(batch)["tag_loss"]) < 0.5 * before


@pytest.mark.parametrize(("size", "side"), [(16, 16), (32, 16), (40, 10), (48, 16), (64, 16), (136, 8), (256, 16)])
def test_the_whole_picture_is_shrunk_to_16_pixels_a_side_at_most(size: int, side: int) -> None:
    training = GroundedLanguageModel(tiny_language_model(), picture_size=size)
    image = np.zeros((1, size, size, 3), np.uint8)
    image[:, size // 2 :, size // 2 :] = 255
    shrunk = training.shrink(tf.constant(image)).numpy()
    assert shrunk.shape == (1, side, side, 3)
    assert (shrunk[0, 0, 0] == -1).all() and (shrunk[0, -1, -1] == 1).all()
    assert shrunk.mean() == pytest.approx(-0.5, abs=1e-5)
    assert training.picture(tf.zeros([1, 8])).shape == shrunk.shape


@pytest.fixture
def speller() -> LanguageModel:
    keras.utils.set_random_seed(1)
    return LanguageModel(character_vocabulary("abcd\n"), length=16, token_size=8, width=16, depth=2, exact=True)


def test_a_text_is_learnt_window_by_window(speller: LanguageModel) -> None:
    """Which of two windows comes next cannot be told from the window itself, only from the state carried into it."""
    ids = speller.tokenizer.tokenize_whole(tf.constant(["aaaabbbb"])).numpy()[0, 1:-1]
    windows = {"ids": [[[*ids[:4], ids[4]]], [[*ids[4:], ids[0]]]]}
    batches = tf.data.Dataset.from_tensor_slices(windows).repeat(150)
    training = TextTraining(speller, streams=1)
    reader = copy_of(speller.reader.variables)
    training.compile(optimizer=keras.optimizers.Adam(0.02), jit_compile=False)
    training.fit(batches, shuffle=False, verbose=0)
    assert float(training.train_step(next(iter(batches)))["nats_per_piece"]) < 0.05
    assert not moved(reader, speller.reader.variables)


def test_states_are_carried_from_window_to_window(speller: LanguageModel) -> None:
    training = TextTraining(speller, streams=2)
    training.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=False)
    ids = speller.tokenizer.tokenize_whole(tf.constant(["abcdabcd", "dd\ncbadb"]))
    _, expected = speller.read(ids[:, :8], speller.no_states(2))
    for start in (0, 4):
        training.train_step({"ids": ids[:, start : start + 5]})
    np.testing.assert_allclose(training.states, tf.stack(expected), atol=1e-6)
    loss = training.train_step({"ids": ids[:, 8:10]})["nats_per_piece"]
    assert float(loss) == pytest.approx(float(last_pair_by_hand(speller, ids)), rel=1e-5)


def last_pair_by_hand(model: LanguageModel, ids: tf.Tensor) -> float:
    """Mean nats of the tenth id of each row, all nine before it given."""
    logits = model(ids[:, :9])[0][:, -1]
    return float(np.mean(-tf.gather(tf.nn.log_softmax(logits), ids[:, 9], batch_dims=1)))
