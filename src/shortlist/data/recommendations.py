"""The answer: what to show to each user, in outside ids, with the item's columns and the reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue


@dataclass(frozen=True, eq=False)
class Recommendations:
    """Ranked items for one or more users.

    Args:
        frame: one row a recommendation: the user id, `rank` from 1, the item id, `score`, the columns of the
            item table and perhaps `why`.
        user_id: name of the user id column.
        item_id: name of the item id column.
    """

    frame: pl.DataFrame
    user_id: str
    item_id: str

    def __len__(self) -> int:
        """The number of recommendations, of all users."""
        return len(self.frame)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One dict a recommendation."""
        return self.frame.iter_rows(named=True)

    def __repr__(self) -> str:
        return f"Recommendations({self.frame})"

    @property
    def items(self) -> list[Any]:
        """The item ids, best first, one user after another."""
        return self.frame[self.item_id].to_list()

    @property
    def scores(self) -> list[float]:
        """The scores, aligned with `items`."""
        return self.frame["score"].to_list()

    def of(self, user: str | int) -> Recommendations:
        """One user's part.

        Args:
            user: the id; a number written as a string (and the reverse) is understood.
        """
        users = self.frame[self.user_id].cast(pl.String)
        return Recommendations(self.frame.filter(users == str(user)), self.user_id, self.item_id)

    @classmethod
    def from_candidates(
        cls,
        candidates: Candidates,
        users: pl.Series,
        catalogue: Catalogue,
        *,
        item_id: str,
        why: pl.Series | None = None,
    ) -> Recommendations:
        """Turn a list of item indices a user into outside ids.

        Args:
            candidates: one row a user, best first.
            users: the users' ids.
            catalogue: the items.
            item_id: name of the item id column.
            why: one text a candidate, or None.
        """
        columns = {
            users.name: users.gather(candidates.row_ids().numpy()),
            "rank": (candidates.items.positions() + 1).numpy(),
            "score": candidates.scores.numpy(),
        }
        described = catalogue.items[candidates.items.values.numpy()]
        clashing = [name for name in described.columns if name in columns]
        frame = pl.DataFrame(columns).hstack(described.drop(clashing))
        if why is not None:
            frame = frame.with_columns(why.alias("why"))
        first = [users.name, "rank", item_id, "score"]
        return cls(frame.select(*first, pl.exclude(first)), users.name, item_id)
