"""Datasets from CSV, TSV, Parquet and JSON-lines files."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from shortlist.data.schema import EventType, Schema
from shortlist.datasets import from_files
from shortlist.errors import DataError, SchemaError

EVENTS = pl.DataFrame(
    {
        "user": ["ann", "bob", "ann", "cid"],
        "item": [10, 20, 20, 10],
        "ts": [1_700_000_000, 1_700_000_060, 1_700_000_120, 1_700_000_180],
        "event": ["view", "buy", "view", "dislike"],
    }
)
SCHEMA = Schema("user", "item", timestamp="ts", event="event")
WRITERS = {
    "events.csv": lambda frame: frame.write_csv().encode(),
    "events.tsv": lambda frame: frame.write_csv(separator="\t").encode(),
    "events.jsonl": lambda frame: frame.write_ndjson().encode(),
    "events.csv.gz": lambda frame: gzip.compress(frame.write_csv().encode()),
    "events.jsonl.gz": lambda frame: gzip.compress(frame.write_ndjson().encode()),
    "events.parquet": None,
}


def write(frame, path):
    writer = WRITERS["events" + "".join(path.suffixes)]
    if writer is None:
        frame.write_parquet(path)
    else:
        path.write_bytes(writer(frame))
    return path


def rows(data):
    return data.interactions.with_columns(pl.col(pl.Categorical).cast(pl.String)).rows()


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_gives_the_same_rows_in_order(tmp_path, name):
    data = from_files(write(EVENTS, tmp_path / name), strict=True)
    assert rows(data) == EVENTS.rows()
    assert data.schema == SCHEMA
    assert data.name == "events"
    assert data.user_vocabulary.decode(data.user_index).to_list() == EVENTS["user"].to_list()


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_a_pattern_and_a_list_of_files_are_one_table(tmp_path, name):
    ending = name.removeprefix("events")
    for number in range(3):
        write(EVENTS.with_columns(pl.col("ts") + 1000 * number), tmp_path / f"part-{number}{ending}")
    (tmp_path / "README").write_text("no table")
    expected = [
        row for number in range(3) for row in EVENTS.with_columns(pl.col("ts") + 1000 * number).rows()
    ]
    paths = [tmp_path / f"part-{number}{ending}" for number in range(3)]
    for source in (tmp_path, str(tmp_path / f"part-*{ending}"), paths):
        assert rows(from_files(source)) == expected


def test_users_and_items_come_along(tmp_path):
    write(EVENTS, tmp_path / "events.csv")
    (tmp_path / "users.csv").write_text("user,age\nann,30\n,40\nann,31\n")
    (tmp_path / "items.jsonl").write_text('{"item": 10, "title": "Ten"}\n{"item": 30, "title": "Thirty"}\n')
    data = from_files(tmp_path / "events.csv", users=tmp_path / "users.csv", items=tmp_path / "items.jsonl")
    assert data.users.rows() == [("ann", 30)]
    assert data.report.causes == {"users: missing id": 1, "users: the same id again": 1}
    assert data.item_vocabulary.encode([30]).tolist() == [3]


def test_integers_in_one_table_and_strings_in_the_other_are_brought_together(tmp_path):
    write(EVENTS, tmp_path / "events.csv")
    (tmp_path / "items.csv").write_text("item,title\n10,Ten\nx9,Nine\n")
    data = from_files(tmp_path / "events.csv", items=tmp_path / "items.csv")
    assert data.catalogue.column("title")[1] == "Ten"
    assert any("read as strings" in note for note in data.report.notes)


def test_event_types_keep_their_weights_and_unknown_ones_are_counted(tmp_path):
    types = {"view": EventType(), "buy": EventType(weight=5.0)}
    schema = Schema("user", "item", timestamp="ts", event="event", events=types)
    data = from_files(write(EVENTS, tmp_path / "events.parquet"), schema=schema)
    assert data.report.causes == {"unknown event type": 1}
    assert data.weights.tolist() == [1.0, 5.0, 1.0]


def test_a_word_far_down_a_column_of_numbers_makes_it_strings(tmp_path):
    lines = ["user,item"] + [f"{n},{n}" for n in range(12_000)] + ["x,1"]
    (tmp_path / "events.csv").write_text("\n".join(lines))
    data = from_files(tmp_path / "events.csv")
    assert len(data) == 12_001
    assert data.interactions["user"][-1] == "x"


def test_ids_that_are_numbers_in_one_file_and_words_in_another_are_strings(tmp_path):
    (tmp_path / "1.csv").write_text("user,item\n1,5\n")
    (tmp_path / "2.csv").write_text("user,item,extra\nx,6,7\n")
    assert rows(from_files(tmp_path)) == [("1", 5, None), ("x", 6, 7)]


def test_files_whose_types_do_not_go_together_are_refused(tmp_path):
    for number, extra in ((1, pl.Series([[1]])), (2, pl.Series(["x"]))):
        pl.DataFrame({"user": ["a"], "item": [1], "extra": extra}).write_parquet(
            tmp_path / f"{number}.parquet"
        )
    with pytest.raises(DataError, match="do not go together"):
        from_files(tmp_path)


def test_a_column_missing_from_one_file_is_named_with_the_file(tmp_path):
    (tmp_path / "1.csv").write_text("user,item\n1,5\n")
    (tmp_path / "2.csv").write_text("users,item\n1,6\n")
    with pytest.raises(SchemaError, match=r"column 'user' is missing .*2\.csv.*did you mean 'users'"):
        from_files(tmp_path)


@pytest.mark.parametrize("content", ["user,item\n", "", '{"user": ', "user,item\n1,2,3\n"])
@pytest.mark.parametrize("name", ["events.csv", "events.jsonl", "events.parquet"])
def test_an_empty_or_damaged_file_is_named(tmp_path, content, name):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        from_files(path, schema=Schema("user", "item"))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_in_another_encoding_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "events.csv"
    path.write_bytes("user,item\ncafé,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"not in UTF-8.*iconv"):
        from_files(path)


def test_a_cut_archive_is_refused(tmp_path):
    path = tmp_path / "events.csv.gz"
    path.write_bytes(gzip.compress(EVENTS.write_csv().encode())[:-12])
    with pytest.raises(DataError, match=r"events\.csv\.gz"):
        from_files(path)


@pytest.mark.parametrize("name", ["gone.csv", "nothing-*.csv", "empty"])
def test_what_is_not_there_is_named(tmp_path, name):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no (such file|file in the folder)"):
        from_files(tmp_path / name)


def test_an_unknown_format_is_refused_with_the_known_ones(tmp_path):
    (tmp_path / "events.xlsx").write_text("x")
    with pytest.raises(DataError, match=r"'\.xlsx' is no format.*\.parquet"):
        from_files(tmp_path / "events.xlsx")


def test_a_table_of_bad_rows_only_is_refused_with_the_counts(tmp_path):
    (tmp_path / "events.csv").write_text("user,item\n,5\n,6\n")
    with pytest.raises(DataError, match=r"no row can be used.*missing user id: 2"):
        from_files(tmp_path / "events.csv", schema=Schema("user", "item"))
