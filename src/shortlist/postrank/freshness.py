"""Newer items before older ones of the same relevance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.duration import parse_duration
from shortlist.data.requests import Requests
from shortlist.errors import SchemaError
from shortlist.postrank.checks import check_column, check_fraction
from shortlist.postrank.columns import item_times
from shortlist.postrank.protocol import check_inputs
from shortlist.postrank.scale import rescored, unit_scores

FIRST_SEEN = "first_seen"


@dataclass(frozen=True)
class Freshness:
    """Rescore by age and sort again.

    With `s` a score brought to [0, 1] within its request and `w` the strength,

        utility = s * ((1 - w) + w * 2^(-age / half_life))

    so an item never loses more than the share `w` of its score, however old it is: a classic that fits
    stays in reach. `age` is the request's time less the item's date. An item from the future has age 0. An
    item without a date gets the mean decay of the request's dated items, so that a gap in the table
    neither lifts it above them nor buries it. A request without a time (0) keeps its order. Equal
    utilities keep the order. The new score is the utility; a column `freshness` holds the decay, in [0, 1].

    Cost: O(candidates x log candidates) a request, no loop.

    Args:
        half_life: time after which the decay is one half: a whole number and `s`, `m` (minutes), `h`, `d`
            or `w`.
        strength: `w`, from 0 (the order stays exactly) to 1.
        column: of dates, times or whole seconds since 1970 in the item table; by default `first_seen`, the
            first time that the item was seen.

    Raises:
        ConfigError: the half-life is no length of time, or the strength outside [0, 1].
    """

    half_life: str = "30d"
    strength: float = 0.5
    column: str | None = None

    def __post_init__(self) -> None:
        parse_duration(self.half_life, field="half_life")
        check_fraction(self.strength, field="strength", stage="Freshness")
        if self.column is not None:
            check_column(self.column, field="column", stage="Freshness")

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            SchemaError: the catalogue lacks the column, or it holds no dates.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Freshness")
        if self.strength == 0:
            return candidates
        decay = self._decay(candidates, catalogue, requests)
        utility = unit_scores(candidates) * ((1 - self.strength) + self.strength * decay)
        return rescored(candidates, utility, freshness=decay.float())

    def _decay(self, candidates: Candidates, catalogue: Catalogue, requests: Requests) -> Tensor:
        """`[total]` float64 in [0, 1]."""
        seconds, dated = item_times(catalogue, self._column(catalogue))
        device = candidates.items.device
        items, rows = candidates.items.values, candidates.row_ids()
        now = requests.times.to(device)[rows]
        known = dated.to(device)[items] & (now != 0)
        age = (now - seconds.to(device)[items]).clamp(min=0).double()
        decay = torch.where(known, torch.exp2(-age / parse_duration(self.half_life)), 0.0)
        total = decay.new_zeros(len(candidates)).index_add_(0, rows, decay)
        count = decay.new_zeros(len(candidates)).index_add_(0, rows, known.double())
        mean = torch.where(count > 0, total / count.clamp(min=1), 1.0)
        return torch.where(known, decay, mean[rows])

    def _column(self, catalogue: Catalogue) -> str:
        if self.column is None and FIRST_SEEN not in catalogue.columns:
            raise SchemaError(
                f"the item table has no column {FIRST_SEEN!r}",
                where="Freshness",
                remedy='name a column of dates, such as column="release_date"',
            )
        return self.column or FIRST_SEEN
