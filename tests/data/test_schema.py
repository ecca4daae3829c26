"""What the columns of the tables mean."""

from __future__ import annotations

import polars as pl
import pytest

import shortlist as sl
from shortlist.errors import ConfigError, DataError, SchemaError

FULL = sl.Schema(
    "u", "i", timestamp="t", label="r", event="e", events={"buy": sl.EventType(weight=3.0, history=False)}
)
EVENTS = pl.DataFrame({"u": ["a"], "i": [1], "t": [5], "r": [4.5], "e": ["buy"]})


@pytest.mark.parametrize("schema", [sl.Schema(), FULL])
def test_a_schema_comes_back_from_its_dict(schema):
    assert sl.Schema.from_dict(schema.to_dict()) == schema


def test_a_misspelt_key_is_named_with_the_nearest_one():
    with pytest.raises(ConfigError, match=r"'timestmp'.*did you mean 'timestamp'"):
        sl.Schema.from_dict({"timestmp": "t"})
    with pytest.raises(ConfigError, match=r"'wieght'.*event type 'buy'.*did you mean 'weight'"):
        sl.Schema.from_dict({"event": "e", "events": {"buy": {"wieght": 1.0}}})


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan")])
def test_a_weight_that_is_no_weight_is_refused(weight):
    with pytest.raises(ConfigError, match="weight"):
        sl.EventType(weight=weight)


def test_a_column_has_one_purpose():
    with pytest.raises(ConfigError, match="'u' is named for two purposes"):
        sl.Schema("u", "u")


def test_event_types_need_a_column_of_them():
    with pytest.raises(ConfigError, match='set event="…"'):
        sl.Schema(events={"buy": sl.EventType()})


@pytest.mark.parametrize("column", FULL.columns)
def test_a_missing_column_and_a_missing_value_are_named(column):
    with pytest.raises(SchemaError, match=f"column '{column}' is missing"):
        sl.Dataset(EVENTS.drop(column), FULL)
    null = pl.lit(None, EVENTS[column].dtype).alias(column)
    with pytest.raises(DataError, match=rf"1 of 2 values of column '{column}' are missing.*counts and drops"):
        sl.Dataset(pl.concat([EVENTS, EVENTS.with_columns(null)]), FULL)


@pytest.mark.parametrize(
    ("column", "value"), [("u", 1.5), ("i", [1]), ("t", "2024-01-31"), ("t", 1.5), ("r", "good")]
)
def test_a_column_of_a_wrong_kind_is_refused_at_once(column, value):
    wrong = EVENTS.with_columns(pl.Series(column, [value]))
    with pytest.raises(DataError, match=f"column '{column}'"):
        sl.Dataset(wrong, FULL)


@pytest.mark.parametrize(("part", "column"), [("users", "u"), ("items", "i")])
def test_a_table_without_its_ids_is_refused(part, column):
    with pytest.raises(SchemaError, match=rf"column '{column}' is missing.*the {part} table"):
        sl.Dataset(EVENTS, FULL, **{part: pl.DataFrame({"name": ["x"]})})


def test_a_table_without_events_is_refused():
    with pytest.raises(DataError, match="there is no event"):
        sl.Dataset(EVENTS.head(0), FULL)
