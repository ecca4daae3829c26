"""Who takes part in `ann`: our index in this process, and each peer's library in a process of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from benchmarks import peers
from benchmarks.ann_curves import geometric_ladder
from benchmarks.ann_data import VectorSet
from benchmarks.ann_measure import Measurement, measure

BUILD_THREADS = 2
LOWEST_EFFORT = 200  # items that a query looks at


@dataclass(frozen=True)
class Task:
    """What is asked.

    Args:
        k: results a query.
        single: whether queries come one at a time rather than all in one call.
        where: a filter of the set, by name.
        sample: queries of a measurement during a sweep.
        count: queries of the measurements that count.
    """

    k: int = 10
    single: bool = False
    where: str = ""
    sample: int = 1_000
    count: int = 10_000


@dataclass(frozen=True)
class Family:
    """Configurations that differ in one knob.

    Args:
        settings: what is fixed.
        ladder: the knob's values, from fast to slow.
    """

    settings: dict[str, Any]
    ladder: Sequence[int]


class Contender(Protocol):
    """An index that can be measured.

    Args:
        name: as figures name it.
        build_seconds: by the name of the build.
    """

    name: str
    build_seconds: dict[str, float]

    def families(self, task: Task) -> list[Family]:
        """The configurations to sweep; those that can reach the highest recall first."""

    def measure(self, family: Family, knob: int, task: Task, *, count: int) -> Measurement:
        """One measurement, of the set's first `count` queries."""


@dataclass
class Ours:
    """`shortlist.index.Approximate` over a set, built with two threads and searched with one.

    Args:
        vectors: the set.
        compact: whether the index keeps no float vectors.
    """

    vectors: VectorSet
    compact: bool = False
    name: str = "ours"
    build_seconds: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from shortlist.index import Approximate

        base = self.vectors.base
        self.index = Approximate(
            base.shape[1], metric=self.vectors.metric, threads=BUILD_THREADS, compact=self.compact
        )
        started = time.perf_counter()
        self.index.fit(np.arange(len(base)), base)
        self.build_seconds["ours"] = time.perf_counter() - started
        self.index.threads = 1

    @cached_property
    def bytes_per_item(self) -> float:
        """Memory that the index holds, without the outside ids, over the number of items."""
        return float(self.index.memory()["total"]) / len(self.vectors.base)

    def families(self, task: Task) -> list[Family]:
        """One: the effort is the only knob."""
        return [Family({}, geometric_ladder(LOWEST_EFFORT, len(self.vectors.base)))]

    def measure(self, family: Family, knob: int, task: Task, *, count: int) -> Measurement:
        """One measurement, of the set's first `count` queries."""
        where = self.vectors.allowed(task.where) if task.where else None
        search = partial(_rows, self.index, task.k, where, knob)
        truth = self.vectors.truth(task.where)[:count, : task.k]
        return measure(search, self.vectors.query[:count], truth, single=task.single)


def _rows(
    index: Any, k: int, where: NDArray[np.bool_] | None, effort: int, queries: NDArray[np.float32]
) -> NDArray[np.int64]:
    rows: NDArray[np.int64] = index.search(queries, k, where=where, effort=effort).ids
    return rows


@dataclass
class Peer:
    """A library in its own process.

    Args:
        name: the library.
        process: it answers a line of JSON with a line of JSON.
        messages: what the library writes to its standard error; it writes much.
    """

    name: str
    process: subprocess.Popen[str]
    messages: Path

    @cached_property
    def build_seconds(self) -> dict[str, float]:
        """Of each build; waits until all are done."""
        seconds: dict[str, float] = self._answer()
        return seconds

    def families(self, task: Task) -> list[Family]:
        """The library's builds with each number of candidates that it scores exactly."""
        asked = self._ask(asdict(task))
        return [Family(each, geometric_ladder(*each.pop("ladder"))) for each in asked]

    def measure(self, family: Family, knob: int, task: Task, *, count: int) -> Measurement:
        """One measurement, of the set's first `count` queries."""
        asked = asdict(task) | {"family": family.settings, "knob": knob, "count": count}
        return Measurement(**self._ask(asked))

    def _ask(self, request: dict[str, Any]) -> Any:
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended:\n{self.messages.read_text(errors='replace')[-4000:]}")
        return json.loads(line)


@contextmanager
def peers_over(vectors: VectorSet, libraries: Sequence[str]) -> Iterator[list[Peer]]:
    """Start the libraries one after the other and build their indexes over a set.

    Args:
        vectors: the set; its filters must be there already.
        libraries: `"scann"`, `"faiss"`, `"lorann"`, `"hnswlib"`.
    """
    root, pipe = Path(__file__).resolve().parents[1], subprocess.PIPE
    started = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for library in libraries:
            arguments = ["-m", "benchmarks.ann_peers", library, vectors.folder.resolve(), vectors.metric]
            messages = stack.enter_context((folder / library).open("w"))
            process = stack.enter_context(
                subprocess.Popen(
                    [peers.python("ann"), *arguments],
                    stdin=pipe,
                    stdout=pipe,
                    stderr=messages,
                    text=True,
                    cwd=root,
                )
            )
            assert process.stdin is not None
            stack.callback(process.stdin.close)
            started.append(Peer(library, process, folder / library))
            assert started[-1].build_seconds  # the next library builds when this one has
        yield started
