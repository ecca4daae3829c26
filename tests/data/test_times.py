"""Times of any common form become seconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data.times import parse_times
from shortlist.errors import SchemaError

NOON = 1_706_702_400  # 2024-01-31 12:00 UTC
moments = st.datetimes(datetime(1990, 1, 1), datetime(2200, 1, 1))


@given(st.lists(moments, min_size=1, max_size=10), st.sampled_from(["ms", "us", "ns"]))
@settings(max_examples=50, deadline=None)
def test_a_column_of_datetimes_is_rounded_down_to_seconds(values, unit):
    expected = [int(value.replace(microsecond=0, tzinfo=UTC).timestamp()) for value in values]
    assert parse_times(pl.Series(values, dtype=pl.Datetime(unit)))[0].to_list() == expected


@given(st.lists(moments, min_size=1, max_size=10), st.sampled_from([1, 10**3, 10**6, 10**9]))
@settings(max_examples=50, deadline=None)
def test_the_unit_of_numbers_is_found_by_their_size(values, size):
    seconds = [int(value.replace(microsecond=0, tzinfo=UTC).timestamp()) for value in values]
    assert parse_times(pl.Series([number * size for number in seconds]))[0].to_list() == seconds


@given(st.lists(moments, min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_iso_strings_are_read_with_and_without_zones(values):
    expected = [int(value.replace(microsecond=0, tzinfo=UTC).timestamp()) for value in values]
    assert parse_times(pl.Series([value.isoformat() for value in values]))[0].to_list() == expected
    zone = timezone(timedelta(hours=5, minutes=30))
    zoned = [value.replace(tzinfo=UTC).astimezone(zone).isoformat(" ") for value in values]
    assert parse_times(pl.Series(zoned))[0].to_list() == expected


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2024-01-31T12:00:00Z", NOON),
        ("2024-01-31 12:00:00.999", NOON),
        ("2024-01-31T12:00", NOON),
        (" 2024-01-31 ", NOON - 43_200),
        ("2024-01-31T13:00:00+0100", NOON),
        (str(NOON), NOON),
        ("2024-13-01", None),
        ("31.01.2024", None),
        ("", None),
    ],
)
def test_one_string(text, seconds):
    assert parse_times(pl.Series([text]))[0].to_list() == [seconds]


def test_dates_are_midnights():
    assert parse_times(pl.Series([date(2024, 1, 31)]))[0].to_list() == [NOON - 43_200]


def test_a_zoned_column_is_read_in_utc():
    zoned = (
        pl.Series([datetime(2024, 1, 31, 12)]).dt.replace_time_zone("UTC").dt.convert_time_zone("Asia/Tokyo")
    )
    seconds, note = parse_times(zoned)
    assert seconds.to_list() == [NOON]
    assert "Asia/Tokyo" in note


def test_small_numbers_are_an_order_of_events_in_seconds():
    seconds, note = parse_times(pl.Series([1, 2, 3, None]))
    assert seconds.to_list() == [1, 2, 3, None]
    assert note == "seconds since 1970"


def test_a_number_in_another_unit_than_the_rest_is_no_time():
    assert parse_times(pl.Series([NOON, NOON + 1, NOON * 1000]))[0].to_list() == [NOON, NOON + 1, None]


def test_floats_are_rounded_down_and_what_is_not_finite_is_no_time():
    values = pl.Series([NOON + 0.9, float("nan"), float("inf"), 1e300])
    assert parse_times(values.head(3))[0].to_list() == [NOON, None, None]


def test_the_extremes_of_64_bits_do_not_wrap_round():
    seconds, _ = parse_times(pl.Series([NOON, NOON, NOON, 2**63 - 1, -(2**63)]))
    assert seconds.to_list() == [NOON] * 3 + [None] * 2


def test_a_column_of_nulls_has_no_times():
    assert parse_times(pl.Series([None, None]))[0].to_list() == [None, None]


def test_a_column_of_booleans_is_refused():
    with pytest.raises(SchemaError, match=r"times must be dates, numbers or strings, got Boolean.*'seen'"):
        parse_times(pl.Series("seen", [True]))
