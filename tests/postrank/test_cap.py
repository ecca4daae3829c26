from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank_cases import Case, cases, make_case, tags_of
from reference import postrank as slow

from shortlist.errors import ConfigError, SchemaError
from shortlist.postrank import Cap


@settings(max_examples=60, deadline=None)
@given(
    case=cases(),
    column=st.sampled_from(["genres", "artist", "margin"]),
    at_most=st.integers(1, 4),
    fill=st.booleans(),
)
def test_the_lists_equal_the_slow_reference(case, column, at_most, fill):
    expected = [slow.cap(pairs, tags_of(case, column), at_most, fill=fill) for pairs in case.pairs]
    assert case.lists(Cap(column, at_most, fill)) == expected


@settings(max_examples=60, deadline=None)
@given(case=cases(), at_most=st.integers(1, 3))
def test_without_filling_no_cap_is_ever_exceeded(case, at_most):
    tags = tags_of(case)
    for row in case.lists(Cap("genres", at_most, fill=False)):
        counts = Counter(value for item in row for value in set(tags[item]))
        assert max(counts.values(), default=0) <= at_most


@settings(max_examples=60, deadline=None)
@given(case=cases(), at_most=st.integers(1, 3), size=st.integers(1, 8))
def test_with_filling_a_cap_is_exceeded_only_where_too_few_items_respect_it(case, at_most, size):
    tags = tags_of(case)
    kept = case.lists(Cap("genres", at_most, fill=False), size=size)
    for row, within in zip(case.lists(Cap("genres", at_most), size=size), kept, strict=True):
        assert row[:size] == (within + [item for item in row if item not in within])[:size]
        counts = Counter(value for item in row[:size] for value in set(tags[item]))
        assert len(within) < size or max(counts.values(), default=0) <= at_most


def test_each_value_of_a_list_counts_and_items_without_a_value_are_free():
    genres = [["a", "b"], ["b"], ["a"], None, [], ["c", "c"]]
    case = make_case([[1, 2, 3, 4, 5, 6]], columns={"genres": genres}, num_items=6)
    result = case.rerank(Cap("genres", 1))
    assert result.items.values.tolist() == [1, 4, 5, 6, 2, 3]
    assert result.features["cap_skipped"].tolist() == [0, 0, 0, 0, 1, 1]


def test_two_caps_hold_together():
    columns = {"genres": [["a"]] * 3 + [["b"]] * 3 + [["c"]] * 3, "artist": list("xyxyxzzyx")}
    case = make_case([list(range(1, 10))], columns=columns, num_items=9)
    first = case.rerank(Cap("genres", 2), size=4)
    rows = Case(first, case.requests, case.catalogue).lists(Cap("artist", 2), size=4)
    for column in columns:
        counts = Counter(value for item in rows[0][:4] for value in tags_of(case, column)[item])
        assert max(counts.values()) <= 2


def test_a_long_chain_of_decisions_is_followed_to_its_end():
    genres = [[f"v{item}", f"v{item + 1}"] for item in range(200)]
    case = make_case([list(range(1, 201))], columns={"genres": genres}, num_items=200)
    assert case.lists(Cap("genres", 1, fill=False)) == [list(range(1, 201, 2))]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"column": "genres", "at_most": 0}, "at_most is 0.*at least 1"),
        ({"column": "genres", "at_most": 2.0}, "at_most is 2.0.*whole number"),
        ({"column": "", "at_most": 2}, "column is ''"),
        ({"column": "genres", "at_most": 2, "fill": "yes"}, "fill is 'yes'"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(settings_, message):
    with pytest.raises(ConfigError, match=message):
        Cap(**settings_)


def test_a_missing_column_is_named_with_a_suggestion():
    with pytest.raises(SchemaError, match=r"no column 'genre'.*did you mean 'genres'"):
        make_case([[1]], columns={"genres": [["a"]] * 12}).rerank(Cap("genre", 1))
