"""The second stage: a trained ranker orders the candidates and keeps the best."""

from __future__ import annotations

from dataclasses import dataclass

from shortlist.data.candidates import Candidates
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError
from shortlist.models.ranker import Ranker


@dataclass
class Scored:
    """Orders candidates by a ranker's score.

    Args:
        ranker: a trained Ranker.
        keep: how many of each request's candidates go on.

    Raises:
        ConfigError: `keep` is less than 1.
    """

    ranker: Ranker
    keep: int = 200

    def __post_init__(self) -> None:
        if self.keep < 1:
            raise ConfigError(
                f"keep must be at least 1, got {self.keep}", where="Scored", remedy="such as 200"
            )

    def rank(self, requests: Requests, candidates: Candidates) -> Candidates:
        """Score, sort and cut.

        Args:
            requests: who asks.
            candidates: what retrieval found.

        Returns:
            The best `keep` of each request, best first, with the ranker's scores.
        """
        scores = self.ranker.score_candidates(requests, candidates)
        return candidates.with_scores(scores, score_ranker=scores).sorted().top(self.keep)
