"""Conditions on the item table, written as text that a file can hold."""

from __future__ import annotations

import polars as pl

from shortlist.errors import ConfigError


def parse_predicate(where: str | pl.Expr, *, stage: str) -> pl.Expr:
    """Turn a condition into a Polars expression.

    Args:
        where: SQL over the columns of the item table, such as `"year >= 1990 AND price < 20"`, or a
            Polars expression, which works the same but cannot be saved.
        stage: name of the post-ranker, for the message.

    Returns:
        A Polars expression; whether its columns exist shows when it meets a catalogue.

    Raises:
        ConfigError: the text is not a condition.
    """
    if isinstance(where, pl.Expr):
        return where
    remedy = 'write a condition on item columns, such as "year >= 1990 AND price < 20"'
    if not isinstance(where, str) or not where.strip():
        raise ConfigError(f"where is {where!r}", where=stage, remedy=remedy)
    try:
        return pl.sql_expr(where)
    except (pl.exceptions.PolarsError, UnicodeEncodeError) as error:
        raise ConfigError(f"where {where!r} cannot be read: {error}", where=stage, remedy=remedy) from error
