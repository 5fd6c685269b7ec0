from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import CHARACTERS, PROMPTS, VOCABULARY, tiny_language_model

from models.language_model import ROWS, TRIES, WINDOW, LanguageModel, sample
from models.vocabulary import END, PAD, RESERVED, START, character_vocabulary

ASCII_SPACE = " \t\n\v\f\r"


@pytest.fixture
def zero() -> LanguageModel:
    """A model to which every piece is equally likely."""
    model = tiny_language_model()
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def saved(language_model: LanguageModel, tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    language_model.save(path)
    return keras.saving.load_model(path)


def ids_of(model: LanguageModel, *texts: str) -> tf.Tensor:
    return model.tokenizer.tokenize(tf.constant(texts))


def piece(text: str) -> int:
    return VOCABULARY.index(text)


@pytest.mark.parametrize("depth", [1, 2])
def test_config_round_trip(depth: int) -> None:
    model = tiny_language_model(depth=depth, length=12)
    config = model.get_config()
    arguments = {"vocabulary": list(VOCABULARY), "length": 12, "token_size": 8, "width": 16, "depth": depth}
    assert {**config, **arguments, "slots": 2, "slot_size": 4, "reading_depth": 1, "exact": False} == config
    again = LanguageModel.from_config(config)
    assert again.get_config() == config
    again.set_weights(model.get_weights())
    for mine, other in zip(model(ids_of(model, "a red")), again(ids_of(again, "a red")), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_saved_model_is_the_same_model(language_model: LanguageModel, saved: LanguageModel) -> None:
    np.testing.assert_array_equal(saved.embed(PROMPTS), language_model.embed(PROMPTS))
    np.testing.assert_array_equal(saved.score(PROMPTS), language_model.score(PROMPTS))
    for temperature in (0.0, 1.0):
        written = language_model.generate(PROMPTS, seed=3, temperature=temperature)
        assert saved.generate(PROMPTS, seed=3, temperature=temperature) == written


def test_reads_captions_to_logits_and_embeddings(language_model: LanguageModel) -> None:
    logits, embeddings = language_model(ids_of(language_model, "a red", "红"))
    assert logits.shape == (2, 16, len(VOCABULARY)) and logits.dtype == tf.float32
    assert embeddings.shape == (2, 8) and embeddings.dtype == tf.float32


def test_padding_does_not_change_what_is_read(language_model: LanguageModel) -> None:
    padded = ids_of(language_model, "a red circle")
    logits, embedding = language_model(padded)
    bare_logits, bare_embedding = language_model(padded[:, :5])
    np.testing.assert_allclose(embedding, bare_embedding, atol=1e-5)
    np.testing.assert_allclose(logits[:, :5], bare_logits, atol=1e-6)


def test_embed_takes_a_string_a_list_and_a_dataset(language_model: LanguageModel) -> None:
    many = language_model.embed(["a red", "红"])
    assert many.shape == (2, 8) and many.dtype == np.float32
    assert language_model.embed("a red").shape == (8,)
    np.testing.assert_allclose(language_model.embed("红"), many[1], atol=1e-5)
    np.testing.assert_array_equal(language_model.embed(tf.data.Dataset.from_tensors(["a red", "红"])), many)
    assert abs(many[0] - many[1]).max() > 1e-3


def test_generate_takes_a_string_a_list_and_a_dataset(language_model: LanguageModel) -> None:
    written = language_model.generate(["a red", "红"], seed=[1, 2])
    assert isinstance(written, list) and all(isinstance(text, str) for text in written)
    assert language_model.generate("红", seed=2) == written[1]
    assert language_model.generate(("a red", "红"), seed=[1, 2]) == written
    assert language_model.generate(tf.data.Dataset.from_tensor_slices(["a red", "红"]), seed=[1, 2]) == written


def test_a_seed_decides_the_text(language_model: LanguageModel) -> None:
    texts = [language_model.generate("a", seed=seed, temperature=1.0) for seed in (1, 2, 3, 1)]
    assert texts[0] == texts[3]
    assert len(set(texts)) == 3


def test_at_temperature_zero_the_likeliest_pieces_are_taken(language_model: LanguageModel) -> None:
    prompts = ["a red", "红", ""]
    written = language_model.generate(prompts, seed=[1, 2, 3], temperature=0.0)
    assert language_model.generate(prompts, seed=[4, 5, 6], temperature=0.0) == written
    assert written == [greedy(language_model, prompt) for prompt in prompts]


def greedy(model: LanguageModel, prompt: str) -> str:
    """Decode without the step-by-step state: read everything anew for each piece."""
    tokens = [i for i in ids_of(model, prompt).numpy()[0] if i not in (PAD, END)]
    written: list[int] = []
    while len(tokens) < model.length:
        logits = model(tf.constant([tokens], tf.int64))[0].numpy()[0, -1]
        logits[[PAD, START, RESERVED.index("<unk>")]] = -np.inf
        if np.argmax(logits) == END:
            break
        written.append(int(np.argmax(logits)))
        tokens.append(written[-1])
    return prompt + model.tokenizer.detokenize(tf.constant([written], tf.int64)).numpy()[0].decode()


def test_a_row_is_what_it_would_be_alone(language_model: LanguageModel) -> None:
    prompts, seeds = [*PROMPTS, *PROMPTS], list(range(16))
    batch = language_model.generate(prompts, seed=seeds, temperature=1.0)
    alone = [
        language_model.generate(prompt, seed=seed, temperature=1.0) for prompt, seed in zip(prompts, seeds, strict=True)
    ]
    assert batch == alone
    assert language_model.generate(prompts[::-1], seed=seeds[::-1], temperature=1.0) == batch[::-1]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(max_size=30), min_size=1, max_size=6), st.integers(-(2**63), 2**63 - 1), st.floats(0, 5))
@example(["", "  a red \n", "<start><end>", "\0", "\U0001f468\u200d\U0001f469 一个 red Ärger", "▁"], 0, 1.0)
def test_any_prompt_is_kept_at_the_beginning(
    language_model: LanguageModel, prompts: list[str], seed: int, temperature: float
) -> None:
    written = language_model.generate(prompts, seed=seed, temperature=temperature)
    assert len(written) == len(prompts)
    for prompt, text in zip(prompts, written, strict=True):
        assert text.startswith(prompt.strip(ASCII_SPACE))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=20), min_size=1, max_size=4), st.floats(-5, 1e30) | st.just(np.nan), st.integers())
@example([b"a\xff", b"\xed\xa0\x80", b"\xe7\xba", b"red\0\0"], np.inf, -1)
def test_the_graph_takes_any_bytes(
    language_model: LanguageModel, prompts: list[bytes], temperature: float, length: int
) -> None:
    """What a served model meets: nothing has checked its inputs."""
    rows = len(prompts)
    lengths = tf.fill([rows], np.int32(np.clip(length, -(2**30), 2**30)))
    written = language_model.continue_texts(
        tf.constant(prompts), tf.zeros([rows], tf.int64), tf.fill([rows], np.float32(temperature)), lengths
    )
    for prompt, text in zip(prompts, written.numpy(), strict=True):
        readable = tf.strings.unicode_transcode(prompt, "UTF-8", "UTF-8").numpy()
        assert text.decode().startswith(readable.decode().strip(ASCII_SPACE))


def test_a_length_is_the_most_pieces_that_are_added() -> None:
    model = tiny_language_model([*RESERVED, *CHARACTERS], length=12)
    model.next_piece.bias.assign(tf.one_hot(END, len(model.vocabulary)) * -9)
    whole = model.generate("ab", seed=3, temperature=1.0)
    assert len(whole) > 6
    for length in range(5):
        assert model.generate("ab", seed=3, temperature=1.0, length=length) == whole[: 2 + length]
    assert model.generate(["ab"] * 3, seed=3, temperature=1.0, length=[1, 99, 0]) == [whole[:3], whole, "ab"]
    with pytest.raises(ValueError, match="The length is -1; it must be 0 or more"):
        model.generate("ab", length=-1)


def test_each_row_may_have_a_temperature(language_model: LanguageModel) -> None:
    mixed = language_model.generate(["a"] * 2, seed=5, temperature=[0.0, 2.0])
    assert mixed == [language_model.generate("a", seed=5, temperature=t) for t in (0.0, 2.0)]


def test_compiled_or_not_the_same_text_is_written(language_model: LanguageModel) -> None:
    inputs = (tf.constant(PROMPTS), tf.range(8, dtype=tf.int64), tf.fill([8], 1.0))
    ways = (language_model.decode, language_model.decode_by_xla)
    first, second = (language_model.continue_texts(*inputs, decode=decode).numpy().tolist() for decode in ways)
    assert first == second


def test_more_prompts_than_are_continued_at_once(language_model: LanguageModel) -> None:
    count = ROWS + 3
    written = language_model.generate(["a"] * count, seed=range(count), temperature=1.0)
    assert len(written) == count
    assert written[-2:] == language_model.generate(["a"] * 2, seed=[count - 2, count - 1], temperature=1.0)


def test_an_exact_model_keeps_case_and_line_ends() -> None:
    model = LanguageModel(character_vocabulary("aA\n "), length=16, token_size=8, width=8, exact=True)
    prompt = " A\n\na "
    written = model.generate([prompt] * 8, seed=range(8), temperature=1.0)
    assert all(text.startswith(prompt) and set(text) <= set("aA\n ") for text in written)
    assert {len(text) for text in written} <= set(range(6, 16)) and len(set(written)) > 1
    again = LanguageModel.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert again.generate([prompt] * 8, seed=range(8), temperature=1.0) == written


def test_an_empty_prompt_becomes_a_caption(language_model: LanguageModel) -> None:
    captions = language_model.generate([""] * 8, seed=range(8), temperature=1.0)
    assert len(set(captions)) == 8 and any(captions)


def test_the_likeliest_of_several_continuations_is_kept(language_model: LanguageModel) -> None:
    ids = ids_of(language_model, "a", "")
    rest = (ids, (ids != PAD) & (ids != END), tf.ones([2]), tf.fill([2], language_model.length))
    draws = tf.random.stateless_uniform([2, TRIES, language_model.length], [1, 2])
    inputs = (*rest[:2], draws, *rest[2:])
    alone = [language_model.decode(*rest[:2], draws[:, each : each + 1], *rest[2:]).numpy().T for each in range(TRIES)]
    nats = [language_model.nats(np.hstack([np.full([2, 1], START), each])) for each in alone]
    best = [alone[number][row] for row, number in enumerate(np.argmin(nats, axis=0))]
    np.testing.assert_array_equal(language_model.decode(*inputs).numpy().T, best)
    np.testing.assert_array_equal(language_model.decode_by_xla(*inputs).numpy().T, best)


@pytest.mark.parametrize("text", ["a zorb 红色 circle", "a 红色 circle"])
def test_unknown_words_change_neither_what_is_read_nor_what_is_written(text: str) -> None:
    vocabulary = [*RESERVED, "▁a", "▁circle", "红"]
    model = tiny_language_model(vocabulary)
    np.testing.assert_array_equal(model.embed(text), model.embed("a 红 circle"))
    known = model.generate("a红 circle", seed=3, temperature=1.0)
    assert model.generate(text, seed=3, temperature=1.0) == text + known.removeprefix("a红 circle")


def test_no_caption_is_empty_however_likely_its_end_is(zero: LanguageModel) -> None:
    bias = np.zeros(len(VOCABULARY))
    bias[END], bias[piece("▁red")] = 9.0, 1.0
    zero.next_piece.bias.assign(bias)
    assert zero.generate(["", "a", ""], temperature=0.0, length=[9, 9, 0]) == ["red", "a", ""]


@pytest.mark.parametrize("prompt", ["red " * 5000 + "red", "红" * 20000, "a" * 15])
def test_a_prompt_that_fills_the_row_is_left_as_it_is(language_model: LanguageModel, prompt: str) -> None:
    assert language_model.generate(prompt, seed=1, temperature=1.0) == prompt


def test_a_text_has_one_piece_less_than_its_row_at_most() -> None:
    model = tiny_language_model([*RESERVED, *CHARACTERS], length=7)
    written = model.generate(["ab"] * 32, seed=range(32), temperature=1.0)
    assert {len(text) for text in written} <= {2, 3, 4, 5} and max(len(text) for text in written) == 5


@pytest.mark.parametrize("temperature", [-0.1, -5.0])
def test_a_negative_temperature_is_refused(language_model: LanguageModel, temperature: float) -> None:
    with pytest.raises(ValueError, match=rf"The temperature is {temperature:g}; it must be 0 or more"):
        language_model.generate("a", temperature=temperature)


@pytest.mark.parametrize("seeds", [[1], [1, 2, 3], []])
def test_another_number_of_seeds_is_refused(language_model: LanguageModel, seeds: list[int]) -> None:
    with pytest.raises(ValueError, match=r"seed has shape \(\d,\); give one for all 2 texts, or one for each"):
        language_model.generate(["a", "b"], seed=seeds)


@pytest.mark.parametrize("ask", [LanguageModel.generate, LanguageModel.embed, LanguageModel.score])
def test_no_text_is_refused_by(language_model: LanguageModel, ask: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="There is no text"):
        ask(language_model, [])


@pytest.mark.parametrize(("text", "count"), [("a red circle", 4), ("红", 2), ("abc", 4)])
def test_a_model_of_zeros_pays_the_logarithm_of_the_vocabulary_for_each_piece(
    zero: LanguageModel, text: str, count: int
) -> None:
    nats, _, pieces = zero.negative_log_likelihood(ids_of(zero, text))
    np.testing.assert_allclose(nats, [count * np.log(len(VOCABULARY))], rtol=1e-6)
    assert pieces.numpy().tolist() == [count]
    assert zero.score(text) == pytest.approx(count * np.log(len(VOCABULARY)) / len(text))


def test_score_is_nats_by_character(language_model: LanguageModel) -> None:
    texts = ["a red circle", "一个", "红, a"]
    nats, _, _ = language_model.negative_log_likelihood(ids_of(language_model, *texts))
    scores = language_model.score(texts)
    assert scores.shape == (3,) and scores.dtype == np.float32
    np.testing.assert_allclose(scores, nats.numpy() / [12, 2, 4], rtol=1e-6)
    alone = language_model.score("一个")
    assert isinstance(alone, float) and alone == pytest.approx(scores[1], rel=1e-5)


def test_an_empty_text_has_a_score(language_model: LanguageModel) -> None:
    nats, _, _ = language_model.negative_log_likelihood(ids_of(language_model, ""))
    assert language_model.score("") == pytest.approx(float(nats[0]))


def test_only_what_is_read_counts_as_a_character(language_model: LanguageModel) -> None:
    assert language_model.score("  A  Red\n") == pytest.approx(language_model.score("a red"), rel=1e-6)


@pytest.mark.parametrize("pieces", [20, WINDOW - 1, WINDOW, WINDOW + 1, 2 * WINDOW + 7])
def test_the_score_of_a_long_text_is_that_of_all_its_pieces(language_model: LanguageModel, pieces: int) -> None:
    text = ("ab1红" * pieces)[:pieces]
    ids = language_model.tokenizer.tokenize_whole(tf.constant([text]))
    assert ids.shape == (1, pieces + 2)
    nats, _, _ = language_model.negative_log_likelihood(ids)
    assert language_model.score(text) == pytest.approx(float(nats[0]) / pieces, rel=1e-4)


def test_texts_of_any_length_are_scored_side_by_side(language_model: LanguageModel) -> None:
    texts = [*(["a red"] * ROWS), "ab" * WINDOW, ""]
    scores = language_model.score(texts)
    for row in (0, ROWS - 1, ROWS, ROWS + 1):
        assert scores[row] == pytest.approx(language_model.score(texts[row]), rel=1e-4)


def test_the_score_agrees_with_a_count_by_hand(zero: LanguageModel) -> None:
    """Every piece costs the logarithm of the vocabulary: 600 characters, each a piece, and END."""
    assert zero.score("ab1" * 200) == pytest.approx(601 / 600 * np.log(len(VOCABULARY)), rel=1e-5)


def test_reading_in_parts_is_reading_at_once(language_model: LanguageModel) -> None:
    ids = ids_of(language_model, "a red circle", "红, a")
    whole, _ = language_model.read(ids, language_model.no_states(2))
    first, states = language_model.read(ids[:, :3], language_model.no_states(2))
    second, _ = language_model.read(ids[:, 3:], states)
    np.testing.assert_allclose(tf.concat([first, second], 1), whole, atol=1e-6)


def test_likelihood_is_the_sum_over_pieces(language_model: LanguageModel) -> None:
    ids = ids_of(language_model, "a red")
    probabilities = tf.nn.softmax(language_model(ids)[0]).numpy()[0]
    expected = -sum(np.log(probabilities[at, after]) for at, after in enumerate([piece("▁a"), piece("▁red"), END]))
    nats, _, pieces = language_model.negative_log_likelihood(ids)
    np.testing.assert_allclose(nats, [expected], rtol=1e-5)
    assert pieces.numpy().tolist() == [3]


def test_likelihood_ignores_padding(language_model: LanguageModel) -> None:
    ids = ids_of(language_model, "a red circle", "红")
    longer = tf.pad(ids, [[0, 0], [0, 9]], constant_values=PAD)
    for short, long in zip(
        language_model.negative_log_likelihood(ids), language_model.negative_log_likelihood(longer), strict=True
    ):
        np.testing.assert_allclose(short, long, rtol=1e-5)


def test_unigram_counts_pieces_and_leaves_a_share_to_those_that_do_not_occur() -> None:
    model = tiny_language_model()
    model.fit_unigram(ids_of(model, "a a red", "a").numpy())
    counted = {piece("▁a"): 3, piece("▁red"): 1, END: 2}
    added, total = 3 / (len(VOCABULARY) - 2), 6 + 3
    probabilities = np.exp(model.unigram.numpy())
    expected = np.full(len(VOCABULARY), added / total)
    expected[[PAD, START]] = 0
    for index, count in counted.items():
        expected[index] = (count + added) / total
    np.testing.assert_allclose(probabilities, expected, rtol=1e-5, atol=1e-9)
    _, unigram_nats, _ = model.negative_log_likelihood(ids_of(model, "a red"))
    likelihood = (3 + added) * (1 + added) * (2 + added) / total**3
    np.testing.assert_allclose(unigram_nats, [-np.log(likelihood)], rtol=1e-5)


def test_pieces_that_do_not_occur_hardly_change_the_unigram_baseline() -> None:
    nats = []
    for further in (0, 2000):
        pieces = [*RESERVED, "▁a", "▁red", *(f"▁{number}" for number in range(further))]
        model = LanguageModel(pieces, token_size=8, width=8, slots=1, slot_size=8, reading_depth=0)
        model.fit_unigram(ids_of(model, *["a a red"] * 50).numpy())
        nats.append(model.negative_log_likelihood(ids_of(model, "a red"))[1].numpy())
    np.testing.assert_allclose(*nats, atol=0.05)


def test_unigram_travels_with_a_saved_model(tmp_path: Path) -> None:
    model = tiny_language_model()
    model.fit_unigram(ids_of(model, "a red").numpy())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.unigram.numpy(), model.unigram.numpy())


@pytest.mark.parametrize(("draw", "expected"), [(0.0, 1), (0.24, 1), (0.26, 2), (0.49, 2), (0.51, 4), (1 - 2**-23, 4)])
def test_sample_inverts_the_cumulative_distribution(draw: float, expected: int) -> None:
    logits = tf.math.log(tf.constant([[0.0, 0.25, 0.25, 0.0, 0.5, 0.0]]))
    assert sample(logits, tf.constant([draw]), tf.constant([1.0])).numpy().tolist() == [expected]


def test_temperature_sharpens_and_flattens() -> None:
    logits = tf.math.log(tf.tile(tf.constant([[0.2, 0.3, 0.5]]), [9999, 1]))
    draws = (tf.range(9999, dtype=tf.float32) + 0.5) / 9999
    for temperature in (0.5, 1.0, 2.0):
        drawn = sample(logits, draws, tf.fill([9999], temperature)).numpy()
        expected = np.array([0.2, 0.3, 0.5]) ** (1 / temperature)
        np.testing.assert_allclose(np.bincount(drawn) / 9999, expected / expected.sum(), atol=1e-3)
    assert set(sample(logits, draws, tf.zeros([9999])).numpy()) == {2}


def excluding(model: LanguageModel, *pairs: tuple[str, str]) -> LanguageModel:
    """The model, with pairs of pieces that exclude each other."""
    exclusive = np.zeros(model.exclusive.shape, bool)
    for first, second in pairs:
        exclusive[piece(first), piece(second)] = exclusive[piece(second), piece(first)] = True
    model.exclusive.assign(exclusive)
    return model


def prefer(model: LanguageModel, **nats: float) -> None:
    """Let a model write these words with other chances than the rest."""
    bias = np.zeros(len(VOCABULARY), np.float32)
    for word, value in nats.items():
        bias[piece(f"▁{word}")] = value
    model.next_piece.bias.assign(bias)


@pytest.mark.parametrize("prompt", ["a red", "a red circle"])
def test_pieces_that_exclude_each_other_are_hardly_ever_written_together(zero: LanguageModel, prompt: str) -> None:
    prefer(zero, blue=3)

    def with_both() -> int:
        texts = zero.generate([prompt] * 100, seed=range(100), temperature=1.0)
        return sum("blue" in text.removeprefix(prompt) for text in texts)

    before = with_both()
    excluding(zero, ("▁red", "▁blue"))
    assert before > 20 and with_both() <= 2


def test_a_piece_that_was_written_excludes_others_too(zero: LanguageModel) -> None:
    prefer(zero, blue=6, circle=6)

    def with_both() -> int:
        texts = zero.generate([""] * 200, seed=range(200), temperature=1.0)
        return sum("blue" in text and "circle" in text for text in texts)

    before = with_both()
    excluding(zero, ("▁circle", "▁blue"))
    assert before > 20 and with_both() <= 2


def test_a_continuation_without_excluded_pieces_wins(zero: LanguageModel) -> None:
    zero.next_piece.bias.assign(np.eye(len(VOCABULARY))[piece("▁blue")] * 9 + np.eye(len(VOCABULARY))[END] * 8)
    excluding(zero, ("▁red", "▁blue"))
    texts = zero.generate(["a red"] * 50, seed=range(50), temperature=1.0)
    assert sum(text == "a red" for text in texts) >= 48


def test_rare_pieces_exclude_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.language_network.COMMON", len(VOCABULARY) - 3)
    model = tiny_language_model()
    assert model.exclusive.shape == (len(VOCABULARY) - 3,) * 2
    model.exclusive.assign(~model.exclusive.numpy())
    excluded = model.excluded_by(tf.constant([[END], [len(VOCABULARY) - 1]], tf.int64)).numpy()
    assert excluded.shape == (2, 1, len(VOCABULARY))
    assert excluded[0, 0, :-3].all() and not excluded[0, 0, -3:].any()
    assert model.generate("a red", seed=1).startswith("a red")


def test_exclusive_pieces_are_found_in_captions_and_travel_with_the_model(tmp_path: Path) -> None:
    model = tiny_language_model()
    model.fit_exclusive(ids_of(model, *["a red circle", "a blue square"] * 20).numpy())
    assert model.exclusive.numpy()[piece("▁red"), piece("▁blue")]
    assert not model.exclusive.numpy()[piece("▁red"), piece("▁circle")]
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again.exclusive.numpy(), model.exclusive.numpy())


def test_a_model_of_an_earlier_release_loads_without_exclusive_pieces() -> None:
    model, unigram = tiny_language_model(), np.linspace(-3, -1, len(VOCABULARY), dtype=np.float32)
    model.load_own_variables({"0": unigram})
    np.testing.assert_array_equal(model.unigram.numpy(), unigram)
    assert not model.exclusive.numpy().any()
