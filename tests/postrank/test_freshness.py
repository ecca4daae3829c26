from __future__ import annotations

import contextlib
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank_cases import DAY, NOW, Case, cases, make_case
from reference import postrank as slow

from shortlist.data.catalogue import Catalogue
from shortlist.data.duration import parse_duration
from shortlist.errors import ConfigError, SchemaError
from shortlist.postrank import Freshness


@settings(max_examples=60, deadline=None)
@given(
    case=cases(), half_life=st.sampled_from(["12h", "30d", "2w"]), strength=st.sampled_from([0.1, 0.5, 1.0])
)
def test_the_order_equals_the_slow_reference(case, half_life, strength):
    dates = case.catalogue.items["released"].to_list()
    seconds = parse_duration(half_life)
    expected = [
        slow.freshness(pairs, dates, now, seconds, strength)
        for pairs, now in zip(case.pairs, case.requests.times.tolist(), strict=True)
    ]
    assert case.lists(Freshness(half_life, strength, "released")) == expected


def dated(dates: list[int | None], scores: list[float], **other) -> Case:
    lists = [list(range(1, len(dates) + 1))]
    return make_case(lists, [scores], num_items=len(dates), columns={"released": dates}, **other)


def test_of_two_equal_items_the_newer_comes_first():
    case = dated([NOW - 60 * DAY, NOW - DAY, NOW - 90 * DAY], [2.0, 2.0, 0.0])
    assert case.lists(Freshness("30d", column="released")) == [[2, 1, 3]]


def test_one_half_life_costs_half_of_the_strength():
    case = dated([NOW - 30 * DAY, NOW], [3.0, 1.0])
    result = case.rerank(Freshness("30d", strength=0.5, column="released"))
    assert result.scores.tolist() == pytest.approx([0.75, 0.0])
    assert result.features["freshness"].tolist() == pytest.approx([0.5, 1.0])


def test_an_old_item_that_fits_far_better_stays_first_at_the_default_strength():
    case = dated([NOW - 10_000 * DAY, NOW, NOW], [10.0, 4.0, 0.0])
    assert case.lists(Freshness("30d", column="released"))[0][0] == 1


def test_strength_0_keeps_the_order():
    case = dated([NOW - 60 * DAY, NOW], [1.0, 1.0])
    assert case.lists(Freshness(strength=0, column="released")) == [[1, 2]]


def test_an_item_from_the_future_counts_as_new():
    case = dated([NOW + 50 * DAY, NOW], [1.0, 0.0])
    assert case.rerank(Freshness(column="released")).features["freshness"].tolist() == [1.0, 1.0]


def test_an_item_without_a_date_is_neither_lifted_above_the_dated_ones_nor_buried():
    case = dated([NOW, None, NOW - 30 * DAY], [1.0, 1.0, 1.0])
    result = case.rerank(Freshness("30d", column="released"))
    assert result.items.values.tolist() == [1, 2, 3]
    assert result.features["freshness"].tolist() == pytest.approx([1.0, 0.75, 0.5])


def test_a_request_without_a_time_and_a_list_without_dates_keep_their_order():
    for case in (
        dated([NOW - 60 * DAY, NOW], [1.0, 0.9], times=[0]),
        dated([None, None], [1.0, 0.9]),
    ):
        assert case.lists(Freshness(column="released")) == [[1, 2]]


def test_a_neutral_rescoring_keeps_the_order_of_scores_that_single_precision_confounds():
    case = dated([NOW, NOW, NOW], [1.0 + 2**-23, 1.0, -1e6])
    swapped = case.candidates.take(
        case.candidates.items.values.new_tensor([0, 1, 2]), case.candidates.lengths
    )
    assert Case(swapped, case.requests, case.catalogue).lists(Freshness(column="released")) == [[1, 2, 3]]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series("released", [None, date(1972, 9, 26), date(1972, 8, 28)]),
        pl.Series("released", [None, datetime(1972, 9, 26), datetime(1972, 8, 28)]),
        pl.Series("released", [None, datetime(1972, 9, 26, tzinfo=UTC), None]),
    ],
)
def test_dates_and_times_are_understood(column):
    case = make_case([[1, 2]], num_items=2)
    catalogue = Catalogue(case.catalogue.items.with_columns(column), case.catalogue.vocabulary)
    freshness = Case(case.candidates, case.requests, catalogue).rerank(Freshness("1d", column="released"))
    decay = dict(zip(freshness.items.values.tolist(), freshness.features["freshness"].tolist(), strict=True))
    assert decay[1] == pytest.approx(2.0 ** -((NOW - 999 * DAY) / DAY), abs=1e-6)


def test_by_default_the_first_time_an_item_was_seen_counts():
    case = make_case([[1, 2]], [[1.0, 1.0]], num_items=2, columns={"first_seen": [NOW - DAY, NOW]})
    assert case.lists(Freshness("1d")) == [[2, 1]]
    with pytest.raises(SchemaError, match=r"no column 'first_seen'.*column=\"release_date\""):
        make_case([[1]]).rerank(Freshness())


@pytest.mark.parametrize(
    ("values", "message"),
    [([1995, 1996], "holds years"), (["1995-01-01", None], "must be dates"), ([1.5, 2.5], "must be dates")],
)
def test_a_column_that_holds_no_dates_is_refused(values, message):
    case = make_case([[1, 2]], num_items=2, columns={"released": values})
    with pytest.raises(SchemaError, match=message):
        case.rerank(Freshness(column="released"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("45s", 45), ("90m", 5_400), ("12h", 43_200), ("30d", 2_592_000), ("2w", 1_209_600), (" 7 d ", 604_800)],
)
def test_a_duration_is_read(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("30", "not a length of time"),
        ("30x", "not a length of time"),
        ("1M", "not a length of time"),
        ("0d", "zero"),
        ("-3d", "not a length of time"),
        ("1.5h", "not a length of time"),
        ("", "not a length of time"),
        ("9" * 30 + "w", "too long"),
        (30, "not a length of time"),
        (None, "not a length of time"),
    ],
)
def test_a_wrong_duration_names_the_field_the_value_and_the_remedy(text, problem):
    with pytest.raises(ConfigError, match=rf"half_life .*{problem}.*\"90m\""):
        Freshness(text)


@given(text=st.text(max_size=8))
def test_any_text_is_a_duration_or_a_clear_error(text):
    with contextlib.suppress(ConfigError):
        assert parse_duration(text) > 0


def test_a_wrong_strength_or_column_is_refused():
    with pytest.raises(ConfigError, match="strength is -1"):
        Freshness(strength=-1)
    with pytest.raises(ConfigError, match="column is 3"):
        Freshness(column=3)
