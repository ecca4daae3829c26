"""Whatever the file holds: a dataset or a clear error, and nothing is written."""

from __future__ import annotations

import gzip

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import shortlist.errors
from shortlist.data.schema import EventType, Schema
from shortlist.datasets import from_files, read_libsvm

SCHEMA = Schema("user", "item", timestamp="time", label="rating", event="event", events={"view": EventType()})
HEADER = b"user,item,time,rating,event\n"
NAMES = ["t.csv", "t.tsv", "t.jsonl", "t.parquet", "t.csv.gz", "t.jsonl.gz", "t.txt", "t"]

cell = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.booleans(),
    st.text(max_size=4),
    st.sampled_from(["view", "2024-01-31", 'a"b', "1e400", "NaN", "\x00", "null"]),
)
odd_types = st.sampled_from(
    [pl.Boolean, pl.List(pl.Int64), pl.Binary, pl.Duration("us"), pl.Time, pl.UInt64, pl.Int8, pl.Float32,
     pl.Categorical, pl.Date, pl.Datetime("ns"), pl.Struct({"a": pl.Int64}), pl.Null, pl.Decimal(20, 2)]
)  # fmt: skip


def outcome(folder, path, **options):
    """Reads a file; fails on any exception that is not shortlist's own."""
    before = sorted(folder.iterdir())
    try:
        data = from_files(path, **options)
    except shortlist.errors.Error as error:
        lines = str(error).splitlines()
    else:
        lines = ["no error"]
        report = data.report
        assert report.rows_read == report.rows_kept + sum(report.causes.values())
        assert len(data.user_index) == len(data.item_index) == report.rows_kept == len(data)
        assert data.user_index.min() > 0
    assert len(lines) == 1
    assert sorted(folder.iterdir()) == before


@given(st.binary(max_size=200), st.sampled_from(NAMES), st.booleans(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_bytes_under_any_name(tmp_path_factory, content, name, with_header, with_schema):
    folder = tmp_path_factory.mktemp("bytes")
    content = HEADER + content if with_header else content
    (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") and with_header else content)
    outcome(folder, folder / name, schema=SCHEMA if with_schema else None)


@given(st.lists(st.lists(cell, max_size=6), max_size=8), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_cells_in_a_csv(tmp_path_factory, rows, strict):
    folder = tmp_path_factory.mktemp("cells")
    lines = [",".join("" if each is None else str(each) for each in row) for row in rows]
    (folder / "t.csv").write_bytes(HEADER + "\n".join(lines).encode(errors="replace"))
    outcome(folder, folder / "t.csv", schema=SCHEMA, strict=strict)


@given(
    st.dictionaries(st.sampled_from(["user", "item", "time", "rating", "event"]), odd_types), st.booleans()
)
@settings(max_examples=60, deadline=None)
def test_columns_of_any_type_in_a_parquet_file(tmp_path_factory, types, strict):
    folder = tmp_path_factory.mktemp("types")
    plain = {"user": "a", "item": 1, "time": 5, "rating": 1.0, "event": "view"}
    columns = [
        pl.Series(name, [None, None, None], dtype=types[name])
        if name in types
        else pl.Series(name, [value] * 3)
        for name, value in plain.items()
    ]
    pl.DataFrame(columns).write_parquet(folder / "t.parquet")
    outcome(folder, folder / "t.parquet", schema=SCHEMA, strict=strict)


@given(st.integers(0, 10_000), st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_parquet_file_with_a_damaged_byte(tmp_path_factory, position, value):
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "t.parquet"
    users = [f"u{n % 7}" for n in range(100)]
    pl.DataFrame({"user": users, "item": range(100), "time": range(100)}).write_parquet(path)
    content = bytearray(path.read_bytes())
    content[position % len(content)] = value
    path.write_bytes(content)
    outcome(folder, path, schema=Schema("user", "item", timestamp="time"))


@given(st.one_of(st.binary(max_size=100), st.text("0123456789 qid:#.-e\n", max_size=100).map(str.encode)))
@settings(max_examples=100, deadline=None)
def test_any_bytes_as_a_ranking_table(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("ranking") / "t.txt"
    path.write_bytes(content)
    try:
        table = read_libsvm(path)
    except shortlist.errors.Error as error:
        refusal = str(error)
    else:
        assert table.offsets[-1] == len(table.labels) == len(table.features)
        assert table.features.isfinite().all()
        return
    assert str(path) in refusal


@pytest.mark.parametrize("kind", ["users", "items"])
def test_a_bad_table_beside_good_interactions_is_named(tmp_path, kind):
    (tmp_path / "events.csv").write_text("user,item\n1,2\n")
    (tmp_path / "other.csv").write_text("name\nx\n")
    with pytest.raises(shortlist.errors.SchemaError, match=r"column '(user|item)' is missing .*other\.csv"):
        from_files(tmp_path / "events.csv", **{kind: tmp_path / "other.csv"})
