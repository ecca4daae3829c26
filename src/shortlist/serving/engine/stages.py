"""A funnel's stages, or those for which there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.funnel.checks import stage_names
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.retrieve import retrieve
from shortlist.postrank import Cap, Exclude, PostRanker

RULES = (Exclude, Cap)  # what must hold, however little time is left
SMOOTHING = 0.2  # weight of the last batch in a stage's mean time

Lists = list[tuple[str, Candidates]]
Watch = Callable[[str, float], None]
"""Told a stage's name and its seconds."""


class StageClock:
    """How long each stage takes, so that one for which there is no time is not begun.

    Args:
        watch: told the seconds of each stage.
    """

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.typical: dict[str, float] = {}

    def note(self, stage: str, started: float) -> None:
        """A stage that began at a moment of `time.monotonic` has ended."""
        seconds = time.monotonic() - started
        known = self.typical.get(stage, seconds)
        self.typical[stage] = known + SMOOTHING * (seconds - known)
        self.watch(stage, seconds)

    def fits(self, stage: str, deadline: float) -> bool:
        """Whether a stage that begins now is likely to end before a moment of `time.monotonic`."""
        return time.monotonic() + self.typical.get(stage, 0.0) <= deadline


def run_stages(
    funnel: Funnel,
    requests: Requests,
    postrank: Sequence[PostRanker],
    *,
    size: int,
    exclude: Ragged,
    where: Tensor | None,
    deadline: float,
    clock: StageClock,
) -> tuple[Lists, list[str]]:
    """Send requests through a funnel in the time that there is.

    Args:
        funnel: its retrievers and its ranker.
        requests: who asks.
        postrank: post-rankers.
        size: length of the lists.
        exclude: for each request, item indices that must not come.
        where: `[num_items + 1]` bool, which items are allowed.
        deadline: moment of `time.monotonic` after which only rules are still begun.
        clock: knows how long stages take.

    Returns:
        What came out of each stage by name, from `"retrieve"` to `"final"`, and the stages left out.
    """
    works: list[tuple[bool, Callable[[Candidates], Candidates]]] = []
    if funnel.rank is not None:
        works.append((False, partial(funnel.rank.rank, requests, at_least=size)))
    for number, stage in enumerate(postrank):
        rerank = partial(stage.rerank, size=size, catalogue=funnel.catalogue, requests=requests)
        works.append((isinstance(stage, RULES), partial(rerank, seed=funnel.seed + number)))
    names = stage_names(funnel.rank, postrank)
    cut = []
    with torch.inference_mode():
        started = time.monotonic()
        current = retrieve(funnel.retrievers, requests, at_least=size, exclude=exclude, where=where)
        clock.note("retrieve", started)
        lists = [("retrieve", current)]
        for name, (is_rule, work) in zip(names[1:-1], works, strict=True):
            if not is_rule and not clock.fits(name, deadline):
                cut.append(name)
                continue
            started = time.monotonic()
            current = work(current)
            clock.note(name, started)
            lists.append((name, current))
    return [*lists, ("final", current.top(size))], cut
