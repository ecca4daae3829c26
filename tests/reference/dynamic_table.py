"""A table over ids as a dictionary: what the native one must do, one id at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MASK = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(x: int) -> int:
    """SplitMix64's number for a state."""
    x = (x + GOLDEN) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def stream_of(seed: int, id: int) -> int:
    """What the numbers drawn for an id start from."""
    return mix(mix(seed & MASK) ^ (id & MASK))


def initial_values(stream: int, scale: float, dim: int) -> NDArray[np.float32]:
    """The weights that a new row starts with."""
    words = [mix((stream + j * GOLDEN) & MASK) for j in range(dim)]
    sums = [sum(word >> shift & 0xFFFF for shift in (0, 16, 32, 48)) - 2 * 0xFFFF for word in words]
    unit = np.float32(scale) * (np.float32(1.7320508) / np.float32(65536))
    return unit * np.array(sums, np.float32)


@dataclass
class Row:
    """One row: weights, state by name, how often and when it was seen."""

    weight: NDArray[np.float64]
    state: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    count: int = 0
    last_seen: int = 0


@dataclass
class SlowTable:
    """Ids to rows, with exact admission."""

    dim: int
    seed: int = 0
    scale: float = 1.0
    shared_rows: int = 0
    admit_after: int = 1
    rows: dict[int, Row] = field(default_factory=dict)
    shared: dict[int, Row] = field(default_factory=dict)
    sightings: dict[int, int] = field(default_factory=dict)
    clock: int = 0

    def __post_init__(self) -> None:
        for i in range(self.shared_rows):
            self.shared[i] = self._new(~self.seed, i)

    def _new(self, seed: int, id: int) -> Row:
        return Row(initial_values(stream_of(seed, id), self.scale, self.dim).astype(np.float64))

    def row_of(self, id: int) -> Row | None:
        """The id's own row, else its shared one."""
        if id in self.rows:
            return self.rows[id]
        if not self.shared_rows:
            return None
        return self.shared[stream_of(~self.seed, id) % self.shared_rows]

    def look_up(self, ids: list[int], *, training: bool) -> NDArray[np.float64]:
        """`[n, dim]` rows; in training, after all ids were counted."""
        if training:
            for id in ids:
                if id not in self.rows:
                    self.sightings[id] = self.sightings.get(id, 0) + 1
                    if self.sightings[id] >= self.admit_after:
                        del self.sightings[id]
                        self.rows[id] = self._new(self.seed, id)
            for id in ids:
                if row := self.row_of(id):
                    row.count, row.last_seen = row.count + 1, self.clock
        found = [self.row_of(id) for id in ids]
        weights = [np.zeros(self.dim) if row is None else row.weight for row in found]
        return np.array(weights).reshape(len(ids), self.dim)

    def step(self, ids: list[int], gradients: NDArray[np.float64], kind: str, **numbers: float) -> None:
        """One step for each row that an id leads to."""
        sums: dict[str, tuple[Row, NDArray[np.float64]]] = {}
        for id, gradient in zip(ids, gradients, strict=True):
            if row := self.row_of(id):
                key = (
                    f"own {id}"
                    if id in self.rows
                    else f"shared {stream_of(~self.seed, id) % self.shared_rows}"
                )
                before = sums.get(key, (row, np.zeros(self.dim)))[1]
                sums[key] = (row, before + gradient)
        for row, gradient in sums.values():
            _step(row, gradient, kind, **numbers)
        self.clock += 1

    def remove(self, ids: list[int]) -> int:
        """Take away rows; how many there were."""
        return sum(self.rows.pop(id, None) is not None for id in ids)


def _step(
    row: Row,
    gradient: NDArray[np.float64],
    kind: str,
    *,
    rate: float,
    eps: float,
    initial: float,
    number: int,
    betas: tuple[float, float] = (0.9, 0.99),
) -> None:
    if kind == "sgd":
        row.weight = row.weight - rate * gradient
    elif kind == "adam":
        mean = row.state.get("mean", np.zeros_like(gradient))
        square = row.state.get("square", np.zeros_like(gradient))
        row.state["mean"] = mean = betas[0] * mean + (1 - betas[0]) * gradient
        row.state["square"] = square = betas[1] * square + (1 - betas[1]) * gradient**2
        root = np.sqrt(square / (1 - betas[1] ** number)) + eps
        row.weight = row.weight - rate * mean / (1 - betas[0] ** number) / root
    else:
        squares = gradient**2 if kind == "adagrad" else np.array([(gradient**2).mean()])
        row.state["sum"] = row.state.get("sum", np.full_like(squares, initial)) + squares
        row.weight = row.weight - rate * gradient / np.sqrt(row.state["sum"] + eps)
