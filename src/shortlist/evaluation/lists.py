"""Figures of the lists that users would see, for models and whole funnels alike."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from shortlist.data.dataset import Dataset
from shortlist.data.ragged import Ragged
from shortlist.data.rebinding import check_same_ids
from shortlist.errors import DataError
from shortlist.funnel.funnel import Funnel
from shortlist.metrics import Coverage, RankingMetrics
from shortlist.models.recommender import Recommender, fitted_data

REQUEST_BATCH = 1024  # requests answered together; bounds the memory


def evaluate_lists(
    model: Recommender | Funnel, test: Dataset, *, ks: Sequence[int] = (10, 100), exclude_seen: bool = True
) -> dict[str, float]:
    """Ask for lists and look where the items of the test events stand in them.

    Each positive event of the test part is a request of its own; an item that is not in the list, or not in
    the catalogue, is a miss. Equal scores stand in the order that the model gives them.

    Args:
        model: a trained model or a funnel.
        test: the test part of a split.
        ks: lengths of the lists to judge.
        exclude_seen: whether items of the user's past are left out of the lists.

    Returns:
        Hit rate (with one item wanted a request this is recall), precision, NDCG, MRR and coverage at each k.

    Raises:
        ConfigError: the test part belongs to other data than the model's.
        DataError: the test part has no positive event.
    """
    remedy = "use the train part of the split that gave this test part"
    learned = model.data if isinstance(model, Funnel) else fitted_data(model)
    check_same_ids(learned, test, what=f"this {type(model).__name__}", remedy=remedy)
    rows = torch.from_numpy(test.targets)
    if len(rows) == 0:
        raise DataError("the test part has no positive event", remedy="use another split or schema")
    targets, people = torch.from_numpy(test.item_index), torch.from_numpy(test.person_index)
    ranking, coverage = RankingMetrics(ks=ks), Coverage(len(test.item_vocabulary) - 1, ks=ks)
    for part in torch.split(rows, REQUEST_BATCH):
        exclude = test.seen.take(people[part]) if exclude_seen else None
        items, _ = model.retrieve(test.requests(part), max(ks), exclude=exclude)
        # An item outside the catalogue is wanted all the same, under a number that no list can hold.
        wanted = torch.where(targets[part] > 0, targets[part], len(test.item_vocabulary))
        ranking.update(items, Ragged.from_lengths(wanted, torch.ones_like(wanted)))
        coverage.update(items)
    return {**ranking.compute(), **coverage.compute()}
