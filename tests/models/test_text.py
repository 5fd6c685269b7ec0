import re
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny_models import VOCABULARY

from models.spelling import COMMON
from models.text import Tokenizer, characters, normalise, pieces
from models.vocabulary import END, PAD, RESERVED, SPACE, START, UNKNOWN, character_vocabulary

INVISIBLE = {"Cc", "Cs", "Co", "Zl", "Zp"}
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
I_WANT = "می\u200cخواهم"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


def normalised(text: str | bytes) -> str:
    return normalise(tf.constant([text])).numpy()[0].decode()


def pieces_of(text: str) -> list[str]:
    return [piece.decode() for piece in pieces(tf.constant([text])).to_list()[0]]


def spelled(text: str, vocabulary: tuple[str, ...] = VOCABULARY, length: int = 16) -> list[str]:
    """The pieces of a text by way of their ids, padding left out."""
    (ids,) = Tokenizer(vocabulary, length).tokenize(tf.constant([text])).numpy()
    return [vocabulary[i] for i in ids if i != PAD]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A Red CIRCLE", "a red circle"),
        ("  a \t\n\r red  ", "a red"),
        ("a\u00a0b\u2003c\u3000d", "a b c d"),
        ("a\x00b\x1fc\x7fd\u200be", "a b c d e"),
        ("一个，红色。", "一个，红色。"),
        ("Ａ", "ａ"),
        ("e\u0301", "é"),
        ("É", "é"),
        ("Δ Ж", "δ ж"),
        (f"a{SPACE}b", "a b"),
        ("\U0001f600", "\U0001f600"),
        (f"A {FAMILY}", f"a {FAMILY}"),
        (I_WANT, I_WANT),
        ("क्\u200dष", "क्\u200dष"),
        (ENGLAND, ENGLAND),
        ("❤\ufe0f", "❤\ufe0f"),
        ("\ufeffa c\u00adat\u2060", "a cat"),
        ("e\u00ad\u0301", "é"),
        ("\u202bשלום\u202c \u200fa\u200e", "שלום a"),
        ("\u0661\u06dd", "\u0661\u06dd"),
        ("", ""),
        (" \u3000 ", ""),
    ],
)
def test_normalise(text: str, expected: str) -> None:
    assert normalised(text) == expected


@pytest.mark.parametrize(
    ("given_bytes", "expected"),
    [(b"a\xffb", "a\ufffdb"), (b"\xc3", "\ufffd"), (b"red\xe7\xba", "red\ufffd"), (b"\xed\xa0\x80", "\ufffd")],
)
def test_bytes_that_are_not_utf8_become_replacement_characters(given_bytes: bytes, expected: str) -> None:
    assert re.sub("\ufffd+", "\ufffd", normalised(given_bytes)) == expected


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=20).map(str.encode))
@example(b"A\0B")
def test_normalised_text_is_lower_case_with_single_spaces(text: bytes) -> None:
    result = normalised(text)
    assert "  " not in result and result == result.strip(" ")
    assert not {unicodedata.category(character) for character in result} & INVISIBLE
    assert not any("A" <= character <= "Z" for character in result)
    assert all(c == " " for c in result if unicodedata.category(c) == "Zs")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a red circle", ["▁a", "▁red", "▁circle"]),
        ("circle", ["▁circle"]),
        ("红色 圆", ["红", "色", "▁", "圆"]),
        ("a red圆, 12", ["▁a", "▁red", "圆", ",", "▁", "1", "2"]),
        ("naïve Жук don't", ["▁naïve", "▁жук", "▁don", "'", "t"]),
        (f"{FAMILY}a", [*FAMILY, "a"]),
        (f"a {I_WANT}!", ["▁a", f"▁{I_WANT}", "!"]),
        ("", []),
    ],
)
def test_a_piece_is_a_word_with_its_space_or_a_single_character(text: str, expected: list[str]) -> None:
    assert pieces_of(text) == expected


def test_characters_hold_the_space() -> None:
    assert characters(tf.constant(["Ab 红"])).to_list() == [[b"a", b"b", SPACE.encode(), "红".encode()]]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
@example("A\0B\u3000c")
@example(f"a{SPACE}{SPACE}b {SPACE}")
@example("".join(RESERVED))
@example(f"İÉ\u0345ǅ {FAMILY} {I_WANT}{ENGLAND}\u200d")
def test_pieces_concatenate_back_to_the_normalised_text(text: str) -> None:
    expected = normalised(text)
    assert "".join(pieces_of(text)) in (expected.replace(" ", SPACE), SPACE + expected.replace(" ", SPACE))
    vocabulary = [*RESERVED, *sorted({*expected.replace(" ", SPACE), SPACE})]
    tokenizer = Tokenizer(vocabulary, length=len(expected) + 5)
    ids = tokenizer.tokenize(tf.constant([text]))
    assert UNKNOWN not in ids.numpy()
    assert tokenizer.detokenize(ids).numpy()[0].decode() == expected


def test_a_row_is_start_pieces_end_and_padding() -> None:
    ids = Tokenizer(VOCABULARY, 8).tokenize(tf.constant(["a red circle", "", "红"])).numpy()
    a, red, circle, chinese = (VOCABULARY.index(piece) for piece in ("▁a", "▁red", "▁circle", "红"))
    assert ids.dtype == np.int64
    assert ids.tolist() == [
        [START, a, red, circle, END, PAD, PAD, PAD],
        [START, END, PAD, PAD, PAD, PAD, PAD, PAD],
        [START, chinese, END, PAD, PAD, PAD, PAD, PAD],
    ]


def test_a_long_text_is_cut_and_its_end_with_it() -> None:
    exact, long = Tokenizer(VOCABULARY, 5).tokenize(tf.constant(["abc", "abcdef"])).numpy()
    assert [VOCABULARY[i] for i in exact] == ["<start>", "▁a", "b", "c", "<end>"]
    assert [VOCABULARY[i] for i in long] == ["<start>", "▁a", "b", "c", "d"]


def test_an_unknown_word_is_spelled_by_the_longest_pieces() -> None:
    assert spelled("a redding") == ["<start>", "▁a", "▁red", "d", "ing", "<end>"]


@pytest.mark.parametrize("unknown", ["!", "\U0001f600", "龍"])
def test_an_unknown_character_alone_becomes_unknown(unknown: str) -> None:
    assert spelled(f"a{unknown} red") == ["<start>", "▁a", "<unk>", "▁red", "<end>"]


def test_an_unknown_character_in_a_word_leaves_the_rest_of_the_word() -> None:
    assert spelled("naïve") == ["<start>", "▁", "n", "a", "<unk>", "v", "e", "<end>"]


@pytest.mark.parametrize("reserved", RESERVED)
def test_reserved_pieces_cannot_be_written(reserved: str) -> None:
    (ids,) = Tokenizer(VOCABULARY, 16).tokenize(tf.constant([reserved])).numpy()
    last = ids.tolist().index(END)
    assert not {PAD, START, END} & set(ids[1:last].tolist())


@pytest.mark.parametrize(("first", "expected"), [(START, b"red red"), (PAD, b" red red")])
def test_reserved_ids_become_nothing_and_a_text_begins_without_a_space(first: int, expected: bytes) -> None:
    red = VOCABULARY.index("▁red")
    ids = tf.constant([[first, red, UNKNOWN, red, END, PAD]], tf.int64)
    assert Tokenizer(VOCABULARY, 16).detokenize(ids).numpy()[0] == expected


@pytest.mark.parametrize("vocabulary", [("a", "b"), RESERVED[::-1], RESERVED[:3], ()])
def test_a_vocabulary_without_the_reserved_pieces_is_refused(vocabulary: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"The vocabulary begins with .*; it must begin with \['<pad>', '<unk>'"):
        Tokenizer(vocabulary, 16)


def test_a_row_too_short_for_any_text_is_refused() -> None:
    with pytest.raises(ValueError, match="A row of 3 ids holds no text: length must be at least 4"):
        Tokenizer(VOCABULARY, 3)


def test_a_word_of_any_length_is_spelled() -> None:
    tokenizer = Tokenizer(VOCABULARY, 16)
    (ids,) = tokenizer.tokenize_whole(tf.constant(["ab" * 5000])).numpy()
    assert tokenizer.detokenize(ids[None]).numpy()[0].decode() == "ab" * 5000
    assert len(ids) == 10_002


def test_nothing_is_cut_from_whole_texts() -> None:
    rows = Tokenizer(VOCABULARY, 4).tokenize_whole(tf.constant(["abc", "", "abcdef"])).numpy()
    assert [list(row).index(END) for row in rows] == [4, 1, 7]
    assert rows.shape == (3, 8) and rows[0, 5:].tolist() == [PAD] * 3


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=30))
@example("A\0B\r\n\n  c\t ")
@example(f"{SPACE} {SPACE}")
@example("".join(RESERVED))
@example("e\u0301 \u00e9 \u3000\u200b\ufeff")
def test_an_exact_tokenizer_keeps_every_character(text: str) -> None:
    tokenizer = Tokenizer(character_vocabulary(text + "a"), 4, exact=True)
    ids = tokenizer.tokenize_whole(tf.constant([text]))
    assert ids.shape == (1, len(text) + 2)
    assert not {PAD, UNKNOWN, START, END} & set(ids.numpy()[0, 1:-1])
    assert tokenizer.detokenize(ids).numpy()[0].decode() == text
    assert tokenizer.read(tf.constant([text])).numpy()[0].decode() == text


def test_a_character_vocabulary_is_sorted_and_exact() -> None:
    assert character_vocabulary("bA\n a▁b") == [*RESERVED, "\n", " ", "A", "a", "b", "▁"]


@pytest.mark.parametrize(("text", "expected"), [("aZ", [4, UNKNOWN]), (b"\xffa", [UNKNOWN, 4]), ("\0a", [UNKNOWN, 4])])
def test_what_an_exact_vocabulary_lacks_is_unknown(text: str | bytes, expected: list[int]) -> None:
    ids = Tokenizer([*RESERVED, "a"], 4, exact=True).tokenize_whole(tf.constant([text])).numpy()
    assert ids.tolist() == [[START, *expected, END]]


@pytest.mark.parametrize(
    ("text", "unknown"),
    [
        ("a red circle", ""),
        ("A  RED zorb, on a Quux!", "zorb quux"),
        ("zorb", "zorb"),
        ("(red) it's a circle... 3", "it"),
        ("一个可爱的红色猫咪", "可爱的 猫咪"),
        ("红, 蓝色zorb", "zorb"),
        ("a 😀 — …", "😀"),
        ("", ""),
        ("b" * 90, "b" * 90),
        (f"a{SPACE}red", ""),
    ],
)
def test_words_that_the_vocabulary_lacks(text: str, unknown: str) -> None:
    told = Tokenizer(VOCABULARY, 16).unknown(tf.constant([text, "a red circle", "quux"])).numpy()
    assert [words.decode() for words in told] == [unknown, "", "quux"]


KNOWN = ("▁a", "▁cat", "▁cats", "▁under", "▁tree", "▁house", "▁horse", "▁boat", "▁bear", "▁café", "▁the", "猫", "只")
LETTERS = "abcdefghijklmnopqrstuvwxyz,!▁"


@pytest.fixture(scope="module")
def reader() -> Tokenizer:
    return Tokenizer([*RESERVED, *LETTERS, *KNOWN], 12)


def corrected(tokenizer: Tokenizer, *texts: str) -> list[str]:
    return [text.decode() for text in tokenizer.correct(tf.constant(texts)).numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hous", "house"),
        ("caat", "cat"),
        ("hxuse", "house"),
        ("hosue", "house"),
        ("cta", "cat"),
        ("teh", "the"),
        ("cafe", "café"),
        ("A  Caat, undr teh TREEE!", "a cat, under the tree!"),
        ("一只caat", "一只cat"),
        ("(horze)", "(horse)"),
        ("x" * 40 + " hous", "x" * 40 + " house"),
    ],
)
def test_one_wrong_letter_is_corrected(reader: Tokenizer, text: str, expected: str) -> None:
    assert corrected(reader, text, "zzzz", "A cat") == [expected, "zzzz", "A cat"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A  Cat, under the tree",
        "cta cat b",
        "ct",
        "cxt",
        "hors",
        "caxt",
        "boar",
        "zorb",
        "x" * 60,
        "猫x猫",
        "b " * 12 + "hous",
    ],
)
def test_what_has_no_single_correction_stays_as_it_was_written(text: str) -> None:
    known = [*RESERVED, *LETTERS, *KNOWN, "▁cta", "▁hoys", "▁caxs", "▁horst"]
    assert corrected(Tokenizer(known, 12), text) == [text]


@pytest.mark.parametrize("word", ["from", "act", "your"])
def test_a_common_word_is_no_typing_error(word: str) -> None:
    known = [*RESERVED, *LETTERS, "▁frog", "▁cat", "▁four"]
    assert corrected(Tokenizer(known, 12), word, word + "x") == [word, word + "x"]


def test_swapped_letters_come_before_other_errors() -> None:
    known = [*RESERVED, *LETTERS, "▁horse", "▁hares"]
    assert corrected(Tokenizer(known, 12), "wild hores", "horeses") == ["wild horse", "horeses"]


def naive_edits(word: str) -> tuple[set[str], set[str]]:
    """What swaps make of a word, and what all edits do."""
    letters, halves = LETTERS[:26] + "é", [(word[:i], word[i:]) for i in range(len(word) + 1)]
    swapped = {a + b[1] + b[0] + b[2:] for a, b in halves if len(b) > 1} if len(word) > 2 else set()
    if len(word) < 4:
        return swapped, swapped
    other = {a + letter + rest for a, b in halves for letter in letters for rest in (b, b[1:])}
    return swapped, swapped | {a + b[1:] for a, b in halves if b} | other


@settings(max_examples=100, deadline=None)
@given(st.text("abcehorstu", min_size=1, max_size=7))
def test_the_correction_is_the_only_known_word_one_edit_away(reader: Tokenizer, word: str) -> None:
    known = {piece[1:] for piece in KNOWN if piece[0] == SPACE}
    if word in known | COMMON:
        assert corrected(reader, word) == [word]
        return
    by_swap, by_any = (known & edits for edits in naive_edits(word))
    single = by_swap if len(by_swap) == 1 else by_any
    assert corrected(reader, word) == [single.pop() if len(single) == 1 else word]


def test_ids_of_known_words_are_what_they_were(reader: Tokenizer) -> None:
    text = "a cat under the house"
    ids = [START, *(4 + len(LETTERS) + KNOWN.index(SPACE + word) for word in text.split()), END]
    np.testing.assert_array_equal(reader.tokenize(tf.constant(corrected(reader, text)))[0, : len(ids)], ids)


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ("my neighbour's cat", "cat"),
        ("A zorb under THE tree!", "a under the tree"),
        ("(cat)狗猫", "cat猫"),
        ("a cat", "a cat"),
        ("猫狗", "猫"),
        ("", ""),
    ],
)
def test_what_is_unknown_is_left_out(text: str, known: str) -> None:
    tokenizer = Tokenizer([*RESERVED, *LETTERS.replace("a", "").replace("!", "").replace("s", ""), *KNOWN], 12)
    ids = tokenizer.tokenize_known(tf.constant([text, "a cat"]))
    np.testing.assert_array_equal(ids, tokenizer.tokenize(tf.constant([known, "a cat"])))


def test_a_text_of_which_nothing_is_known_stays(reader: Tokenizer) -> None:
    for text in ("zorb", "zorb blub", "狗狗"):
        texts = tf.constant([text, "a cat"])
        np.testing.assert_array_equal(reader.tokenize_known(texts), reader.tokenize(texts))


def test_an_exact_tokenizer_leaves_nothing_out() -> None:
    tokenizer, texts = Tokenizer(character_vocabulary("cat\n"), 8, exact=True), tf.constant(["a dog\n"])
    np.testing.assert_array_equal(tokenizer.tokenize_known(texts), tokenizer.tokenize(texts))


def test_an_exact_tokenizer_corrects_nothing() -> None:
    tokenizer = Tokenizer(character_vocabulary("cat\n"), 16, exact=True)
    assert corrected(tokenizer, "caat") == ["caat"]


def test_a_vocabulary_without_latin_letters_corrects_nothing() -> None:
    assert corrected(Tokenizer([*RESERVED, "猫"], 16), "caat 猫") == ["caat 猫"]


def test_an_exact_tokenizer_lacks_characters_alone() -> None:
    tokenizer = Tokenizer(character_vocabulary("To be\n"), 16, exact=True)
    assert tokenizer.unknown(tf.constant(["To be", "to Be or not"])).numpy().tolist() == [b"", b"t B r n t"]


@settings(max_examples=50, deadline=None)
@given(st.text())
def test_nothing_is_unknown_to_a_vocabulary_of_the_text_itself(text: str) -> None:
    own = {*pieces_of(text), *(c.decode() for c in characters(tf.constant([text])).to_list()[0])} - set(RESERVED)
    assert Tokenizer([*RESERVED, *sorted(own)], 16).unknown(tf.constant([text])).numpy().tolist() == [b""]
