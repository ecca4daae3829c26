"""Ours beside the peers: a sweep finds what each does best at a recall, then these run in turn."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial

from benchmarks.ann_contenders import Contender, Family, Task
from benchmarks.ann_curves import cheapest, settle
from benchmarks.ann_measure import Measurement
from benchmarks.harness import Figure, interleave, ratio_of_medians

HOPELESS = 300.0  # queries a second; whoever is slower could as well look at everything
RACED = 0.5  # a peer below this share of the best peer's speed keeps the sweep's measurement


@dataclass(frozen=True)
class Choice:
    """The best configuration of a contender at a recall.

    Args:
        contender: whose.
        family: its fixed settings.
        knob: the value that reaches the recall.
        measured: on all the task's queries.
    """

    contender: Contender
    family: Family
    knob: int
    measured: Measurement

    def run(self, task: Task) -> Measurement:
        """Measure it once more."""
        return self.contender.measure(self.family, self.knob, task, count=task.count)


def best_choices(contender: Contender, task: Task, recalls: Sequence[float]) -> dict[float, Choice]:
    """Sweep a contender: at each recall the fastest of the configurations that reach it.

    Args:
        contender: who.
        task: what is asked.
        recalls: in ascending order.

    Returns:
        The choices; a recall that nothing reaches is missing.
    """
    families = contender.families(task)
    sampled = [
        cache(partial(contender.measure, each, task=task, count=min(task.sample, task.count)))
        for each in families
    ]
    whole = [cache(partial(contender.measure, each, task=task, count=task.count)) for each in families]
    choices = {}
    for recall in recalls:
        best = _fastest(families, sampled, recall)
        if best is None:
            continue
        number, position = best
        settled = settle(whole[number], families[number].ladder, position, recall)
        if settled is not None:
            knob = families[number].ladder[settled]
            choices[recall] = Choice(contender, families[number], knob, whole[number](knob))
    return choices


def _fastest(
    families: Sequence[Family], measures: Sequence[Callable[[int], Measurement]], recall: float
) -> tuple[int, int] | None:
    """The family, and the position on its ladder, that reaches the recall soonest."""
    best, speed = None, HOPELESS
    for number, (family, measured) in enumerate(zip(families, measures, strict=True)):
        position = cheapest(measured, family.ladder, recall, floor=speed)
        if position is not None and (qps := measured(family.ladder[position]).qps) > speed:
            best, speed = (number, position), qps
    return best


@dataclass(frozen=True)
class Outcome:
    """What came of a race at one recall.

    Args:
        rounds: the measurements of those that were raced, by name.
        slower: the sweep's measurement of the peers that were not.
    """

    rounds: Mapping[str, Sequence[Measurement]]
    slower: Mapping[str, Measurement]

    def ratio(self, name: str, target: float | None) -> Figure:
        """How many times faster ours is than the best peer: 0 when ours never reached the recall.

        Args:
            name: of the figure.
            target: the number to reach.
        """
        others = {who: rounds for who, rounds in self.rounds.items() if who != "ours"}
        best = max(others, key=lambda who: _median(others[who], "qps"))
        if "ours" not in self.rounds:
            return Figure(name, 0.0, f"over {best}", target)
        slower, faster = ([1 / each.qps for each in self.rounds[who]] for who in (best, "ours"))
        value, spread = ratio_of_medians(slower, faster)
        return Figure(name, value, f"over {best}", target, spread=spread)

    def speeds(self, prefix: str) -> Iterator[Figure]:
        """The queries a second of all, and the percentiles where queries came one at a time.

        Args:
            prefix: of the figures' names.
        """
        units = {"qps": "queries/s", "p50": "µs", "p99": "µs"}
        single_rounds = {who: [measured] for who, measured in self.slower.items()}
        for who, rounds in (dict(self.rounds) | single_rounds).items():
            for what, unit in units.items():
                values = [getattr(each, what) for each in rounds]
                if not any(values):
                    continue
                spread = (min(values), max(values)) if len(values) > 1 else None
                name = f"{prefix}_{who}" if what == "qps" else f"{prefix}_{who}_{what}"
                yield Figure(name, statistics.median(values), unit, spread=spread)


def race(
    contenders: Sequence[Contender], task: Task, recalls: Sequence[float], *, repeats: int = 5
) -> dict[float, Outcome]:
    """Sweep all contenders, then run the best of each in turn.

    Args:
        contenders: ours and the peers.
        task: what is asked.
        recalls: in ascending order.
        repeats: counted rounds.

    Returns:
        An outcome for each recall that some peer reaches.
    """
    choices = {each.name: best_choices(each, task, recalls) for each in contenders}
    outcomes = {}
    for recall in recalls:
        able = {name: found[recall] for name, found in choices.items() if recall in found}
        peers = [choice.measured.qps for name, choice in able.items() if name != "ours"]
        if peers:
            outcomes[recall] = _run(able, task, slowest=RACED * max(peers), repeats=repeats)
    return outcomes


def _run(able: Mapping[str, Choice], task: Task, *, slowest: float, repeats: int) -> Outcome:
    raced = {
        name: choice for name, choice in able.items() if name == "ours" or choice.measured.qps >= slowest
    }
    rounds = repeated({name: partial(choice.run, task) for name, choice in raced.items()}, repeats=repeats)
    return Outcome(rounds, {name: able[name].measured for name in able if name not in raced})


def repeated(runs: Mapping[str, Callable[[], Measurement]], *, repeats: int) -> dict[str, list[Measurement]]:
    """Measure several things in turn, after a round that does not count.

    Args:
        runs: a measurement each.
        repeats: counted rounds.
    """
    kept: dict[str, list[Measurement]] = {name: [] for name in runs}

    def run(name: str) -> float:
        kept[name].append(runs[name]())
        return 1 / kept[name][-1].qps

    interleave({name: partial(run, name) for name in runs}, repeats=repeats)
    return {name: measured[-repeats:] for name, measured in kept.items()}


def _median(rounds: Sequence[Measurement], what: str) -> float:
    return statistics.median(getattr(each, what) for each in rounds)
