"""Whether an export answers as the funnel does: the same requests through both, before it is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.export.asked import AskedRequests
from shortlist.export.contents import Contents
from shortlist.export.feeds import Session, feeds_of
from shortlist.export.litert import FlatbufferSession
from shortlist.export.manifest import DeviceRanker, DeviceRetriever
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.retrieve import retrieve
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower

COMPARED = 12  # items of a list
RANKED_REQUESTS = 24  # each goes through the ranker by itself
FLATBUFFER_REQUESTS = 48  # as many through a flatbuffer; the last one has no history
# Sums in another order, in float32; a real mistake is many times as large.
TOLERANCE = 2e-4

Tables = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class StageCheck:
    """How a stage's lists compare with the funnel's.

    Args:
        stage: a retriever's name, or `"rank"`.
        requests: how many were compared.
        overlap: mean share of the funnel's first twelve items that are among the export's.
        recall: of retrievers, how often what the user did next is among the export's first twelve; what it
            was trained on is among it, so only the difference to `recall_before` says something.
        recall_before: how often it is among the funnel's.
    """

    stage: str
    requests: int
    overlap: float
    recall: float | None = None
    recall_before: float | None = None


class Verifier:
    """The original answers to some requests, and the comparison with them.

    Args:
        funnel: the original.
        contents: the models and their inputs.
        retrievers: of the export.
        ranker: of the export, or None.
        asked: the requests.
        place: `[num_items]` int64, the device row of each item.
    """

    def __init__(
        self,
        funnel: Funnel,
        contents: Contents,
        retrievers: Sequence[DeviceRetriever],
        ranker: DeviceRanker | None,
        asked: AskedRequests,
        place: Tensor,
    ) -> None:
        self.funnel, self.contents, self.ranker = funnel, contents, ranker
        self.asked, self.place = asked, place
        self.nearest = [each for each in retrievers if each.model is not None]
        self.sessions = {name: Session(model) for name, model in contents.models.items()}
        self.scores = {each.name: self._original(each) for each in self.nearest}
        if ranker is not None:
            self._prepare_ranking()

    def check(self, tables: Tables, *, exact: bool = False) -> list[StageCheck]:
        """Compare every stage.

        Args:
            tables: as a device decodes them.
            exact: whether the lists must be the same, but for ties.

        Raises:
            ConfigError: they are not.
        """
        checks = [self._check_retriever(each, tables, exact) for each in self.nearest]
        for each in self.nearest if exact else ():
            self._check_flatbuffer(each, tables)
        return checks + ([] if self.ranker is None else [self._check_ranker(self.ranker, tables, exact)])

    def _original(self, retriever: DeviceRetriever) -> NDArray[np.float32]:
        """`[requests, count]` the model's scores of the device's items, -inf for those of the history."""
        model = self._model(retriever)
        with torch.inference_mode():
            queries = model.embed_queries(self.asked.requests).cpu()
            vectors = model.item_vectors[torch.from_numpy(self.contents.rows[1:])].float().cpu()
            return self._without_history((queries @ vectors.T).numpy())

    def _model(self, retriever: DeviceRetriever) -> TwoTower | Sequential:
        found = next(each for each in self.funnel.retrievers if each.name == retriever.name).model
        assert isinstance(found, TwoTower | Sequential)
        return found

    def _without_history(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        history = self.asked.requests.history
        scores[history.row_ids().numpy(), self.place[history.values].numpy() - 1] = -np.inf
        return scores

    def _check_retriever(self, retriever: DeviceRetriever, tables: Tables, exact: bool) -> StageCheck:
        assert retriever.model is not None
        queries = self._queries(retriever, tables)
        found = self._without_history(queries @ tables[retriever.table][1:].T)
        original = self.scores[retriever.name]
        if exact:
            for before, after in zip(original, found, strict=True):
                _check_same(before, after, stage=f"retriever {retriever.name!r}")
        ours, theirs = _best(found), _best(original)
        wanted = self.place[self.asked.wanted].numpy() - 1
        some = wanted >= 0
        return StageCheck(
            retriever.name,
            len(found),
            _overlap(ours, theirs),
            recall=_share((ours == wanted[:, None]).any(1)[some]),
            recall_before=_share((theirs == wanted[:, None]).any(1)[some]),
        )

    def _queries(self, retriever: DeviceRetriever, tables: Tables) -> NDArray[np.float32]:
        """`[requests, dim]` what the exported model says."""
        assert retriever.model is not None
        inputs = [self.contents.inputs[name] for name in retriever.inputs]
        session, asked = self.sessions[retriever.model], self.asked.requests
        if not isinstance(self._model(retriever), Sequential):
            return session(feeds_of(inputs, tables, asked, self.place))[0]
        each = (asked.take(torch.tensor([row])) for row in range(len(asked)))  # it takes one person at a time
        return np.concatenate([session(feeds_of(inputs, tables, one, self.place))[0] for one in each])

    def _check_flatbuffer(self, retriever: DeviceRetriever, tables: Tables) -> None:
        """Refuse a flatbuffer that answers otherwise; it takes one request at a time."""
        assert retriever.model is not None
        if retriever.model not in self.contents.flatbuffers:
            return
        session = FlatbufferSession(self.contents.flatbuffers[retriever.model])
        inputs = [self.contents.inputs[name] for name in retriever.inputs]
        original, history = self.scores[retriever.name], self.asked.requests.history
        for row in range(len(original))[-FLATBUFFER_REQUESTS:]:
            asked = self.asked.requests.take(torch.tensor([row]))
            query = session(feeds_of(inputs, tables, asked, self.place, fixed=True))
            found = (query @ tables[retriever.table][1:].T)[0]
            own = history.values[history.offsets[row] : history.offsets[row + 1]]
            found[self.place[own].numpy() - 1] = -np.inf
            _check_same(original[row], found, stage=f"flatbuffer of retriever {retriever.name!r}")

    def _prepare_ranking(self) -> None:
        assert self.funnel.rank is not None
        self.few = self.asked.head(RANKED_REQUESTS)
        allowed = self.place > 0
        with torch.inference_mode():
            self.candidates = retrieve(
                self.funnel.retrievers, self.few, at_least=COMPARED, exclude=self.few.history, where=allowed
            )
            self.ranked = self.funnel.rank.ranker.score_candidates(self.few, self.candidates)

    def _check_ranker(self, ranker: DeviceRanker, tables: Tables, exact: bool) -> StageCheck:
        inputs = [self.contents.inputs[name] for name in ranker.inputs]
        bounds, candidates = self.candidates.items.offsets.tolist(), self.candidates
        raw = [candidates.features[f"score_{name}"] for name in ranker.scores]
        overlaps = []
        for row in range(len(self.few)):
            part = slice(bounds[row], bounds[row + 1])
            if part.start == part.stop:
                continue
            feeds = feeds_of(inputs, tables, self.few.take(torch.tensor([row])), self.place)
            if ranker.table is not None:
                rows = self.place[candidates.items.values[part]].numpy()
                feeds["items"] = tables[ranker.table][rows]
            if raw:
                feeds["scores"] = torch.stack([each[part] for each in raw], dim=1).float().numpy()
            outputs, original = self.sessions[ranker.model](feeds), self.ranked[part].numpy()
            found = outputs[0]
            if exact:
                _check_same(original, found, stage="rank")
                self._check_calibration(outputs)
            overlaps.append(_overlap(_best(found[None]), _best(original[None])))
        return StageCheck("rank", len(overlaps), float(np.mean(overlaps)) if overlaps else 1.0)

    def _check_calibration(self, outputs: Sequence[NDArray[np.float32]]) -> None:
        assert self.funnel.rank is not None
        calibration = self.funnel.rank.calibration
        if calibration is None:
            return
        expected = calibration(torch.from_numpy(outputs[0])).numpy()
        if not np.allclose(outputs[1], expected, rtol=0, atol=TOLERANCE):
            raise _otherwise("calibration gives other probabilities")


def _best(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """`[rows, up to 12]` the places of the best, -1 where a score is that of nothing; ties by place."""
    width = min(COMPARED, scores.shape[1])
    best = np.full((len(scores), width), -1)
    for row, some in enumerate(scores if width else ()):
        # Only what reaches the last of the best is sorted, not the whole catalogue.
        found = np.flatnonzero((some >= np.partition(some, -width)[-width]) & np.isfinite(some))
        order = found[np.argsort(-some[found], kind="stable")][:width]
        best[row, : len(order)] = order
    return best


def _overlap(ours: NDArray[np.int64], theirs: NDArray[np.int64]) -> float:
    common = ((ours[:, :, None] == theirs[:, None, :]) & (theirs[:, None, :] >= 0)).any(1).sum(1)
    return float((common / np.maximum((theirs >= 0).sum(1), 1)).mean())


def _share(hits: NDArray[np.bool_]) -> float | None:
    return float(hits.mean()) if len(hits) else None


def _check_same(original: NDArray[np.float32], found: NDArray[np.float32], *, stage: str) -> None:
    """Refuse a list that is not the original's, but for items whose scores are equal up to rounding."""
    ours, theirs = _best(found[None])[0], _best(original[None])[0]
    ours, theirs = ours[ours >= 0], theirs[theirs >= 0]
    scale = np.abs(original[np.isfinite(original)]).max(initial=1e-6)
    same = len(ours) == len(theirs) and np.allclose(
        original[ours], original[theirs], rtol=0, atol=TOLERANCE * scale
    )
    if not same:
        raise _otherwise(f"{stage} gives other items")


def _otherwise(what: str) -> ConfigError:
    return ConfigError(
        f"the exported {what} than the original",
        where="export",
        remedy="nothing was written; please report it with the model's configuration",
    )
