"""Conditions on items that clients write: comparisons and a few functions, none of them dear."""

from __future__ import annotations

import re

from shortlist.errors import ConfigError, did_you_mean

# Words of SQL that a bracket may follow.
WORDS = ("and", "or", "not", "in", "between", "like", "ilike", "is", "case", "when", "then", "else")
# Functions whose result is no larger than what they are given.
FUNCTIONS = (
    "abs",
    "array_contains",
    "array_length",
    "cast",
    "ceil",
    "coalesce",
    "ends_with",
    "floor",
    "left",
    "length",
    "lower",
    "nullif",
    "right",
    "round",
    "starts_with",
    "strpos",
    "upper",
)

QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`""")
CALLS = re.compile(r"(\w+|\?)\s*\(")
HIDING = re.compile(r"--|/\*|\$")  # comments and other ways to quote, which could hide a call


def check_condition(where: str) -> None:
    """Refuse a condition that calls anything but a few functions.

    Polars would run any of its functions for a client, also those that make a text of any length.

    Args:
        where: SQL over the item columns.

    Raises:
        ConfigError: it calls another function.
    """
    bare = QUOTED.sub(lambda found: "''" if found[0][0] == "'" else "?", where)
    if (hiding := HIDING.search(bare)) is not None:
        raise ConfigError(
            f"{hiding[0]!r} cannot stand in a condition", where="where", remedy="leave comments out"
        )
    for name in CALLS.findall(bare):
        if name.lower() not in (*WORDS, *FUNCTIONS):
            called = "a quoted name" if name == "?" else f"the function {name!r}"
            remedy = did_you_mean(name, FUNCTIONS)
            raise ConfigError(f"{called} cannot be called in a condition", where="where", remedy=remedy)
