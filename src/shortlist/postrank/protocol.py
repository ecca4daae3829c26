"""What a post-ranker is, and what every one of them checks first."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError, ShapeError


@runtime_checkable
class PostRanker(Protocol):
    """A last change to a ranked list: it rescores, drops or reorders.

    The funnel calls its post-rankers one after another and cuts to `size` at the end, so none of them
    cuts by itself: what is behind the first `size` is what a later one can refill from. Put them in this
    order: those that drop (`Exclude`), those that rescore (`Boost`, `Freshness`; they sort by score and
    so undo an earlier reordering), those that reorder (`Diversity`, `Explore`), and `Cap` last.

    Any object with this method can stand in a funnel. A result must be a subset of the candidates without
    duplicates, and must not depend on which other requests are in the batch.
    """

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int
    ) -> Candidates:
        """Change the lists of a batch.

        Args:
            candidates: `[batch]` lists, best first.
            size: how many items of each list will be shown.
            catalogue: the item table and perhaps the item vectors.
            requests: `[batch]`, who asks, when, and after which history.
            seed: of all randomness; the same seed gives the same lists.

        Returns:
            Some or all of the candidates of each request, in the new order.
        """
        ...


def check_inputs(
    candidates: Candidates, size: int, catalogue: Catalogue, requests: Requests, *, stage: str
) -> None:
    """Refuse what no post-ranker can work with.

    Args:
        candidates: the lists.
        size: items to show.
        catalogue: must cover the candidates' item indices.
        requests: must be as many as the lists.
        stage: name of the post-ranker, for the messages.

    Raises:
        ConfigError: the size is below 1.
        ShapeError: lists, requests and catalogue do not fit together.
        DataError: a score is NaN or infinite.
    """
    if size < 1:
        raise ConfigError(f"size is {size}", where=stage, remedy="ask for at least one item")
    if len(candidates) != len(requests):
        raise ShapeError(
            f"{len(candidates)} candidate lists for {len(requests)} requests",
            where=stage,
            remedy="pass the requests that the candidates were found for",
        )
    items = candidates.items.values
    if len(items) == 0:
        return
    lowest, highest = int(items.min()), int(items.max())
    if lowest < 1 or highest >= len(catalogue):
        raise ShapeError(
            f"item index {lowest if lowest < 1 else highest} is outside 1..{len(catalogue) - 1}",
            where=stage,
            remedy="pass the catalogue of the model that found the candidates",
        )
    # A finite sum has finite terms; another may have too, and they are looked at one by one.
    if math.isfinite(float(candidates.scores.sum())):
        return
    wrong = ~torch.isfinite(candidates.scores)
    if bool(wrong.any()):
        first = int(wrong.nonzero()[0])
        row = int(candidates.row_ids()[first])
        raise DataError(
            f"the score of item index {int(items[first])} is {float(candidates.scores[first])}",
            where=f"{stage}, request {row} of the batch",
            remedy="a ranker must give finite scores; look for missing features or a diverged training",
        )
