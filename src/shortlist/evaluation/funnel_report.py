"""Where a funnel loses the items that users wanted: the share of targets that survives each stage."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.rebinding import check_same_ids
from shortlist.errors import DataError
from shortlist.funnel.funnel import REQUEST_BATCH, Funnel


@dataclass(frozen=True)
class StageLoss:
    """One stage's part in the loss.

    Args:
        stage: its name.
        kept: share of all targets that are still there after the stage.
        lost: share of all targets that the stage dropped.
        size: mean number of candidates after the stage.
    """

    stage: str
    kept: float
    lost: float
    size: float


@dataclass(frozen=True)
class FunnelReport:
    """The targets' way through the funnel; the losses of all stages and `kept` of the last add up to 1.

    Args:
        stages: from `possible` (targets that may be recommended at all) to the final list.
        targets: number of target events.
    """

    stages: tuple[StageLoss, ...]
    targets: int

    def __str__(self) -> str:
        lines = [f"{'stage':<12} {'size':>8} {'kept':>7} {'lost':>7}   of {self.targets:,} targets"]
        lines += [f"{s.stage:<12} {s.size:>8.1f} {s.kept:>7.1%} {s.lost:>7.1%}" for s in self.stages]
        return "\n".join(lines)


def funnel_report(funnel: Funnel, test: Dataset, *, exclude_seen: bool = True) -> FunnelReport:
    """Attribute the loss of relevant items to the stages of a funnel.

    Args:
        funnel: the funnel.
        test: the test part; every positive event is a target of its own.
        exclude_seen: whether items of the user's past are kept out of the lists; targets among them are then
            impossible, and so are targets that are not in the catalogue.

    Returns:
        The share of targets kept and lost by each stage.

    Raises:
        ConfigError: the test part belongs to other data than the funnel's.
        DataError: the test part has no positive event.
    """
    remedy = "use the train part of the split that gave this test part"
    check_same_ids(funnel.data, test, what="this Funnel", remedy=remedy)
    rows = torch.from_numpy(test.targets)
    if len(rows) == 0:
        raise DataError("the test part has no positive event", remedy="use another split or schema")
    targets = torch.from_numpy(test.item_index)[rows]
    people = torch.from_numpy(test.person_index)[rows]
    possible = targets > 0
    if exclude_seen:
        possible &= ~_contains(test.seen.take(people), targets)
    kept: dict[str, float] = {}
    sizes: dict[str, float] = {}
    for part in torch.split(torch.arange(len(rows)), REQUEST_BATCH):
        exclude = test.seen.take(people[part]) if exclude_seen else None
        trace = funnel.run(test.requests(rows[part]), exclude=exclude)
        for name, candidates in trace.stages:
            hits = _contains(candidates.items, targets[part]) & possible[part]
            kept[name] = kept.get(name, 0.0) + float(hits.sum())
            sizes[name] = sizes.get(name, 0.0) + float(candidates.lengths.sum())
    return _report(len(rows), float(possible.sum()), kept, sizes, len(test.item_vocabulary) - 1)


def _report(
    total: int, possible: float, kept: dict[str, float], sizes: dict[str, float], catalogue: int
) -> FunnelReport:
    stages = [StageLoss("possible", possible / total, 1 - possible / total, catalogue)]
    before = possible
    for name, count in kept.items():
        stages.append(StageLoss(name, count / total, (before - count) / total, sizes[name] / total))
        before = count
    return FunnelReport(tuple(stages), total)


def _contains(lists: Ragged, targets: Tensor) -> Tensor:
    """`[batch]` bool: whether each row of some lists holds the row's target."""
    hits = lists.values == targets[lists.row_ids()]
    found = torch.zeros(len(targets), dtype=torch.bool)
    found[lists.row_ids()[hits]] = True
    return found
