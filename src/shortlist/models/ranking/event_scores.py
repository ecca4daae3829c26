"""What a ranker says of the events of a dataset: for metrics of clicks and ratings, and for calibration."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch
from shortlist.errors import ConfigError
from shortlist.models.ranking.ranker import Ranker
from shortlist.training.batches import to_device

EVENT_BATCH = 4096  # events scored together; bounds the memory


@torch.inference_mode()
def score_events(ranker: Ranker, data: Dataset) -> Tensor:
    """A ranker's score of every event: the logit of a click, the predicted rating, the sum of objectives.

    Args:
        ranker: trained on single events, without scores of retrievers.
        data: any events; users and items that the ranker has not learned are unknown to it, and histories end
            before each event.

    Returns:
        `[events]` float32, in the order of the interactions.

    Raises:
        ConfigError: the ranker reads scores of retrievers.
        NotFittedError: the ranker is not trained.
    """
    return torch.cat([ranker(batch).float().cpu() for batch in _batches(ranker, data)])


@torch.inference_mode()
def predict_objectives(ranker: Ranker, data: Dataset) -> dict[str, Tensor]:
    """A ranker's prediction of every objective for every event.

    Args:
        ranker: trained with `objectives`.
        data: any events.

    Returns:
        For each objective `[events]` float32: the logit of a click, the value of a rating.

    Raises:
        ConfigError: the ranker has no objectives.
        NotFittedError: the ranker is not trained.
    """
    if ranker.objectives is None:
        raise ConfigError(
            "the ranker has a single objective", remedy="call score_events, or make it with objectives="
        )
    parts = [ranker.heads(ranker.inputs(batch)).float().cpu() for batch in _batches(ranker, data)]
    return dict(zip(ranker.objectives.losses, torch.cat(parts).T.contiguous(), strict=True))


def _batches(ranker: Ranker, data: Dataset) -> Iterator[Batch]:
    if ranker.scores:
        raise ConfigError(
            f"the ranker reads {ranker.scores[0]!r}, which single events do not have",
            remedy="score lists: ranker.score_candidates(lists.requests, lists.candidates)",
        )
    space = ranker.bound_to(data).fitted_space()
    items, device = torch.from_numpy(data.item_index), next(ranker.parameters()).device
    ranker.eval()
    for rows in torch.split(torch.arange(len(data)), EVENT_BATCH):
        requests = data.requests(rows, length=space.history_length)
        batch = {**space.query_batch(requests), **space.candidate_batch(items[rows])}
        yield to_device(batch, device)
