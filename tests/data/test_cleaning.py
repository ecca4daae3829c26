"""Bad rows are found, counted by cause and dropped, or refused."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import cleaning as slow

from shortlist.data.cleaning import clean, clean_entities
from shortlist.data.repeats import repeats
from shortlist.data.schema import EventType, Schema
from shortlist.errors import DataError, SchemaError

SCHEMA = Schema("user", "item", timestamp="time", label="rating", event="event")
KNOWN = {"view": EventType(), "buy": EventType(weight=5.0)}
TIMES = [
    "2024-01-31",
    "2024-01-31T12:00:00",
    "2024-01-31 12:00:00",
    "2024-01-31T13:00:00+01:00",
    "soon",
    None,
]

rows = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from(["ann", "bob", " ", "", None]),
            "item": st.sampled_from([1, 2, None]),
            "time": st.sampled_from(TIMES),
            "rating": st.sampled_from([1.0, 5.0, float("nan"), float("inf"), None]),
            "event": st.sampled_from(["view", "buy", "stare", None]),
        }
    ),
    min_size=1,
    max_size=25,
)
TYPES = {"user": pl.String, "item": pl.Int64, "time": pl.String, "rating": pl.Float64, "event": pl.String}


@given(rows, st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None)
def test_every_row_is_kept_or_counted_once_as_in_the_slow_reference(data, types_are_known, as_categories):
    frame = pl.DataFrame(data, schema=TYPES)
    if as_categories:
        frame = frame.with_columns(pl.col("user", "event").cast(pl.Categorical))
    schema = Schema("user", "item", "time", "rating", "event", events=KNOWN if types_are_known else {})
    kept, causes = slow.clean(data, known=set(KNOWN) if types_are_known else None)
    if not kept:
        with pytest.raises(DataError, match="no row can be used"):
            clean(frame, schema)
        return
    cleaned, report = clean(frame, schema)
    columns = cleaned.with_columns(pl.col("user", "event").cast(pl.String))
    assert columns.select("user", "item", "time", "rating", "event").rows() == kept
    assert report.causes == causes
    assert report.rows_kept + sum(report.causes.values()) == report.rows_read == len(data)


def test_the_report_names_the_first_rows_of_each_cause():
    frame = pl.DataFrame({"user": ["a", None, "b", None], "item": [1, 2, 3, 4]})
    _, report = clean(frame, Schema("user", "item"))
    assert report.examples == {"missing user id": (1, 3)}
    assert str(report) == "4 rows read, 2 kept\n  dropped: missing user id: 2 (rows 1, 3)"


def test_strict_refuses_bad_rows_and_lists_them():
    frame = pl.DataFrame({"user": ["a", None], "item": [1, 2], "time": [1, 2]})
    with pytest.raises(DataError, match=r"missing user id: 1 \(rows 1\).*the interactions.*mend these rows"):
        clean(frame, Schema("user", "item", timestamp="time"), strict=True)


def test_strict_takes_a_table_without_bad_rows():
    frame = pl.DataFrame({"user": ["a", "b"], "item": [1, 2], "time": [1, 2]})
    cleaned, report = clean(frame, Schema("user", "item", timestamp="time"), strict=True)
    assert cleaned.equals(frame)
    assert report.causes == {}


def test_without_times_a_repeated_row_is_no_fault():
    frame = pl.DataFrame({"user": ["a", "a"], "item": [1, 1]})
    assert len(clean(frame, Schema("user", "item"))[0]) == 2


def test_the_same_item_at_the_same_time_with_another_type_is_another_event():
    frame = pl.DataFrame(
        {"user": ["a"] * 3, "item": [1] * 3, "time": [7] * 3, "event": ["view", "buy", "view"]}
    )
    cleaned, report = clean(frame, Schema("user", "item", timestamp="time", event="event"))
    assert cleaned["event"].to_list() == ["view", "buy"]
    assert report.causes == {"the same event again": 1}


def test_a_good_row_after_a_bad_copy_of_it_is_kept():
    frame = pl.DataFrame({"user": ["a", "a"], "item": [1, 1], "time": [7, 7], "rating": [None, 4.0]})
    cleaned, _ = clean(frame, Schema("user", "item", timestamp="time", label="rating"))
    assert cleaned["rating"].to_list() == [4.0]


def test_whole_numbers_that_a_reader_made_floats_are_ids_again():
    frame = pl.DataFrame({"user": [1.0, float("nan"), 2.5, None], "item": ["x"] * 4})
    cleaned, report = clean(frame, Schema("user", "item"))
    assert cleaned["user"].dtype == pl.Int64
    assert cleaned["user"].to_list() == [1]
    assert report.causes == {"missing user id": 2, "user id is not a whole number": 1}


def test_ids_beyond_64_bits_with_sign_become_strings():
    frame = pl.DataFrame({"user": pl.Series([2**64 - 1], dtype=pl.UInt64), "item": [1]})
    assert clean(frame, Schema("user", "item"))[0]["user"].to_list() == [str(2**64 - 1)]


def test_labels_written_as_strings_are_numbers():
    frame = pl.DataFrame({"user": ["a"] * 3, "item": [1] * 3, "rating": ["4.5", "good", None]})
    cleaned, report = clean(frame, Schema("user", "item", label="rating"))
    assert cleaned["rating"].to_list() == [4.5]
    assert report.causes == {"missing label": 1, "label is not a number": 1}


@pytest.mark.parametrize("column", ["user", "time", "rating", "event"])
def test_a_column_of_lists_is_refused_by_name(column):
    frame = pl.DataFrame({"user": ["a"], "item": [1], "time": [1], "rating": [1.0], "event": ["view"]})
    with pytest.raises(DataError, match=column):
        clean(frame.with_columns(pl.concat_list(column).alias(column)), SCHEMA)


def test_a_missing_column_is_named_with_the_nearest_one():
    with pytest.raises(SchemaError, match=r"column 'item' is missing.*did you mean 'items'"):
        clean(pl.DataFrame({"user": ["a"], "items": [1]}), Schema("user", "item"))


def test_an_item_table_loses_rows_without_id_and_repeated_ids():
    frame = pl.DataFrame({"item": ["x", None, "y", "x"], "title": ["X", "?", "Y", "again"]})
    cleaned, report = clean_entities(frame, "item")
    assert cleaned["title"].to_list() == ["X", "Y"]
    assert report.causes == {"missing id": 1, "the same id again": 1}
    assert report.examples["the same id again"] == (3,)
    with pytest.raises(DataError, match="the same id again"):
        clean_entities(frame, "item", strict=True)


def test_an_item_table_without_ids_is_refused():
    with pytest.raises(SchemaError, match="did you mean 'item_no'"):
        clean_entities(pl.DataFrame({"item_no": [1]}), "item_n")


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-2, 2), st.integers(0, 1)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_repeats_are_what_a_set_of_seen_rows_says(data):
    frame = pl.DataFrame(data, schema={"a": pl.String, "b": pl.Int64, "c": pl.Int64}, orient="row")
    expected = [row in data[:number] for number, row in enumerate(data)]
    assert repeats(frame).to_list() == expected
    assert repeats(frame.with_columns(pl.col("a").cast(pl.Categorical))).to_list() == expected


def test_rows_whose_keys_collide_are_not_taken_for_equal(monkeypatch):
    from shortlist.data import repeats as module

    monkeypatch.setattr(module, "MIXERS", (0, 0))
    assert repeats(pl.DataFrame({"a": [1, 2, 1], "b": [1, 1, 1]})).to_list() == [False, False, True]
