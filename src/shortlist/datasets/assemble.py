"""From tables as read to a clean Dataset: the last step of every reader."""

from __future__ import annotations

import polars as pl

from shortlist.data.cleaning import CleaningReport, clean, clean_entities
from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.data.vocabulary import normalise_ids
from shortlist.errors import DataError


def assemble(
    interactions: pl.DataFrame,
    schema: Schema,
    *,
    users: pl.DataFrame | None = None,
    items: pl.DataFrame | None = None,
    name: str = "",
    strict: bool = False,
    where: str = "the interactions",
) -> Dataset:
    """Clean the tables, bring their ids to one type and put them together.

    Args:
        interactions: one row an event, with the schema's columns.
        schema: what the columns mean.
        users: one row a user, with the user id column.
        items: one row an item, with the item id column.
        name: what to call the data in reports.
        strict: refuse tables with bad rows instead of dropping and counting them.
        where: how to call the interactions in errors.

    Returns:
        A Dataset whose `report` says what was dropped and how the columns were read.

    Raises:
        SchemaError: a column is missing or of a type that cannot be understood.
        DataError: `strict` and a row is bad, or no row is good.
    """
    if len(interactions) == 0:
        raise DataError("there is no row", where=where, remedy="check the source and its filters")
    events, report = clean(interactions, schema, strict=strict, where=where)
    del interactions
    tables: list[pl.DataFrame | None] = []
    for table, key, kind in ((users, schema.user_id, "users"), (items, schema.item_id, "items")):
        if table is not None:
            table, about = clean_entities(table, key, strict=strict, where=f"the {kind} table")
            report = report.including(about, kind)
            events, table, report = _with_equal_types(events, table, key, report)
        tables.append(table)
    return Dataset(events, schema, users=tables[0], items=tables[1], name=name, report=report)


def _with_equal_types(
    events: pl.DataFrame, table: pl.DataFrame, key: str, report: CleaningReport
) -> tuple[pl.DataFrame, pl.DataFrame, CleaningReport]:
    """Turn integers into strings where the other table holds strings."""
    kinds = [normalise_ids(frame[key].head(0)).dtype for frame in (events, table)]
    if kinds[0] == kinds[1]:
        return events, table, report
    note = f"column {key!r} holds integers in one table and strings in the other; read as strings"
    report = CleaningReport(
        report.rows_read, report.rows_kept, report.causes, report.examples, (*report.notes, note)
    )
    as_text = pl.col(key).cast(pl.String)
    if kinds[0] == pl.Int64:
        return events.with_columns(as_text), table, report
    return events, table.with_columns(as_text), report
