"""Tables from databases, through SQLAlchemy or ADBC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import polars as pl

from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.datasets.assemble import assemble
from shortlist.datasets.guess import guess_schema
from shortlist.errors import DataError

# Rows that are rows of Python or Arrow at a time, before they are columns.
BATCH_ROWS = 100_000


def from_sql(
    query: str,
    connection: Any,
    *,
    users: str | None = None,
    items: str | None = None,
    schema: Schema | None = None,
    strict: bool = False,
) -> Dataset:
    """Read a dataset from a database.

    Args:
        query: selects the interactions, one row an event.
        connection: an address such as `"postgresql://user@host/shop"` or `"sqlite:///shop.db"`, an engine
            or connection of SQLAlchemy, or a connection of ADBC or another driver of Python's database
            interface. What is given is left open; what an address opens is closed.
        users: selects one row a user, with the schema's user id column.
        items: selects one row an item, with the schema's item id column.
        schema: what the columns of the interactions mean; guessed from their names by default.
        strict: refuse tables with bad rows instead of dropping and counting them.

    Returns:
        A Dataset whose `report` says what was dropped and how the columns were read.

    Raises:
        SchemaError: a column is missing, or none looks like the ids.
        DataError: the database cannot be reached, refuses a query, or returns nothing.
    """
    with _opened(connection) as opened:
        events = _select(query, opened)
        schema = guess_schema(events.head(1000)) if schema is None else schema
        user_table = None if users is None else _select(users, opened)
        item_table = None if items is None else _select(items, opened)
    where = _shorten(query)
    return assemble(
        events, schema, users=user_table, items=item_table, name="sql", strict=strict, where=where
    )


@contextmanager
def _opened(connection: Any) -> Iterator[Any]:
    """A connection that Polars can read from."""
    if not isinstance(connection, str):
        yield connection
        return
    try:
        from sqlalchemy import create_engine
        from sqlalchemy.engine import make_url
    except ImportError as error:
        raise DataError(
            "addresses of databases need SQLAlchemy, which is not installed",
            remedy="pip install 'shortlist[sql]', or give an ADBC connection",
        ) from error
    try:
        engine = create_engine(connection)
    except Exception as error:  # each dialect and driver has its own
        raise DataError(
            f"the database's address is of no use: {_first_line(error)}",
            where=connection.split(":", 1)[0] + ":…",  # the rest may hold a password
            remedy="write it like sqlite:///shop.db, and install the driver that it names",
        ) from error
    try:
        with engine.connect() as opened:
            yield opened
    except DataError:
        raise
    except Exception as error:  # each driver has its own
        raise DataError(
            f"the database cannot be reached: {_first_line(error)}",
            where=make_url(connection).render_as_string(hide_password=True),
            remedy="check the address and that the database runs",
        ) from error
    finally:
        engine.dispose()


def _select(query: str, connection: Any) -> pl.DataFrame:
    try:
        batches = pl.read_database(
            query, connection, iter_batches=True, batch_size=BATCH_ROWS, infer_schema_length=None
        )
        parts = list(batches)
        # A batch whose values of a column are all missing does not know the column's type.
        table = pl.concat(parts, how="vertical_relaxed") if parts else pl.DataFrame()
    except Exception as error:  # each driver has its own
        raise DataError(
            f"the query failed: {_first_line(error)}",
            where=_shorten(query),
            remedy="check it with the database's own client",
        ) from error
    if len(table) == 0:
        raise DataError("the query returned no row", where=_shorten(query), remedy="check its conditions")
    return table


def _shorten(query: str) -> str:
    words = " ".join(query.split())
    return words if len(words) <= 80 else words[:79] + "…"


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
