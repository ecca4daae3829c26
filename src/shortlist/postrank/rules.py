"""Rules of the business: what must not be shown, and what should be shown more."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import polars as pl
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, did_you_mean
from shortlist.postrank.checks import check_column, check_flag, check_number
from shortlist.postrank.columns import item_mask, item_numbers
from shortlist.postrank.predicate import parse_predicate
from shortlist.postrank.protocol import check_inputs
from shortlist.postrank.scale import rescored, unit_scores

How = Literal["multiply", "add"]


@dataclass(frozen=True)
class Exclude:
    """Drop items: some by id, those that meet a condition, or those that the user has had already.

    The settings add up. The order stays. A blocked id that the catalogue does not know is ignored, since
    it cannot be recommended; a condition that is null for an item does not drop it.

    Cost: O((candidates + history) x log) a request; the blocked ids are encoded in each call.

    Args:
        items: outside ids that are never shown.
        where: drops the items that meet it: SQL text over the item table, such as `"adult OR price > 20"`,
            or a Polars expression, which cannot be saved.
        seen: drops the items of the request's history.

    Raises:
        ConfigError: nothing is to be dropped, or the condition cannot be read.
    """

    items: Sequence[str | int] = ()
    where: str | pl.Expr | None = None
    seen: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "items", _ids(self.items))
        if self.where is not None:
            parse_predicate(self.where, stage="Exclude")
        check_flag(self.seen, field="seen", stage="Exclude")
        if not self.items and self.where is None and not self.seen:
            raise ConfigError("nothing to drop", where="Exclude", remedy="give items, where or seen=True")

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            SchemaError: the condition names a missing column.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Exclude")
        items = candidates.items.values
        dropped = torch.zeros_like(items, dtype=torch.bool)
        if self.items:
            blocked = torch.from_numpy(catalogue.vocabulary.encode(pl.Series(values=list(self.items))))
            dropped |= torch.isin(items, blocked.to(items.device))
        if self.where is not None:
            dropped |= item_mask(catalogue, self.where, stage="Exclude").to(items.device)[items]
        if self.seen:
            dropped |= _in_history(candidates, requests, num_items=len(catalogue))
        return candidates.keep(~dropped)


@dataclass(frozen=True)
class Boost:
    """Rescore items by a condition or a column and sort again.

    With `s` a score brought to [0, 1] within its request,

        "multiply": utility = s * (1 + by * x)
        "add":      utility = s + by * x

    where `x` is 1 for the items that meet `where` and 0 for the others, or the value of `column` brought
    to [0, 1] between its least and greatest value in the item table (0 where it is missing, or where all
    items have the same value). So `by=0.2` lifts by at most a fifth, and a negative `by` demotes.
    Multiplying respects relevance: it cannot lift the worst candidate, whose `s` is 0; adding can. Equal
    utilities keep the order. The new score is the utility; a column `boost` holds `by * x`.

    Cost: O(candidates x log candidates) a request, no loop.

    Args:
        where: SQL text over the item table, such as `"in_stock AND year >= 1990"`, or a Polars expression,
            which cannot be saved.
        column: a numeric or boolean column of the item table; give this or `where`.
        by: how much; 0 keeps the order exactly.
        how: `"multiply"` or `"add"`.

    Raises:
        ConfigError: both or neither of `where` and `column` are given, `by` is not a finite number or, for
            "multiply", below -1, or `how` is unknown.
    """

    where: str | pl.Expr | None = None
    column: str | None = None
    by: float = 0.2
    how: How = "multiply"

    def __post_init__(self) -> None:
        if (self.where is None) == (self.column is None):
            raise ConfigError(
                f"{'neither' if self.where is None else 'both'} of where and column given",
                where="Boost",
                remedy='give one of them, such as where="year >= 1990" or column="margin"',
            )
        if self.where is not None:
            parse_predicate(self.where, stage="Boost")
        if self.column is not None:
            check_column(self.column, field="column", stage="Boost")
        check_number(self.by, field="by", stage="Boost")
        if self.how not in get_args(How):
            raise ConfigError(
                f"how is {self.how!r}", where="Boost", remedy=did_you_mean(str(self.how), get_args(How))
            )
        if self.how == "multiply" and self.by < -1:
            raise ConfigError(
                f"by is {self.by}, which turns scores negative",
                where="Boost",
                remedy='give at least -1, or how="add"',
            )

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            SchemaError: the catalogue lacks a column, or it does not hold numbers.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Boost")
        if self.by == 0:
            return candidates
        items = candidates.items.values
        boost = self.by * self.strengths(catalogue).to(items.device)[items]
        scores = unit_scores(candidates)
        utility = scores * (1 + boost) if self.how == "multiply" else scores + boost
        return rescored(candidates, utility, boost=boost.float())

    def strengths(self, catalogue: Catalogue) -> Tensor:
        """The `x` of the formula for every item.

        Args:
            catalogue: the item table.

        Returns:
            `[num_items + 1]` float64 in [0, 1].

        Raises:
            SchemaError: the catalogue lacks a column, or it does not hold numbers.
        """
        if self.where is not None:
            return item_mask(catalogue, self.where, stage="Boost").double()
        assert self.column is not None  # one of the two is given; __post_init__ has seen to it
        return _spread_over_unit(item_numbers(catalogue, self.column))


def _ids(items: Sequence[str | int]) -> tuple[str | int, ...]:
    ids = tuple(items) if isinstance(items, Iterable) and not isinstance(items, str) else None
    kinds = {type(id_) for id_ in ids or ()}
    if ids is None or not (kinds <= {str} or kinds <= {int}):
        raise ConfigError(
            f"items is {str(items)[:60]!r}",
            where="Exclude",
            remedy="give a list of ids, all text or all integers",
        )
    return ids


def _spread_over_unit(numbers: Tensor) -> Tensor:
    present = numbers[~numbers.isnan()]
    if len(present) == 0 or present.min() == present.max():
        return torch.zeros_like(numbers)
    lowest, highest = present.min(), present.max()
    return ((numbers - lowest) / (highest - lowest)).nan_to_num(nan=0.0)


def _in_history(candidates: Candidates, requests: Requests, *, num_items: int) -> Tensor:
    """`[total]` bool, which candidates their own request's history holds."""
    history = requests.history.to(candidates.items.device)
    asked = candidates.row_ids() * num_items + candidates.items.values
    inside = (
        history.values < num_items
    )  # an index that the catalogue lacks must not reach the next row's keys
    had = history.row_ids() * num_items + history.values
    return torch.isin(asked, had[inside])
