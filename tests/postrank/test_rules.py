from __future__ import annotations

import contextlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank_cases import cases, make_case
from reference import postrank as slow

from shortlist.errors import ConfigError, DataError, SchemaError
from shortlist.postrank import Boost, Exclude


@settings(max_examples=60, deadline=None)
@given(case=cases(), items=st.lists(st.integers(95, 120), max_size=5))
def test_excluded_items_never_come_back_and_the_others_keep_their_order(case, items):
    histories = case.requests.history.to_lists()
    margins = case.catalogue.items["margin"].to_list()
    result = case.lists(Exclude(items, "margin >= 3", seen=True))
    expected = [
        [
            item
            for item, _ in pairs
            if 100 + item not in items
            and item not in history
            and not (margins[item] is not None and margins[item] >= 3)
        ]
        for pairs, history in zip(case.pairs, histories, strict=True)
    ]
    assert result == expected


def test_each_request_loses_only_its_own_history():
    case = make_case([[1, 2, 3], [1, 2, 3]], histories=[[1, 1], [3]])
    assert case.lists(Exclude(seen=True)) == [[2, 3], [1, 2]]


def test_a_history_item_outside_the_catalogue_excludes_nothing_of_another_request():
    case = make_case([[1, 2], [1, 2]], num_items=2, histories=[[4], []])
    assert case.lists(Exclude(seen=True)) == [[1, 2], [1, 2]]


def test_ids_may_be_written_as_text_and_unknown_ones_are_ignored():
    case = make_case([[1, 2, 3]])
    assert case.lists(Exclude(items=["102", "nobody"])) == [[1, 3]]


def test_a_polars_expression_works_like_its_text():
    case = make_case([[1, 2, 3]], num_items=3, columns={"year": [1980, 1995, None]})
    assert case.lists(Exclude(where=pl.col("year") < 1990)) == case.lists(Exclude(where="year < 1990"))


def test_a_where_condition_is_evaluated_over_the_whole_table():
    case = make_case([[2, 3]], num_items=3, columns={"year": [1900, 1990, 2000]})
    assert case.lists(Exclude(where="year > AVG(year) + 30")) == [[2]]


@settings(max_examples=60, deadline=None)
@given(case=cases(), by=st.sampled_from([-1.0, -0.4, 0.2, 3.0]), how=st.sampled_from(["multiply", "add"]))
def test_a_boost_equals_the_slow_reference(case, by, how):
    artists = case.catalogue.items["artist"].to_list()
    margins = case.catalogue.items["margin"].to_list()
    present = [margin for margin in margins if margin is not None]
    span = max(present) - min(present)
    lifted = [float(artist == "x") for artist in artists]
    scaled = [0.0 if m is None or span == 0 else (m - min(present)) / span for m in margins]
    for boost, x in (
        (Boost("artist = 'x'", by=by, how=how), lifted),
        (Boost(column="margin", by=by, how=how), scaled),
    ):
        assert case.lists(boost) == [slow.boost(pairs, x, by, how) for pairs in case.pairs]


def test_the_formula_of_a_boost():
    case = make_case([[1, 2, 3]], [[3.0, 2.0, 1.0]], num_items=3, columns={"in_stock": [False, True, True]})
    multiplied = case.rerank(Boost("in_stock", by=0.5))
    assert multiplied.items.values.tolist() == [1, 2, 3]
    assert multiplied.scores.tolist() == pytest.approx([1.0, 0.75, 0.0])
    added = case.rerank(Boost("in_stock", by=0.6, how="add"))
    assert added.items.values.tolist() == [2, 1, 3]
    assert added.scores.tolist() == pytest.approx([1.1, 1.0, 0.6])
    assert added.features["boost"].tolist() == pytest.approx([0.6, 0.0, 0.6])


def test_a_boost_of_nothing_keeps_the_order():
    case = make_case([[3, 1, 2]], num_items=3, columns={"margin": [1, 2, 3], "flat": [5, 5, None]})
    assert case.lists(Boost(column="margin", by=0)) == [[3, 1, 2]]
    assert case.lists(Boost(column="flat", by=5.0, how="add")) == [[3, 1, 2]]


def test_a_boolean_column_boosts_like_a_condition():
    case = make_case([[1, 2]], [[1.0, 1.0]], num_items=2, columns={"ours": [False, True]})
    assert case.lists(Boost(column="ours")) == case.lists(Boost("ours")) == [[2, 1]]


@pytest.mark.parametrize("kind", [Exclude, Boost])
@pytest.mark.parametrize("where", ["year >", "", "   ", "year >= 1990; select 1", 5])
def test_a_condition_that_cannot_be_read_is_refused_at_once(kind, where):
    with pytest.raises(ConfigError, match=r"where .*year >= 1990 AND price < 20"):
        kind(where=where)


@settings(max_examples=60, deadline=None)
@given(
    where=st.text(alphabet="year19 ><=()'\";,*-+.", max_size=12)
    | st.sampled_from(["(SELECT 1)", "drop table", "TRUE"])
)
def test_any_condition_works_or_gives_a_clear_error(where):
    case = make_case([[1, 2]], num_items=2, columns={"year": [1990, 2000]})
    with contextlib.suppress(ConfigError, SchemaError):  # what must not happen is any other exception
        case.lists(Exclude(where=where))


def test_a_condition_on_a_missing_column_names_the_columns_there_are():
    with pytest.raises(SchemaError, match=r"cannot be evaluated.*item_id"):
        make_case([[1]]).rerank(Exclude(where="yaer > 3"))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Exclude(), "nothing to drop.*seen=True"),
        (lambda: Exclude(items="B07"), "items is 'B07'.*list of ids"),
        (lambda: Exclude(items=5), "items is '5'.*list of ids"),
        (lambda: Exclude(items=[1, "a"]), "all text or all integers"),
        (lambda: Exclude(items=[1.5]), "all text or all integers"),
        (lambda: Boost(), "neither of where and column"),
        (lambda: Boost("a = 1", "b"), "both of where and column"),
        (lambda: Boost("a = 1", by=float("inf")), "by is inf"),
        (lambda: Boost("a = 1", by=-2), 'by is -2.*how="add"'),
        (lambda: Boost("a = 1", how="times"), "how is 'times'.*'multiply', 'add'"),
        (lambda: Boost(column=7), "column is 7"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(build, message):
    with pytest.raises(ConfigError, match=message):
        build()


def test_a_column_that_is_not_numeric_or_not_finite_is_refused():
    case = make_case([[1]], num_items=2, columns={"title": ["a", "b"], "price": [float("inf"), 1.0]})
    with pytest.raises(SchemaError, match="'title' holds String, not numbers"):
        case.rerank(Boost(column="title"))
    with pytest.raises(DataError, match="'price' holds an infinite value"):
        case.rerank(Boost(column="price"))
