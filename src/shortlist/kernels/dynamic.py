"""Rows by 64-bit id, made when an id is first seen: the table behind `shortlist.nn.DynamicEmbedding`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist import _native
from shortlist.errors import ConfigError, Error, ShapeError, TrainingError
from shortlist.kernels.checks import check_threads
from shortlist.kernels.row_records import Float32Array, Int64Array, RowRecords
from shortlist.kernels.tables import Rule, empty_rows


class RowTable:
    """Rows of weights by id, with the optimizer's state beside each.

    Calls may come from any threads: those that change the table wait for each other, and `look_up` without
    training runs beside others of its kind. Hold `lock` to make several calls as one.

    Args:
        dim: width of a row.
        seed: of the first weights, with the id.
        scale: their standard deviation.
        shared_rows: rows that the ids without a row of their own share.
        admit_after: sightings that earn an id its row.
        sketch_bytes: size of the count-min sketch that counts sightings; 0 counts them exactly.
        memory_bytes: what rows and their state may take; those seen least recently go to a file. 0 for no
            limit.
        folder: of that file.
    """

    def __init__(
        self,
        dim: int,
        *,
        seed: int,
        scale: float,
        shared_rows: int = 0,
        admit_after: int = 1,
        sketch_bytes: int = 0,
        memory_bytes: int = 0,
        folder: str = "",
    ) -> None:
        self.dim, self.shared_rows = dim, shared_rows
        self.lock = threading.RLock()
        self.saved_as = ""  # name of the checkpoint that `records(changed=True)` and `removed` go on from
        self._removed: list[Int64Array] = []
        self._native = _native.DynamicTable(
            dim, seed % 2**64, scale, shared_rows, admit_after, sketch_bytes, memory_bytes, folder
        )

    def __len__(self) -> int:
        """Number of ids that have a row."""
        return self._native.size

    @property
    def num_bytes(self) -> int:
        """Memory in use: rows, state, the hash table and the counts of ids that wait."""
        return self._native.bytes

    @property
    def file_bytes(self) -> int:
        """Size of the file of spilled rows."""
        return self._native.file_bytes

    @property
    def spilled(self) -> int:
        """Number of rows that are in the file."""
        return self._native.spilled

    @property
    def clock(self) -> int:
        """Steps taken."""
        return self._native.clock

    @property
    def rule(self) -> str:
        """The kind of the rule that the rows have followed; empty before the first step."""
        return self._native.rule

    @property
    def state_width(self) -> int:
        """Numbers of state that a row has."""
        return self._native.state_width

    @property
    def initial(self) -> float:
        """What the accumulators of a new row start at."""
        return self._native.initial

    def look_up(self, ids: Tensor, *, training: bool, threads: int | None = None) -> Tensor:
        """The rows of some ids.

        Args:
            ids: `[n]` int64.
            training: whether the ids are counted, and those that have earned it get a row.
            threads: to work with; PyTorch's number by default. The answer does not depend on it.

        Returns:
            `[n, dim]` float32: the id's own row, else a shared one, or zeros where none are shared.
        """
        out = empty_rows(len(ids), self.dim)
        values = ids.cpu().contiguous().numpy()
        if training:
            with self.lock, _spilling():
                self._native.look_up(values, True, check_threads(threads), out.numpy())
        else:
            self._native.look_up(values, False, check_threads(threads), out.numpy())
        return out

    def step(
        self, ids: Tensor, gradients: Tensor, rule: Rule, *, initial: float, threads: int | None = None
    ) -> None:
        """Take one step for the row of each id; the gradients of repeated ids are summed first.

        Args:
            ids: `[n]` int64. One that has no row moves its shared row, or nothing where none are shared.
            gradients: `[n, dim]` float32.
            rule: how the rows follow.
            initial: what accumulators start at.
            threads: to work with; PyTorch's number by default. The numbers do not depend on it.

        Raises:
            ConfigError: the rows hold the state of another rule.
            TrainingError: a gradient holds a NaN or an infinite value; nothing was moved.
        """
        if self.rule not in ("", rule.kind):
            raise ConfigError(
                f"the rows hold the state of {self.rule}, and the optimizer follows {rule.kind}",
                where="DynamicEmbedding",
                remedy="go on with the optimizer of before, or call reset_optimizer_state() first",
            )
        beta1, beta2 = rule.betas
        numbers = (rule.learning_rate, rule.eps, beta1, beta2, 1 - beta1**rule.step, 1 - beta2**rule.step)
        values = gradients.to("cpu", torch.float32).contiguous().numpy()
        rows = ids.cpu().contiguous().numpy()
        with self.lock, _spilling():
            try:
                self._native.step(rule.kind, *numbers, initial, rows, values, check_threads(threads))
            except ValueError as error:
                raise TrainingError(
                    str(error),
                    where="DynamicEmbedding",
                    remedy="no row was changed; lower the learning rate, or clip with max_grad_norm=1.0",
                ) from None

    def remove(self, ids: Int64Array) -> int:
        """Take away the rows of some ids.

        Args:
            ids: `[n]` int64.

        Returns:
            How many of them had one.
        """
        with self.lock:
            if self.saved_as:
                self._removed.append(ids.copy())
            return self._native.remove(np.ascontiguousarray(ids))

    def removed(self) -> Int64Array:
        """`[n]` int64, the ids whose rows were taken away since the last checkpoint."""
        return np.concatenate([np.zeros(0, np.int64), *self._removed])

    def facts(self) -> tuple[Int64Array, Int64Array, Int64Array]:
        """`[len(self)]` ids that have a row, their counts, and when they were last seen."""
        with self.lock:
            return self._facts(self._native.rows(False))

    def records(self, *, changed: bool = False, threads: int | None = None) -> RowRecords:
        """Copies of the rows that ids have.

        Args:
            changed: only those that were seen, stepped or put since the last checkpoint.
            threads: to copy with.
        """
        with self.lock:
            return self._copies(self._native.rows(changed), threads)

    def shared(self) -> RowRecords:
        """Copies of the shared rows, in order."""
        return self._copies(np.arange(self.shared_rows), None)

    def _facts(self, rows: Int64Array) -> tuple[Int64Array, Int64Array, Int64Array]:
        ids, counts, last_seen = (np.empty(len(rows), np.int64) for _ in range(3))
        self._native.copy_facts(rows, ids, counts, last_seen)
        return ids, counts, last_seen

    def _copies(self, rows: Int64Array, threads: int | None) -> RowRecords:
        weights = np.empty((len(rows), self.dim), np.float32)
        state = np.empty((len(rows), self.state_width), np.float32)
        self._native.copy_numbers(rows, check_threads(threads), weights, state)
        ids, counts, last_seen = self._facts(rows)
        return RowRecords(ids, weights, state, counts, last_seen)

    def put(self, records: RowRecords) -> None:
        """Give ids the rows of some records, whether or not they had one.

        Args:
            records: as wide as the table; ids that repeat get their last one.

        Raises:
            ShapeError: they are not.
        """
        with self.lock, _spilling():
            self._check_widths(records)
            ids, weights, state = records.ids, records.weights, records.state
            facts = (np.ascontiguousarray(each) for each in (records.counts, records.last_seen))
            self._native.copy_in(
                np.ascontiguousarray(ids), np.ascontiguousarray(weights), np.ascontiguousarray(state), *facts
            )

    def put_shared(self, weights: Float32Array, state: Float32Array) -> None:
        """Overwrite the shared rows.

        Args:
            weights: `[shared_rows, dim]` float32.
            state: `[shared_rows, width]` float32.
        """
        with self.lock:
            self._native.copy_in_shared(weights, state)

    def _check_widths(self, records: RowRecords) -> None:
        n, width = len(records), self.state_width
        wanted = {"weights": (n, self.dim), "state": (n, width), "counts": (n,), "last_seen": (n,)}
        for name, shape in wanted.items():
            found = getattr(records, name).shape
            if found != shape:
                raise ShapeError(
                    f"{name} are {list(found)}, the table needs {list(shape)}",
                    remedy="import rows into a table of the dim and the optimizer that they come from",
                )

    def start_state(self, rule: str, initial: float) -> None:
        """Make the rows hold the state of a rule.

        Args:
            rule: its kind; the state of another one is dropped. Empty for none.
            initial: what accumulators start at.
        """
        with self.lock:
            if self.rule not in ("", rule):
                self._native.drop_state()
            if rule:
                self._native.hold_state(rule, initial)

    def waiting(self) -> tuple[Int64Array, Int64Array]:
        """Ids that wait for admission, ascending, and their sightings, where these are counted exactly."""
        with self.lock:
            ids, counts = np.empty(self._native.waiting, np.int64), np.empty(self._native.waiting, np.int64)
            self._native.copy_waiting(ids, counts)
        order = np.argsort(ids)
        return ids[order], counts[order]

    def sketch(self) -> NDArray[np.uint8]:
        """The counters of the sketch, in place; empty where sightings are counted exactly."""
        return self._native.sketch()

    def set_waiting(self, ids: Int64Array, counts: Int64Array, sketch: NDArray[np.uint8]) -> None:
        """Go on from sightings that were counted before.

        Args:
            ids: as `waiting`.
            counts: as `waiting`.
            sketch: as `sketch`.

        Raises:
            ShapeError: the sketch has another size.
        """
        if len(sketch) != len(self.sketch()):
            raise ShapeError(
                f"the sketch has {len(sketch)} bytes, the table's {len(self.sketch())}",
                remedy="use the same sketch_bytes",
            )
        with self.lock:
            self._native.set_waiting(ids, counts)
            self.sketch()[:] = sketch

    def set_clock(self, steps: int) -> None:
        """Set the number of steps taken."""
        self._native.clock = steps

    def clear(self) -> None:
        """Take away all rows of ids."""
        with self.lock:
            self.remove(self.facts()[0])

    def settle(self, name: str) -> None:
        """Take note that a checkpoint holds everything: changes count from here.

        Args:
            name: of the checkpoint.
        """
        with self.lock:
            self._native.settle()
            self._removed.clear()
            self.saved_as = name


@contextmanager
def _spilling() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, Error):
            raise
        raise ConfigError(
            str(error),
            where="DynamicEmbedding",
            remedy="make room, or name another spill_folder; the rows that did not fit are still in memory",
        ) from error
