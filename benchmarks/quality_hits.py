"""Hit rates and NDCG of single held-out events, as `quality` measures them on MovieLens-100K."""

from __future__ import annotations

import torch
from torch import Tensor

import shortlist as sl
from benchmarks.quality_filter import FilteredTowers
from shortlist.models import Recommender


def hit_rates(
    model: Recommender | sl.Funnel | FilteredTowers, test: sl.Dataset, *, seen_allowed: bool = False
) -> dict[str, float]:
    """Hit rates and NDCG of each test event's item, by the position in the model's list.

    Args:
        model: trained on the train part.
        test: the test part.
        seen_allowed: whether the user's train items stay in the lists; without them, the target itself stays.
    """
    rows = torch.from_numpy(test.targets)
    targets, people = torch.from_numpy(test.item_index)[rows], torch.from_numpy(test.person_index)[rows]
    exclude = None if seen_allowed else _without(test.seen.take(people), targets)
    places = []
    for part in torch.split(torch.arange(len(rows)), 2048):
        hidden = None if exclude is None else exclude.take(part)
        items, _ = model.retrieve(test.requests(rows[part]), 100, exclude=hidden)
        found = items == targets[part][:, None]
        places.append(torch.where(found.any(1), found.float().argmax(1), 10**6))
    place = torch.cat(places)
    return {
        "hr10": float((place < 10).float().mean()),
        "hr100": float((place < 100).float().mean()),
        "ndcg10": float(torch.where(place < 10, 1 / torch.log2(place + 2.0), 0.0).mean()),
    }


def _without(lists: sl.Ragged, targets: Tensor) -> sl.Ragged:
    kept = lists.values != targets[lists.row_ids()]
    return sl.Ragged.from_lengths(
        lists.values[kept], torch.bincount(lists.row_ids()[kept], minlength=len(lists))
    )
