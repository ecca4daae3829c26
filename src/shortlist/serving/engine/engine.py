"""A funnel that answers batches of requests in time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from shortlist.data.candidates import Candidates
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import Error
from shortlist.funnel.explain import reasons
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.retrieve import score_candidates
from shortlist.kernels import PreparedVectors
from shortlist.postrank import Cap, Exclude, PostRanker, from_dict
from shortlist.postrank.predicate import parse_predicate
from shortlist.serving.engine.answers import Speaker
from shortlist.serving.engine.conditions import check_condition
from shortlist.serving.engine.past import Asked, Past, ask, encode_lists, joined
from shortlist.serving.engine.remembered import Remembered
from shortlist.serving.engine.stages import RULES, StageClock, Watch, run_stages
from shortlist.serving.engine.trace import traces
from shortlist.serving.schemas.api import Ranked, RankRequest, Recommended, RecommendRequest, Similar

REMEMBERED = 32  # conditions and post-rankers of requests whose masks and objects are kept
FALLBACK_ITEMS = 1000  # most popular items that an answer of last resort chooses from


@dataclass(frozen=True)
class Timed:
    """A request, and when its answer must be there.

    Args:
        request: what is asked.
        deadline: by `time.monotonic`.
        trace: the span of the request, or None.
    """

    request: RecommendRequest
    deadline: float
    trace: Any = None


class Engine:
    """A funnel, and what can be made ready for it.

    Args:
        funnel: the funnel; it is not changed.
        name: of the bundle, which each answer bears.
        removed: `[n]` int64 indices of items that are not recommended.
        watch: told the seconds of each stage.
    """

    def __init__(
        self, funnel: Funnel, *, name: str, removed: Tensor, watch: Watch = lambda stage, seconds: None
    ) -> None:
        self.funnel, self.removed = funnel, removed
        self.clock, self.speaker = StageClock(watch), Speaker(funnel, name)
        self._masks: Remembered[Tensor] = Remembered(REMEMBERED)
        self._postrank: Remembered[tuple[PostRanker, ...]] = Remembered(REMEMBERED)
        counts = torch.from_numpy(funnel.data.item_vocabulary.counts)[1:]
        self._popular = counts.argsort(descending=True, stable=True)[:FALLBACK_ITEMS] + 1
        self._popularity = counts[self._popular - 1].float()
        self._near: PreparedVectors | None = None

    def recommend(self, batch: Sequence[Timed], past: Past) -> list[Recommended | Error]:
        """Answer a batch; requests that ask for the same kind of list go through the stages together.

        Args:
            batch: what is asked, and until when.
            past: what the store knows of the users.

        Returns:
            An answer or an error for each request.
        """
        asked = ask(self.funnel.data, [each.request for each in batch], past)
        answers: dict[int, Recommended | Error] = {}
        groups: dict[tuple[Any, ...], list[int]] = {}
        for place, each in enumerate(batch):
            groups.setdefault(_group(each.request), []).append(place)
        for places in groups.values():
            try:
                found: Sequence[Recommended | Error] = self._answer([batch[i] for i in places], asked, places)
            except Error as error:
                found = [error] * len(places)
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(batch))]

    def fallback(self, request: RecommendRequest) -> Recommended:
        """The most popular items, less what must not come: an answer when there is no time.

        Args:
            request: what is asked; the user's own history is not looked at.

        Raises:
            Error: the request itself is wrong.
        """
        self.speaker.check_fields(request.fields)
        size, funnel = request.k or self.funnel.size, self.funnel
        hidden = torch.cat([encode_lists(funnel.data, [request.exclude]).values, self.removed])
        allowed = ~torch.isin(self._popular, hidden)
        if request.where is not None:
            allowed &= self.mask(request.where)[self._popular]
        items = Ragged.from_lists([self._popular[allowed].tolist()])
        current = Candidates(items, self._popularity[allowed], torch.zeros_like(items.values))
        nobody = Requests.from_history(Ragged.empty(1))
        for stage in self._stages(request):
            if isinstance(stage, RULES):
                current = stage.rerank(
                    current, size=size, catalogue=funnel.catalogue, requests=nobody, seed=funnel.seed
                )
        return self.speaker.answers(current.top(size), request.fields, fallback=True)[0]

    def rank(self, request: RankRequest, past: Past) -> Ranked:
        """Put given items in order.

        Args:
            request: who asks, and the items.
            past: what the store knows of the user.
        """
        funnel = self.funnel
        requests = ask(funnel.data, [request], past).requests
        given = encode_lists(funnel.data, [request.items]).values
        unknown = [id_ for id_, index in zip(request.items, given.tolist(), strict=True) if index == 0]
        items = torch.unique(given[given > 0])
        rows = Ragged.from_lengths(items, torch.tensor([len(items)]))
        with torch.inference_mode():
            plain = Candidates(rows, torch.zeros(len(items)), torch.zeros_like(items))
            scores = {
                f"score_{each.name}": score_candidates(each.model.prepare(requests), plain)
                for each in funnel.retrievers
            }
            ranked = plain.with_scores(next(iter(scores.values())), **scores).sorted()
            if funnel.rank is not None:
                ranked = funnel.rank.rank(requests, ranked, at_least=len(items))
        ids = self.speaker.ids(ranked.items.values)
        return Ranked(items=ids, scores=ranked.scores.tolist(), unknown=unknown, bundle=self.speaker.bundle)

    def similar(self, item: str, k: int) -> Similar:
        """The items nearest to one: by the cosine of their vectors, or, without vectors, what follows it.

        Args:
            item: its id.
            k: how many.

        Raises:
            UnknownIdError: the item is not known.
        """
        index = self.funnel.data.item_vocabulary.index_of(item)
        hidden = torch.cat([torch.tensor([index]), self.removed])
        offsets, vectors = torch.tensor([0, len(hidden)]), self.funnel.catalogue.vectors
        with torch.inference_mode():
            if vectors is None:
                history = Requests.from_history(Ragged.from_lists([[index]]))
                items, scores = self.funnel.retrievers[0].retrieve(
                    history, k, exclude=Ragged(hidden, offsets)
                )
            else:
                if self._near is None:
                    self._near = PreparedVectors(normalize(vectors[1:], dim=1))
                query = normalize(vectors[index : index + 1], dim=1)
                rows, scores = self._near.top_k(query, k, exclude=Ragged(hidden - 1, offsets))
                items = rows + 1
        there = items[0] > 0
        return Similar(
            items=self.speaker.ids(items[0][there]),
            scores=scores[0][there].tolist(),
            bundle=self.speaker.bundle,
        )

    def mask(self, where: str) -> Tensor:
        """Which items meet a condition; the last conditions are remembered.

        Args:
            where: SQL over the item columns.

        Raises:
            ConfigError: the text is no condition.
            SchemaError: a column is unknown.
        """
        return self._masks.get(where, lambda: self._mask(where))

    def _answer(self, batch: Sequence[Timed], asked: Asked, places: Sequence[int]) -> list[Recommended]:
        """The answers of requests of one group."""
        first = batch[0].request
        self.speaker.check_fields(first.fields)
        asked = asked.take(places)
        hidden = [encode_lists(self.funnel.data, [each.request.exclude for each in batch])]
        if first.exclude_seen:
            hidden.append(asked.seen)
        if len(self.removed):
            lengths = torch.full((len(batch),), len(self.removed))
            hidden.append(Ragged.from_lengths(self.removed.repeat(len(batch)), lengths))
        lists, cut = run_stages(
            self.funnel,
            asked.requests,
            self._stages(first),
            size=first.k or self.funnel.size,
            exclude=joined(*hidden),
            where=None if first.where is None else self.mask(first.where),
            deadline=min(each.deadline for each in batch),
            clock=self.clock,
        )
        *stages, (_, final) = lists
        if not first.explain:
            return self.speaker.answers(final, first.fields, cut=cut)
        why = reasons(final, asked.requests, self.funnel.retrievers, self.funnel.catalogue).to_list()
        shown = traces(self.funnel, stages, fields=first.fields, postrank=self._stages(first))
        return self.speaker.answers(final, first.fields, cut=cut, why=why, stages=shown)

    def _mask(self, where: str) -> Tensor:
        check_condition(where)
        return self.funnel.catalogue.mask(parse_predicate(where, stage="where"))

    def _stages(self, request: RecommendRequest) -> tuple[PostRanker, ...]:
        """The post-rankers for a request; the last ones are remembered."""
        wanted = request.postrank
        if wanted is None:
            return self.funnel.postrank
        return self._postrank.get(json.dumps(wanted), lambda: self._with_rules(wanted))

    def _with_rules(self, wanted: Sequence[dict[str, Any]]) -> tuple[PostRanker, ...]:
        """Post-rankers between those of the funnel that drop items and those that cap their number."""
        for settings in wanted:
            if isinstance(where := settings.get("where"), str):
                check_condition(where)
        own = [from_dict(settings) for settings in wanted]
        drops = [stage for stage in self.funnel.postrank if isinstance(stage, Exclude)]
        caps = [stage for stage in self.funnel.postrank if isinstance(stage, Cap)]
        return (*drops, *own, *caps)


def _group(request: RecommendRequest) -> tuple[Any, ...]:
    """What requests must have in common to go through the stages together."""
    postrank = None if request.postrank is None else json.dumps(request.postrank)
    return request.k, request.where, postrank, tuple(request.fields), request.explain, request.exclude_seen
