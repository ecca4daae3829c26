"""The second stage: a model orders the candidates and keeps the best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shortlist.errors import BundleError
from shortlist.export.device.candidates import Candidates, best
from shortlist.export.device.inputs import Inputs, Request
from shortlist.export.device.models import ExportedModel
from shortlist.export.device.retrieval import Ranking
from shortlist.export.manifest import FETCH_AGAIN
from shortlist.export.tables import Float32Array


class Ranker:
    """A model that scores the candidates of a request.

    Args:
        model: reads the request's inputs, `items` and `scores`; gives scores to sort by and perhaps, as a
            second output, calibrated ones for the stages after.
        inputs: names of what it reads of the request.
        table: `[rows, width]` what it knows of each item, or None.
        scores: names of the retrievers whose scores it reads.
        keep: how many candidates go on.
    """

    def __init__(
        self,
        model: ExportedModel,
        inputs: Sequence[str],
        table: Float32Array | None,
        scores: Sequence[str],
        keep: int,
    ) -> None:
        self._model, self._inputs, self._table = model, tuple(inputs), table
        self._scores, self._keep = tuple(scores), keep

    def rank(
        self, candidates: Candidates, inputs: Inputs, request: Request, rankings: Mapping[str, Ranking]
    ) -> Candidates:
        """Score, sort and cut.

        Args:
            candidates: what retrieval found.
            inputs: of the export.
            request: who asks; where it wants more than `keep`, more go on.
            rankings: of each retriever, for the request.

        Returns:
            The best, best first, ties by lower row.

        Raises:
            BundleError: the model gives other than one score a candidate.
        """
        if len(candidates) == 0:
            return candidates
        rows = candidates.rows
        feeds = inputs.feeds(self._inputs, request)
        if self._table is not None:
            feeds["items"] = self._table[rows]
        if self._scores:
            feeds["scores"] = np.stack([rankings[name].scores(rows) for name in self._scores], axis=1)
        found = self._model.run(feeds)
        for values in found:
            if values.shape != rows.shape:
                raise BundleError(
                    f"the ranker gives shape {list(values.shape)} for {len(rows)} candidates",
                    where=self._model.where,
                    remedy=FETCH_AGAIN,
                )
        order = best(rows, found[0], max(self._keep, request.size))
        return Candidates(rows[order], found[-1][order])
