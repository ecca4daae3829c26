"""Ids become dense indices and come back."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import BundleError, DataError, UnknownIdError

texts = st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30)
numbers = st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.integers(-5, 5)), max_size=30)


def _slow_indices(fitted: list, asked: list) -> list[int]:
    """By counting and sorting in Python."""
    known = sorted({each for each in fitted if each is not None})
    known.sort(key=lambda each: -fitted.count(each))
    return [known.index(each) + 1 if each in known else 0 for each in asked]


@given(texts, texts)
@settings(max_examples=80, deadline=None)
def test_strings_get_indices_by_descending_count_then_by_name(fitted, asked):
    column = pl.Series(fitted, dtype=pl.String)
    expected = _slow_indices(fitted, asked + fitted)
    questions = pl.Series(asked + fitted, dtype=pl.String)
    for fit_type in (pl.String, pl.Categorical):
        vocabulary = Vocabulary.fit(column.cast(fit_type))
        for ask_type in (pl.String, pl.Categorical):
            assert vocabulary.encode(questions.cast(ask_type)).tolist() == expected


@given(numbers, numbers)
@settings(max_examples=80, deadline=None)
def test_integers_get_indices_by_descending_count_then_by_size(fitted, asked):
    vocabulary = Vocabulary.fit(pl.Series(fitted, dtype=pl.Int64))
    questions = pl.Series(asked + fitted, dtype=pl.Int64)
    assert vocabulary.encode(questions).tolist() == _slow_indices(fitted, asked + fitted)


@pytest.mark.parametrize("ids", [[f"user {n}" for n in range(5000)], [n * 10**12 for n in range(5000)]])
def test_few_and_many_ids_are_found_alike(ids):
    rng = np.random.default_rng(0)
    vocabulary = Vocabulary.fit(pl.Series(ids).gather(rng.permutation(5000)))
    asked = pl.Series(ids).gather(rng.integers(0, 5000, 3000))
    together = vocabulary.encode(asked)
    apart = np.concatenate([vocabulary.encode(asked[start : start + 7]) for start in range(0, 3000, 7)])
    assert together.tolist() == apart.tolist()
    assert vocabulary.decode(together).equals(asked, check_names=False)
    assert vocabulary.encode([None]).tolist() == [0]


def test_indices_can_be_written_to():
    for kind in (pl.String, pl.Categorical):
        for ids in (["a"], ["a"] * 100):
            assert Vocabulary.fit(pl.Series(["a", "b"])).encode(pl.Series(ids, dtype=kind)).flags.writeable


def test_decode_is_the_reverse_of_encode_and_null_for_the_unknown():
    vocabulary = Vocabulary.fit(pl.Series(["b", "a", "b"]))
    assert vocabulary.decode([0, 1, 2]).to_list() == [None, "b", "a"]
    with pytest.raises(UnknownIdError, match=r"0\.\.2"):
        vocabulary.decode([3])


def test_numbers_and_strings_of_numbers_are_understood():
    assert Vocabulary.fit(pl.Series([7, 8])).encode(["7", "x", None]).tolist() == [1, 0, 0]
    assert Vocabulary.fit(pl.Series(["7", "8"])).encode([8, 9]).tolist() == [2, 0]


def test_a_fraction_is_no_id():
    assert Vocabulary.fit(pl.Series([7, 8])).encode([7.0, 7.5, float("nan")]).tolist() == [1, 0, 0]
    assert Vocabulary.fit(pl.Series(["7"])).encode([7.0]).tolist() == [1]


@pytest.mark.parametrize("ids", [[1, "a"], [True], [[1]], [b"x"], [2**70, "a"]])
def test_ids_of_a_wrong_or_mixed_type_are_refused(ids):
    with pytest.raises(DataError, match="strings or integers"):
        Vocabulary.fit(pl.Series([1, 2])).encode(ids)


def test_integers_beyond_64_bits_with_sign_are_refused_when_fitting():
    with pytest.raises(DataError, match="64 bits"):
        Vocabulary.fit(pl.Series([2**64 - 1], dtype=pl.UInt64))


def test_categories_of_other_columns_in_the_pool_do_not_disturb():
    others = pl.Series([f"other {n}" for n in range(20_000)], dtype=pl.Categorical)
    column = pl.Series(["x", None, "y", "x"], dtype=pl.Categorical)
    vocabulary = Vocabulary.fit(column)
    assert vocabulary.encode(column).tolist() == [1, 0, 2, 1]
    assert vocabulary.encode(others).sum() == 0
    assert vocabulary.counts.tolist() == [0, 2, 1]


def test_an_enum_is_a_column_of_strings():
    column = pl.Series(["b", "a", None], dtype=pl.Enum(["a", "b", "c"]))
    assert Vocabulary.fit(column).encode(column).tolist() == [2, 1, 0]


def test_extra_ids_come_last_with_a_count_of_zero():
    vocabulary = Vocabulary.fit(pl.Series([5, 5]), extra=pl.Series([9, 5, 1]))
    assert vocabulary.ids.to_list() == [5, 9, 1]
    assert vocabulary.num_seen() == 1
    with pytest.raises(DataError, match="cast both columns"):
        Vocabulary.fit(pl.Series([5]), extra=pl.Series(["5"]))


def test_extending_keeps_indices_and_appends_new_ids_in_order_of_appearance():
    vocabulary = Vocabulary.fit(pl.Series(["a", "b"])).extend(pl.Series(["z", "a", "y", "z", None]))
    assert vocabulary.ids.to_list() == ["a", "b", "z", "y"]
    assert vocabulary.counts.tolist() == [0, 1, 1, 0, 0]
    assert Vocabulary.fit(pl.Series([1])).extend(pl.Series(["2"])).ids.to_list() == [1, 2]


def test_extending_integers_by_a_word_is_refused():
    with pytest.raises(DataError, match="'x' cannot join a vocabulary of integers"):
        Vocabulary.fit(pl.Series([1])).extend(pl.Series(["2", "x"]))


def test_an_unknown_id_is_named():
    with pytest.raises(UnknownIdError, match=r"'c' is not among the 2 known.*strings"):
        Vocabulary.fit(pl.Series(["a", "b"])).index_of("c")
    assert Vocabulary.fit(pl.Series(["a", "b"])).index_of("b") == 2


def test_repeated_or_missing_ids_are_no_vocabulary():
    for ids in (["a", "a"], ["a", None]):
        with pytest.raises(DataError, match="distinct"):
            Vocabulary(pl.Series(ids))
    with pytest.raises(DataError, match="1 counts for 1 ids"):
        Vocabulary(pl.Series(["a"]), np.zeros(1, np.int64))


def test_an_empty_vocabulary_knows_nothing():
    vocabulary = Vocabulary.fit(pl.Series([], dtype=pl.String))
    assert len(vocabulary) == 1
    assert vocabulary.encode(["a", None]).tolist() == [0, 0]
    assert vocabulary.encode(pl.Series(["a"], dtype=pl.Categorical)).tolist() == [0]
    assert vocabulary.encode([]).tolist() == []


def test_a_saved_vocabulary_is_read_back(tmp_path):
    vocabulary = Vocabulary.fit(pl.Series(["a", "b", "b"]))
    vocabulary.save(tmp_path / "v.arrow")
    again = Vocabulary.load(tmp_path / "v.arrow")
    assert again.ids.equals(vocabulary.ids)
    assert again.counts.tolist() == [0, 2, 1]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"ARROW1\0\0nonsense"])
def test_a_damaged_file_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "v.arrow"
    path.write_bytes(content)
    with pytest.raises(BundleError, match=r"not a vocabulary.*v\.arrow"):
        Vocabulary.load(path)
    with pytest.raises(BundleError, match=r"gone\.arrow"):
        Vocabulary.load(tmp_path / "gone.arrow")
