"""Cleaning, one row at a time: what `shortlist.data.cleaning` must agree with."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime
from typing import Any


def clean(
    rows: list[dict[str, Any]], *, known: set[str] | None
) -> tuple[list[tuple[Any, ...]], dict[str, int]]:
    """Rows `user, item, time, rating, event` to the kept ones and the number dropped for each cause."""
    kept: list[tuple[Any, ...]] = []
    causes: Counter[str] = Counter()
    seen: set[tuple[Any, ...]] = set()
    for row in rows:
        cause = _fault(row, known)
        if cause is None:
            key = (row["user"], row["item"], _seconds(row["time"]), row["event"])
            if key in seen:
                cause = "the same event again"
            else:
                seen.add(key)
                kept.append((*key[:3], row["rating"], key[3]))
        if cause is not None:
            causes[cause] += 1
    return kept, dict(causes)


def _fault(row: dict[str, Any], known: set[str] | None) -> str | None:
    if row["user"] is None or row["user"].strip() == "":
        return "missing user id"
    if row["item"] is None:
        return "missing item id"
    if row["time"] is None:
        return "missing time"
    if _seconds(row["time"]) is None:
        return "unparsable time"
    if row["event"] is None:
        return "missing event type"
    if known is not None and row["event"] not in known:
        return "unknown event type"
    if row["rating"] is None:
        return "missing label"
    if not math.isfinite(row["rating"]):
        return "label is NaN or infinite"
    return None


def _seconds(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return math.floor(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())
