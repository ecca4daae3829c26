"""The second stage: a trained ranker orders the candidates and keeps the best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Unpack

import torch

from shortlist.calibration import Calibrator
from shortlist.data.candidates import Candidates
from shortlist.data.dataset import Dataset
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, DataError, NotFittedError
from shortlist.funnel.retrieve import Retriever, retrieve
from shortlist.models.model import TrainingOptions
from shortlist.models.ranking.boosted_ranker import BoostedRanker
from shortlist.models.ranking.list_loader import RankingLists
from shortlist.models.ranking.ranker import Ranker
from shortlist.training import TrainingHistory

REQUEST_BATCH = 256  # requests retrieved together; bounds the memory


@dataclass
class Scored:
    """Orders candidates by a ranker's score.

    Args:
        ranker: a trained Ranker or BoostedRanker.
        keep: how many of each request's candidates go on; more where more are asked for.
        calibration: fitted; turns the scores into probabilities for the stages after. The order is the
            ranker's all the same. Give it as `calibration=`.

    Raises:
        ConfigError: `keep` is less than 1.
        NotFittedError: the calibration was not fitted.
    """

    ranker: Ranker | BoostedRanker
    keep: int = 200
    calibration: Calibrator | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.keep, int) or self.keep < 1:
            raise ConfigError(
                f"keep must be a whole number from 1, got {self.keep!r}", where="Scored", remedy="such as 200"
            )
        if self.calibration is not None and not self.calibration.arrays:
            raise NotFittedError(
                f"the calibration {type(self.calibration).__name__} has seen no labels yet",
                where="Scored",
                remedy="call its fit(scores, labels) first",
            )

    def rank(self, requests: Requests, candidates: Candidates, *, at_least: int = 0) -> Candidates:
        """Score, sort and cut.

        Args:
            requests: who asks.
            candidates: what retrieval found.
            at_least: how many of each request go on where `keep` is smaller.

        Returns:
            The best `keep` of each request, best first, with the ranker's scores, calibrated where there is a
            calibration; `score_ranker` holds what the ranker said.
        """
        scores = self.ranker.score_candidates(requests, candidates)
        best = candidates.with_scores(scores, score_ranker=scores).best(max(self.keep, at_least))
        return best if self.calibration is None else best.with_scores(self.calibration(best.scores))


def fit(
    ranker: Ranker | BoostedRanker,
    retrievers: Sequence[Retriever],
    recent: Dataset,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    seed: int = 0,
    **options: Unpack[TrainingOptions],
) -> TrainingHistory:
    """Train a ranker on what retrievers find for recent events.

    The retrievers must not have seen these events, or the ranker learns to trust scores that are too good:

        earlier, recent = train.split_leave_last_out(count=5)
        sl.rank.fit(ranker, [sl.retrieve.Nearest(EASE().fit(earlier))], recent)
        # The funnel then uses a retriever of its own that knows the recent events too.
        funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(EASE().fit(train))], rank=sl.rank.Scored(ranker))

    Args:
        ranker: to be trained.
        retrievers: trained on the part before.
        recent: the test part of a split; its positive events are the labels.
        epochs: how often a Ranker goes through the lists; trees see them once.
        batch_size: requests a step, of a Ranker.
        seed: of the initial weights, the order and dropout, or of what is held out for trees.
        **options: of a Ranker, see `shortlist.training.fit`.

    Returns:
        Loss and seconds of each epoch; for trees see `BoostedRanker.fit_lists`.

    Raises:
        ConfigError: a retriever was trained on other data than the part before, or trees are given an option.
        DataError: `recent` is no test part, or the retrievers found none of its items.
    """
    if recent.past is None:
        raise DataError(
            "the events to rank must be the test part of a split",
            remedy="earlier, recent = train.split_leave_last_out(count=5), and pass recent",
        )
    lists = ranking_lists(retrievers, recent)
    if isinstance(ranker, BoostedRanker):
        if options:
            raise ConfigError(
                f"trees are not trained with {', '.join(options)}",
                where="rank.fit",
                remedy="set trees=, num_leaves= and learning_rate= of the BoostedRanker",
            )
        return ranker.fit_lists(recent.past, lists, seed=seed)
    return ranker.fit_lists(recent.past, lists, epochs=epochs, batch_size=batch_size, seed=seed, **options)


def ranking_lists(retrievers: Sequence[Retriever], recent: Dataset, *, every: bool = False) -> RankingLists:
    """What retrievers find for the positive events of a test part, labelled with the item of the event.

    Args:
        retrievers: trained on the part before.
        recent: the test part of a split.
        every: whether lists that do not hold their event's item are kept. A ranker would learn nothing from
            them; a calibration that is to say how often a candidate is wanted has to count them.

    Returns:
        One list an event, of those that are kept.

    Raises:
        ConfigError: a retriever was trained on other data than the part before.
    """
    retrievers = [each.fit(recent if recent.past is None else recent.past) for each in retrievers]
    targets = torch.from_numpy(recent.item_index)
    found = []
    with torch.inference_mode():
        for rows in torch.split(torch.from_numpy(recent.targets), REQUEST_BATCH):
            requests = recent.requests(rows)
            candidates = retrieve(retrievers, requests, exclude=requests.history)
            labels = (candidates.items.values == targets[rows][candidates.row_ids()]).float()
            lists = RankingLists(requests, candidates, labels)
            found.append(lists if every else lists.labelled())
    return RankingLists.concatenate(found)
