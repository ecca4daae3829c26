"""Which feature suits a column: from its type and its values, for `shortlist init` to propose."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from shortlist.data import Category, Feature, Number, Tags, Text, Timestamp, Vector

SEPARATORS = ("|", ";", ",")  # that join the tags of one cell, the likeliest first
MOST_TAGS = 2000  # distinct values in one column; more are words or ids
MOST_CATEGORIES = 2000
FEWEST_A_CATEGORY = 3  # rows a distinct value must have on average to be one of several kinds
FEWEST_NUMBERS = 20  # distinct integers that are a quantity rather than codes
WORDS_A_TEXT = 1.5  # words a cell has on average where it is text rather than a code
BATCH_NAMES = ("user_index", "item_index", "weight", "label", "row", "scores")  # taken in every batch


def guess_features(table: pl.DataFrame, *, key: str, taken: set[str]) -> list[Feature]:
    """Propose a feature for each column of a table of users or items that tells something.

    Columns without values, with one value only, and codes that hardly ever repeat are left out.

    Args:
        table: one row a user or item.
        key: the id column.
        taken: names that other features have; those of the new ones are added.

    Returns:
        Features in the order of the columns, each with a name of its own.
    """
    found = []
    for column in table.columns:
        feature = None if column in (key, "") else guess_feature(table[column])
        if feature is None:
            continue
        if feature.name in taken or feature.name in BATCH_NAMES:
            feature = _renamed(feature, taken)
        taken.add(feature.name)
        found.append(feature)
    return found


def guess_feature(values: pl.Series) -> Feature | None:
    """The feature that suits a column, or None where it tells nothing.

    Args:
        values: a column of a table of users or items.
    """
    known, name = values.drop_nulls(), values.name
    if len(known) == 0:
        return None
    if isinstance(known.dtype, pl.List | pl.Array):
        return _of_lists(known)
    if isinstance(known.dtype, pl.Struct | pl.Object | pl.Binary | pl.Time | pl.Duration):
        return None
    distinct = known.n_unique()
    if distinct < 2:
        return None
    if isinstance(known.dtype, pl.Date | pl.Datetime):
        return Timestamp(name)
    if known.dtype.is_float() or known.dtype.is_decimal():
        return Number(name) if known.is_finite().any() else None
    if known.dtype.is_integer() and distinct >= FEWEST_NUMBERS:
        return Number(name)
    if known.dtype == pl.String:
        return _of_strings(known, distinct)
    return Category(name) if distinct <= MOST_CATEGORIES else None


def _of_strings(known: pl.Series, distinct: int) -> Feature | None:
    for separator in SEPARATORS:
        tags = known.str.split(separator)
        several = float((tags.list.len() > 1).mean() or 0)  # type: ignore[arg-type]
        parts = tags.explode(empty_as_null=False, keep_nulls=False)
        if several >= 0.2 and parts.n_unique() <= min(MOST_TAGS, len(parts) // FEWEST_A_CATEGORY):
            return Tags(known.name, separator=separator)
    if distinct <= MOST_CATEGORIES and distinct * FEWEST_A_CATEGORY <= len(known):
        return Category(known.name)
    words = known.str.strip_chars().str.count_matches(r"\s+") + 1
    return Text(known.name) if float(words.mean() or 0) >= WORDS_A_TEXT else None  # type: ignore[arg-type]


def _of_lists(known: pl.Series) -> Feature | None:
    lists = known.arr.to_list() if isinstance(known.dtype, pl.Array) else known
    inner = lists.explode(empty_as_null=False, keep_nulls=False)
    if inner.dtype.is_float():
        widths = lists.list.len()
        return Vector(known.name) if widths.n_unique() == 1 and int(widths[0]) > 0 else None
    if inner.dtype == pl.String or inner.dtype.is_integer():
        return Tags(known.name) if 2 <= inner.n_unique() <= MOST_TAGS else None
    return None


def _renamed(feature: Feature, taken: set[str]) -> Feature:
    """The same feature under a name that no other has."""
    number = 2
    while (name := f"{feature.column}_{number}") in taken:
        number += 1
    return replace(feature, name=name)
