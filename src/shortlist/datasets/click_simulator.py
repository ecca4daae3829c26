"""Made-up users who click on ranked lists: what corrections of position bias are tested on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged, gather_windows
from shortlist.datasets.ranking_table import RankingTable
from shortlist.errors import ConfigError, DataError, ShapeError


class ClickModel(Protocol):
    """How somebody reads a list and where they click."""

    def clicks(self, attraction: Ragged, *, generator: torch.Generator) -> Tensor:
        """Draw clicks.

        Args:
            attraction: one row a session, its items from the top; `[total]` how likely each is clicked by
                somebody who looks at it.
            generator: of all draws.

        Returns:
            `[total]` bool.
        """
        ...


@dataclass(frozen=True)
class PositionBasedClicks:
    """Users who look at each position with a chance of its own, whatever they see at the others.

    Args:
        examination: the chance of each position, from the top; what is shown below is never looked at.

    Raises:
        ConfigError: there is no chance, or one is not within 0 and 1.

    Source: Richardson et al., Predicting clicks (WWW 2007); Craswell et al., An experimental comparison of
    click position-bias models (WSDM 2008).
    """

    examination: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.examination:
            raise ConfigError("examination is empty", remedy="pass the chance of each position")
        for chance in self.examination:
            _check_share("an examination", chance)

    @classmethod
    def falling(cls, positions: int, *, power: float = 1.0) -> PositionBasedClicks:
        """Users who look at position k, from 1, with a chance of `1 / k ** power`.

        Args:
            positions: how many there are.
            power: how steeply attention falls.
        """
        return cls(tuple((position + 1) ** -power for position in range(positions)))

    def clicks(self, attraction: Ragged, *, generator: torch.Generator) -> Tensor:
        """See `ClickModel.clicks`."""
        chances = torch.tensor([*self.examination, 0.0])
        looked_at = chances[attraction.positions().clamp(max=len(self.examination))]
        return torch.rand(len(looked_at), generator=generator) < looked_at * attraction.values


@dataclass(frozen=True)
class CascadeClicks:
    """Users who read from the top and leave: after a click that satisfied them, or for want of patience.

    Args:
        satisfaction: chance to leave after a click; 1 allows one click a session.
        patience: chance to read on after an item without a click.

    Raises:
        ConfigError: a chance is not within 0 and 1.

    Source: Craswell et al., An experimental comparison of click position-bias models (WSDM 2008); Chapelle
    and Zhang, A dynamic Bayesian network click model (WWW 2009).
    """

    satisfaction: float = 1.0
    patience: float = 1.0

    def __post_init__(self) -> None:
        _check_share("satisfaction", self.satisfaction)
        _check_share("patience", self.patience)

    def clicks(self, attraction: Ragged, *, generator: torch.Generator) -> Tensor:
        """See `ClickModel.clicks`."""
        wanted, leaving = torch.rand(2, len(attraction.values), generator=generator)
        would_click = wanted < attraction.values
        would_leave = leaving < torch.where(would_click, self.satisfaction, 1 - self.patience)
        # Nobody has left before an item if nobody left between the top of its list and the item above it.
        left = torch.cat([torch.zeros(1, dtype=torch.int64), would_leave.cumsum(0)])
        places = torch.arange(len(would_click))
        still_there = left[places] == left[places - attraction.positions()]
        clicks: Tensor = would_click & still_there
        return clicks


@dataclass(frozen=True, eq=False)
class SimulatedClicks:
    """A log of made-up sessions.

    Args:
        table: one list a session, its items from the top, with clicks as labels and with positions.
        documents: `[total]` int64, the row in the source table of each item shown.
    """

    table: RankingTable
    documents: Tensor


def simulate_clicks(
    table: RankingTable,
    scores: Tensor,
    *,
    user: ClickModel,
    sessions: int,
    shown: int = 10,
    noise: float = 0.1,
    randomised: float = 0.0,
    seed: int = 0,
) -> SimulatedClicks:
    """Show the lists of a table to made-up users and log what they click.

    Each session is a query of the table, drawn uniformly. A user who looks at an item of label y clicks with
    the chance `noise + (1 - noise) * (2**y - 1) / (2**highest - 1)`.

    Args:
        table: lists with grades; those without items are left out.
        scores: `[documents]`, by which the items were ranked when they were shown.
        user: how users read and click.
        sessions: how many.
        shown: how many items of a list are shown at most.
        noise: the chance of a click on an item of label 0 that is looked at.
        randomised: share of the sessions that show their items in a random order.
        seed: the same seed gives the same log.

    Returns:
        The log.

    Raises:
        ConfigError: a number is too small, or a share is not within 0 and 1.
        DataError: no list has an item or no label is above 0, or a label or score is not a number.
        ShapeError: there is not one score a document.
    """
    _check_share("noise", noise)
    _check_share("randomised", randomised)
    if min(sessions, shown) < 1:
        raise ConfigError(f"sessions is {sessions} and shown {shown}", remedy="pass at least 1 of each")
    attraction = noise + (1 - noise) * _worth(table, scores)
    generator = torch.Generator().manual_seed(seed)
    ranked = _ranked(Ragged(scores, table.offsets), shown)
    answerable = ranked.lengths.nonzero().flatten()
    chosen = answerable[torch.randint(len(answerable), (sessions,), generator=generator)]
    seen = _shuffled(ranked.take(chosen), randomised, generator)
    documents = seen.values
    clicks = user.clicks(Ragged(attraction[documents], seen.offsets), generator=generator)
    log = RankingTable(
        table.features[documents],
        clicks.float(),
        seen.offsets,
        tuple(table.queries[row] for row in chosen.tolist()),
        table.columns,
        positions=seen.positions(),
    )
    return SimulatedClicks(log, documents)


def _worth(table: RankingTable, scores: Tensor) -> Tensor:
    """`[documents]` from 0 for a label of 0 to 1 for the highest."""
    labels = table.labels
    if scores.shape != labels.shape:
        raise ShapeError(
            f"scores are {tuple(scores.shape)} for {len(labels)} documents",
            remedy="pass one score a document",
        )
    if not bool(scores.isfinite().all()):
        raise DataError("a score is not a finite number", remedy="rank by finite scores")
    if not bool(((labels >= 0) & labels.isfinite()).all()):
        raise DataError("a label is negative or not a number", remedy="pass grades from 0")
    if not bool((labels > 0).any()):
        raise DataError("no document has a label above 0", remedy="pass a table with relevant documents")
    gains = torch.exp2(labels.double()) - 1
    return (gains / gains.max()).float()


def _ranked(scores: Ragged, shown: int) -> Ragged:
    """The first documents of each list by falling score; ties in the table's order."""
    order = scores.values.argsort(descending=True, stable=True)
    order = order[scores.row_ids()[order].argsort(stable=True)]
    return gather_windows(order, scores.offsets[:-1], scores.lengths.clamp(max=shown))


def _shuffled(lists: Ragged, share: float, generator: torch.Generator) -> Ragged:
    """The same lists, some of them in a random order."""
    rows = lists.row_ids()
    random = torch.rand(len(lists), generator=generator) < share
    keys = torch.where(random[rows], torch.rand(len(rows), generator=generator), lists.positions().float())
    order = keys.argsort(stable=True)
    order = order[rows[order].argsort(stable=True)]
    return Ragged(lists.values[order], lists.offsets)


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ConfigError(f"{name} is {value}", remedy="pass a share from 0 to 1")
