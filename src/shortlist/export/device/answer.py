"""The answer: what to show, in outside ids, with the item's columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shortlist.export.device.items import Id


@dataclass(frozen=True)
class Recommended:
    """A list of items, best first.

    Args:
        items: the ids.
        scores: aligned with `items`; higher is better.
        columns: the item table's columns by name, aligned with `items`.
    """

    items: list[Id]
    scores: list[float]
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        """The number of items."""
        return len(self.items)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dict an item: `item`, `score` and the columns."""
        for place, (item, score) in enumerate(zip(self.items, self.scores, strict=True)):
            shown = {name: values[place] for name, values in self.columns.items()}
            yield {**shown, "item": item, "score": score}
