from collections.abc import Sequence

import numpy as np
import pytest
import tensorflow as tf

from models.batches import as_lengths, as_rows, as_strings, as_temperatures


def test_a_string_is_a_single_text() -> None:
    assert as_strings("a") == (["a"], True)


@pytest.mark.parametrize(
    "texts",
    [
        ["a", "红", "c"],
        ("a", "红", "c"),
        tf.data.Dataset.from_tensor_slices(["a", "红", "c"]),
        tf.data.Dataset.from_tensor_slices(["a", "红", "c"]).batch(2),
    ],
)
def test_several_texts_become_a_list(texts: Sequence[str] | tf.data.Dataset) -> None:
    assert as_strings(texts) == (["a", "红", "c"], False)


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    assert as_strings(tf.data.Dataset.from_tensors([b"a\xffb"])) == (["a\ufffdb"], False)


def test_surrogates_alone_are_replaced_and_pairs_joined() -> None:
    assert as_strings("a\udcff\ufeff") == (["a\ufffd\ufeff"], True)
    assert as_strings(["\ufeffb", "\ud83d\ude00"]) == (["\ufeffb", "\U0001f600"], False)


@pytest.mark.parametrize("texts", [[], (), tf.data.Dataset.from_tensor_slices(["a"]).take(0)])
def test_no_text_is_refused(texts: Sequence[str] | tf.data.Dataset) -> None:
    with pytest.raises(ValueError, match="There is no text: give a string, or a list or dataset with at least one"):
        as_strings(texts)


def test_one_value_serves_all_rows() -> None:
    rows = as_rows(7, 3, "seed", np.int64)
    assert rows.tolist() == [7, 7, 7] and rows.dtype == np.int64


def test_values_go_by_row() -> None:
    assert as_rows([1, 2], 2, "seed", np.int64).tolist() == [1, 2]


@pytest.mark.parametrize("values", [[1], [1, 2, 3], [[1, 2]]])
def test_another_number_of_values_is_refused(values: object) -> None:
    with pytest.raises(ValueError, match=r"seed has shape \(.*\); give one for all 2 texts, or one for each"):
        as_rows(values, 2, "seed", np.int64)


def test_a_value_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is 9223372036854775808; it must fit int64"):
        as_rows(2**63, 2, "seed", np.int64)


@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf"), [0.0, -0.5]])
def test_a_temperature_that_is_none_is_refused(temperature: float | list[float]) -> None:
    with pytest.raises(ValueError, match=r"The temperature is (-1|nan|inf|-0.5); it must be 0 or more, and finite"):
        as_temperatures(temperature, 2)


def test_lengths_are_whole_numbers_of_pieces() -> None:
    lengths = as_lengths([0, 5, 2**40], 3)
    assert lengths.tolist() == [0, 5, 2**30] and lengths.dtype == np.int32
    with pytest.raises(ValueError, match="The length is -2; it must be 0 or more"):
        as_lengths([3, -2], 2)
