"""A small shop whose tables hold every kind of column, whole and divided in two."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

import shortlist as sl

EVENTS = {
    "view": sl.EventType(weight=0.5, label=False),
    "buy": sl.EventType(weight=2.0),
    "return": sl.EventType(weight=0.0, negative=True),
    "click": sl.EventType(history=False),
}
SCHEMA = sl.Schema("user", "item", timestamp="time", event="event", events=EVENTS)


def interactions(rows: int = 60, *, seed: int = 0) -> pl.DataFrame:
    """Events of 6 users with 8 items at 20 moments, so that many fall on one moment."""
    rng = np.random.default_rng(seed)
    devices = np.array(["phone", "laptop", None], dtype=object)
    return pl.DataFrame(
        {
            "user": rng.choice([f"u{n}" for n in range(6)], rows),
            "item": rng.integers(100, 108, rows),
            "time": rng.integers(1_700_000_000, 1_700_000_020, rows),
            "event": rng.choice(list(EVENTS), rows, p=[0.4, 0.4, 0.1, 0.1]),
            "device": pl.Series(rng.choice(devices, rows).tolist(), dtype=pl.String),
            "temperature": pl.Series(
                [None if x < 0.1 else float(x) * 30 for x in rng.random(rows)], dtype=pl.Float64
            ),
        }
    )


def users() -> pl.DataFrame:
    """A table of users that lacks one who acts, and knows one who never does."""
    return pl.DataFrame({"user": ["u0", "u1", "u2", "u3", "u4", "u9"], "age": [20, 31, None, 45, 20, 99]})


def items() -> pl.DataFrame:
    """A table of items that lacks one with events, and knows one without."""
    return pl.DataFrame(
        {
            "item": [100, 101, 102, 103, 104, 105, 106, 199],
            "title": ["Red Shoes", "red hat", None, "The red, red hat!", "Blue", "", "hat", "never sold"],
            "price": [10.0, 12.5, float("nan"), 30.0, None, 10.0, 99.0, 1e6],
            "genres": ["a|b", "b", "", None, "a|c", "c", "b|a", "z"],
            "made": [date(2020, 1, day) for day in range(1, 9)],
            "image": [
                [1.0, 0.0],
                [0.0, 1.0],
                None,
                [0.5, 0.5],
                [1.0, 1.0],
                [0.0, 0.0],
                [2.0, 1.0],
                [3.0, 3.0],
            ],
        }
    )


def shop(rows: int = 60, *, seed: int = 0) -> sl.Dataset:
    """The three tables together."""
    return sl.Dataset(interactions(rows, seed=seed), SCHEMA, users=users(), items=items(), name="shop")
