"""Datasets from a real SQLite database."""

from __future__ import annotations

import sqlite3

import polars as pl
import pytest

from shortlist.data.schema import Schema
from shortlist.datasets import from_sql
from shortlist.datasets import sql as module
from shortlist.errors import DataError, SchemaError

ROWS = [
    (user, 100 + user % 7, 1_700_000_000 + user, None if user < 30 else user / 2) for user in range(1, 51)
]
QUERY = "SELECT user_id, item_id, ts FROM events ORDER BY ts"


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE events (user_id INTEGER, item_id INTEGER, ts INTEGER, price REAL)")
        connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", ROWS)
        connection.execute("CREATE TABLE items (item_id INTEGER, title TEXT)")
        connection.executemany("INSERT INTO items VALUES (?, ?)", [(100 + n, f"Film {n}") for n in range(9)])
    connection.close()
    return path


def test_an_address_is_read_through_sqlalchemy(database):
    data = from_sql(QUERY, f"sqlite:///{database}", items="SELECT * FROM items", strict=True)
    assert data.interactions.rows() == [row[:3] for row in ROWS]
    assert data.schema == Schema(timestamp="ts")
    assert len(data.item_vocabulary) - 1 == 9


def test_an_engine_and_a_connection_are_used_and_left_open(database):
    import sqlalchemy

    engine = sqlalchemy.create_engine(f"sqlite:///{database}")
    assert len(from_sql(QUERY, engine)) == 50
    with engine.connect() as connection:
        assert len(from_sql(QUERY, connection)) == 50
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1


def test_an_adbc_connection_is_read(database):
    driver = pytest.importorskip("adbc_driver_sqlite.dbapi", reason="the ADBC driver is not installed")
    with driver.connect(str(database)) as connection:
        assert from_sql(QUERY, connection).interactions.rows() == [row[:3] for row in ROWS]


def test_batches_of_which_the_first_has_only_nulls_go_together(database, monkeypatch):
    monkeypatch.setattr(module, "BATCH_ROWS", 20)
    schema = Schema(timestamp="ts", label="price")
    data = from_sql("SELECT * FROM events", f"sqlite:///{database}", schema=schema)
    assert data.report.causes == {"missing label": 29}
    assert data.interactions["price"].to_list() == [row[3] for row in ROWS[29:]]
    assert data.interactions["price"].dtype == pl.Float64


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT * FROM nowhere", "the query failed.*nowhere"),
        ("SELECT user_id, item_id FROM events WHERE ts < 0", "returned no row"),
        ("", "the query failed"),
    ],
)
def test_a_query_that_fails_or_finds_nothing_is_named(database, query, said):
    with pytest.raises(DataError, match=said):
        from_sql(query, f"sqlite:///{database}")


def test_a_column_that_the_query_does_not_select_is_named(database):
    with pytest.raises(SchemaError, match="did you mean 'price'"):
        from_sql("SELECT * FROM events", f"sqlite:///{database}", schema=Schema(label="prize"))


def test_an_address_of_no_use_is_refused_without_showing_the_password():
    for address in ("nonsense", "nodialect://me:secret@host/shop", "sqlite:////no/such/folder/shop.db"):
        with pytest.raises(DataError) as caught:
            from_sql(QUERY, address)
        assert "secret" not in str(caught.value)


def test_what_is_no_connection_is_refused():
    with pytest.raises(DataError, match="the query failed"):
        from_sql(QUERY, 7)
