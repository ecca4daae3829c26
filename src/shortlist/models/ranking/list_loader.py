"""Candidate lists with labels, in batches of requests: what a ranker learns the retrievers' mistakes from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.feature_space import Batch, FeatureSpace
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError, did_you_mean
from shortlist.kernels.lists import list_relative_scores


@dataclass(frozen=True, eq=False)
class RankingLists:
    """Requests, the candidates that were found for them, and which of these the user then wanted.

    Args:
        requests: who asked.
        candidates: one row a request.
        labels: `[total]` float32, aligned with the candidates; above 0 for what the user wanted.

    Raises:
        DataError: the parts do not fit together.
    """

    requests: Requests
    candidates: Candidates
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.requests) != len(self.candidates) or len(self.labels) != len(self.candidates.scores):
            raise DataError(
                "requests, candidates and labels do not fit together", remedy="one label a candidate"
            )

    def __len__(self) -> int:
        return len(self.requests)

    def take(self, rows: Tensor) -> RankingLists:
        """The lists of some requests.

        Args:
            rows: `[n]` int64 request numbers.
        """
        offsets, lengths = self.candidates.items.offsets, self.candidates.lengths
        positions = Ragged(torch.arange(int(offsets[-1])), offsets).take(rows).values
        return RankingLists(
            self.requests.take(rows), self.candidates.take(positions, lengths[rows]), self.labels[positions]
        )

    def labelled(self) -> RankingLists:
        """The lists with a label above 0; the others would teach nothing."""
        return self.take(torch.unique(self.candidates.row_ids()[self.labels > 0]))

    @classmethod
    def concatenate(cls, parts: Sequence[RankingLists]) -> RankingLists:
        """Stack lists, one part after another."""
        return cls(
            Requests.concatenate([part.requests for part in parts]),
            Candidates.concatenate([part.candidates for part in parts]),
            torch.cat([part.labels for part in parts]),
        )


class ListLoader:
    """Ranking lists in batches of requests, in an order of its own every epoch.

    Args:
        lists: what to go through.
        space: which features a batch holds.
        scores: names of the candidates' score features.
        batch_size: requests a batch.
        negatives: how many candidates that were not wanted a list keeps, drawn anew every epoch.
        seed: of the order and the draws.

    Raises:
        ConfigError: the batch size or the number of negatives is less than 1.
        DataError: no candidate has a label above 0.
    """

    def __init__(
        self,
        lists: RankingLists,
        space: FeatureSpace,
        *,
        scores: Sequence[str],
        batch_size: int,
        negatives: int,
        seed: int = 0,
    ) -> None:
        if min(batch_size, negatives) < 1:
            raise ConfigError(
                f"batch_size is {batch_size} and negatives {negatives}", remedy="give at least 1, such as 64"
            )
        if not bool((lists.labels > 0).any()):
            raise DataError(
                "none of the candidates was wanted, so there is nothing to learn",
                remedy="retrieve more candidates, or hold out more events",
            )
        self.lists, self.space = lists, space
        self.batch_size, self.negatives, self.seed = batch_size, negatives, seed
        # Scores are relative to the whole list, so they are worked out before negatives are drawn.
        self.relative = relative_columns(lists.candidates, scores)

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        return -(-len(self.lists) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        """Go through all requests once.

        Args:
            number: the epoch's number, from 0; decides the order.
            start: first batch.
        """
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + number)
        order = torch.randperm(len(self.lists), generator=generator)
        drawn = self._draw(generator)
        items = self.lists.candidates.items.values
        for first in range(start * self.batch_size, len(order), self.batch_size):
            rows = order[first : first + self.batch_size]
            chosen = drawn.take(rows)
            yield _features(self.lists.requests.take(rows), items[chosen.values], self.space) | {
                "row": chosen.row_ids(),
                "scores": self.relative[chosen.values],
                "label": self.lists.labels[chosen.values],
            }

    def _draw(self, generator: torch.Generator) -> Ragged:
        """For each list, the positions of its wanted candidates and of some others."""
        rows, wanted = self.lists.candidates.row_ids(), self.lists.labels > 0
        lottery = torch.rand(len(rows), generator=generator) - wanted.float()  # the wanted come first
        order = torch.argsort(lottery)
        order = order[torch.argsort(rows[order], stable=True)]
        per_list = torch.bincount(rows[wanted], minlength=len(self.lists)) + self.negatives
        kept = self.lists.candidates.items.positions() < per_list[rows]
        return Ragged.from_lengths(order[kept], torch.bincount(rows[kept], minlength=len(self.lists)))


def list_batch(
    requests: Requests, candidates: Candidates, space: FeatureSpace, scores: Sequence[str]
) -> Batch:
    """The features of some requests and of all their candidates.

    Args:
        requests: who asks.
        candidates: one row a request.
        space: which features.
        scores: names of the candidates' score features.

    Returns:
        The query features, one row a request; the candidate features, one row a candidate; `row`, `[total]`
        int64, the request of each candidate; and `scores`, see `relative_columns`.
    """
    features = _features(requests, candidates.items.values, space)
    return features | {"row": candidates.row_ids(), "scores": relative_columns(candidates, scores)}


def _features(requests: Requests, items: Tensor, space: FeatureSpace) -> Batch:
    return {**space.query_batch(requests), **space.candidate_batch(items)}


def relative_columns(candidates: Candidates, names: Sequence[str]) -> Tensor:
    """Scores in the light of the other candidates of the same request, on a scale that all models share.

    Args:
        candidates: one row a request.
        names: of the score features.

    Returns:
        `[total, 3 * len(names)]`, for each score feature: the score less the request's mean over its
        deviation; the logarithm of the rank, from 1, over 5; and the reciprocal of the rank.
    """
    columns = torch.empty(len(candidates.scores), 3 * len(names))
    for number, name in enumerate(names):
        scores = _score(candidates, name).float()
        list_relative_scores(scores, candidates.items.offsets, columns, 3 * number)
    return columns


def _score(candidates: Candidates, name: str) -> Tensor:
    if name not in candidates.features:
        raise ConfigError(
            f"the candidates have no feature {name!r}",
            where="scores of the Ranker",
            remedy=did_you_mean(name, candidates.features),
        )
    return candidates.features[name]
