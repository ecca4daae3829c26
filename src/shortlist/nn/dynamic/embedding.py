"""A table with a row for any 64-bit id, made when the id is first seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import torch
from torch import Tensor, nn

from shortlist.data.arrow_files import read_arrow
from shortlist.errors import ConfigError
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.table_parameters import stand_for
from shortlist.nn.dynamic.checks import check_arguments, check_ids
from shortlist.nn.dynamic.eviction import Keep, stale_ids, surplus_ids
from shortlist.nn.dynamic.frames import frame_of, put_frame
from shortlist.nn.dynamic.gradient import RowsById
from shortlist.nn.dynamic.mapped import write_mapped
from shortlist.nn.dynamic.state import load_state, save_state

# Rows that the parameter says it has; it holds none of them, and any id can be an index of its gradient.
_NOMINAL_ROWS = 1 << 40
_SHARED_ROWS = 1024


class DynamicEmbedding(nn.Module):
    """Rows of weights by id, for ids of any 64-bit value and without a vocabulary.

    In training, an id that has earned a row gets one. Its first weights depend on the seed and the id
    alone, not on when it came. Rows live in native memory that grows without moving or copying them, with
    the optimizer's state beside each. A gradient names the ids of its batch, and `Adagrad`,
    `RowwiseAdagrad` and `LazyAdam` step their rows and no others; schedules, clipping and checkpoints work
    as for any parameter. Other optimizers are refused.

    Outside training (in evaluation mode, without gradients, or with `weight.requires_grad_(False)`) nothing
    is counted and no row is made: an id without a row gets a shared one, or zeros where none are shared.

    The table stays in the memory of the CPU, wherever the module is moved; what it returns is where the ids
    are. Calls may come from several threads: steps, removals and look-ups in training wait for each other,
    look-ups outside training run side by side. Each process of a distributed training would have a table of
    its own.

    Args:
        dim: width of a row; 1 to 65,536.
        scale: standard deviation of the first weights; `dim ** -0.5` by default, as for `Embedding`.
        seed: of the first weights.
        admit_after: how often an id must be looked up in training to get a row of its own. Before that it
            shares one with others, by its hash.
        shared_rows: rows that are shared so; 1,024 by default, 0 where every id is admitted at once.
        sketch_bytes: memory of a count-min sketch that counts the sightings of ids that wait, in bytes, for
            `admit_after` up to 255. It may admit an id too early, never too late. None counts exactly.
        memory_bytes: what rows and their state may take in memory. Above it, those that were seen least
            recently move to a file in `spill_folder`, and back when they are looked up in training. None
            for no limit.
        spill_folder: of that file, which has no name and is gone when the process is.

    Attributes:
        weight: the parameter that stands for the table, for optimizers. It is sparse and empty.

    Raises:
        ConfigError: an argument is out of range.

    Source: TensorFlow Recommenders Addons' dynamic embeddings and DeepRec's embedding variables; Cormode &
    Muthukrishnan (2005) and Estan & Varghese (2002) for the sketch.
    """

    sparse = True  # tells fit to take an optimizer that steps rows

    def __init__(
        self,
        dim: int,
        *,
        scale: float | None = None,
        seed: int = 0,
        admit_after: int = 1,
        shared_rows: int | None = None,
        sketch_bytes: int | None = None,
        memory_bytes: int | None = None,
        spill_folder: Path | str | None = None,
    ) -> None:
        super().__init__()
        if shared_rows is None:
            shared_rows = 0 if admit_after == 1 else _SHARED_ROWS
        self.dim, self.seed, self.admit_after, self.shared_rows = dim, seed, admit_after, shared_rows
        self.sketch_bytes, self.memory_bytes = sketch_bytes, memory_bytes
        self.spill_folder = None if spill_folder is None else str(spill_folder)
        self.scale = max(dim, 1) ** -0.5 if scale is None else scale
        check_arguments(self.config())
        self.table = RowTable(
            dim,
            seed=seed,
            scale=self.scale,
            shared_rows=shared_rows,
            admit_after=admit_after,
            sketch_bytes=sketch_bytes or 0,
            memory_bytes=memory_bytes or 0,
            folder=self.spill_folder or "",
        )
        nothing = torch.sparse_coo_tensor(size=(_NOMINAL_ROWS, dim), check_invariants=False)  # type: ignore[call-arg]
        self.weight = nn.Parameter(nothing)
        stand_for(self.weight, self.table)

    def forward(self, ids: Tensor) -> Tensor:
        """`[...]` int64 ids to `[..., dim]` float32.

        Args:
            ids: any values; strings through `shortlist.data.hash_ids`.

        Raises:
            ShapeError: the ids are not int64.
            ConfigError: an optimizer that cannot step the table was used, or rows cannot be spilled.
        """
        check_ids(ids, "DynamicEmbedding")
        if self.training and torch.is_grad_enabled() and self.weight.requires_grad:
            self._check_untouched()
            return RowsById.apply(self.weight, ids, self.table)  # type: ignore[no-untyped-call, no-any-return]
        rows = self.table.look_up(ids.reshape(-1), training=False)
        return rows.reshape(*ids.shape, self.dim).to(ids.device)

    @property
    def num_rows(self) -> int:
        """Number of ids that have a row."""
        return len(self.table)

    @property
    def num_bytes(self) -> int:
        """Memory that the table takes: rows, those free for new ids too, state, hash table and counts."""
        return self.table.num_bytes

    @property
    def num_spilled(self) -> int:
        """Number of rows that are in the file of `spill_folder`."""
        return self.table.spilled

    def evict(self, *, unseen_for: int | None = None, seen_fewer_than: int | None = None) -> Tensor:
        """Take away the rows of ids that are no longer seen, or were seen seldom.

        With both conditions given, both must be true. The memory is for the next ids, and an id that comes
        back starts anew.

        Args:
            unseen_for: steps of the optimizer since the id was last looked up in training.
            seen_fewer_than: times that it was.

        Returns:
            `[n]` int64, the ids that lost their rows, ascending.

        Raises:
            ConfigError: no condition is given, or one is negative.
        """
        with self.table.lock:
            ids = stale_ids(self.table, unseen_for=unseen_for, seen_fewer_than=seen_fewer_than)
            self.table.remove(ids)
        return torch.from_numpy(ids)

    def shrink(self, max_bytes: int, *, keep: Keep = "recent") -> Tensor:
        """Take away rows until the others, with their state and their share of the hash table, fit a budget.

        Args:
            max_bytes: the budget.
            keep: which rows stay: "recent" those looked up last, "frequent" those looked up most often.

        Returns:
            `[n]` int64, the ids that lost their rows, ascending.

        Raises:
            ConfigError: an argument is out of range.
        """
        with self.table.lock:
            ids = surplus_ids(self.table, max_bytes, keep=keep)
            self.table.remove(ids)
        return torch.from_numpy(ids)

    def rows(self) -> pl.DataFrame:
        """All rows in ascending order of their ids.

        Returns:
            Columns `id` (Int64), `weights` (an array of Float32 a row), the optimizer's numbers under the
            name of its rule (`adagrad_state`, `rowwise_adagrad_state`, `adam_state`: means, then mean
            squares), `count` (how often the id was looked up in training) and `last_seen` (the steps that
            had been taken then).
        """
        return frame_of(self.table)

    def put_rows(self, rows: pl.DataFrame) -> None:
        """Give ids the rows of a table; other ids keep theirs.

        Args:
            rows: as `rows` returns; only `id` and `weights` must be there.

        Raises:
            SchemaError: a column is missing or of another type, or it is the state of another optimizer.
            DataError: an id is missing or repeats, or a number is not finite.
        """
        put_frame(self.table, rows, "rows")

    def export_rows(self, path: Path | str) -> None:
        """Write `rows` as an Arrow file.

        Args:
            path: of the file.
        """
        self.rows().write_ipc(path)

    def import_rows(self, path: Path | str) -> None:
        """`put_rows` from an Arrow file.

        Args:
            path: of the file.

        Raises:
            BundleError: it is not a whole Arrow file.
            SchemaError, DataError: as `put_rows`.
        """
        put_frame(self.table, read_arrow(Path(path)), str(path))

    def save_mapped(self, path: Path | str) -> None:
        """Write the rows, without the optimizer's state, for `MappedEmbedding`.

        Args:
            path: of the file; one that is there stays until the new one is whole on the disk.
        """
        write_mapped(Path(path), self.table, seed=self.seed)

    def reset_optimizer_state(self) -> None:
        """Forget the optimizer's state, so that another one can go on; spilled rows come back first."""
        self.table.start_state("", 0.0)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.dim}, rows={self.num_rows:,}, admit_after={self.admit_after}, seed={self.seed}"

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal, empty table, in a form that JSON can hold."""
        names = ("dim", "scale", "seed", "admit_after", "shared_rows", "sketch_bytes")
        return {name: getattr(self, name) for name in (*names, "memory_bytes", "spill_folder")}

    def __deepcopy__(self, memo: dict[int, Any]) -> DynamicEmbedding:
        copy = DynamicEmbedding(**self.config())
        copy.load_state_dict(self.state_dict())
        copy.weight.requires_grad_(self.weight.requires_grad)
        memo[id(self)] = copy
        return copy.train(self.training)

    def _apply(self, fn: Any, recurse: bool = True) -> DynamicEmbedding:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        stand_for(self.weight, self.table)  # a conversion may have made another parameter
        return self

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, value in save_state(self.table).items():
            destination[prefix + name] = value

    def _load_from_state_dict(
        self,
        state_dict: Any,
        prefix: str,
        local_metadata: Any,
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        ours = {
            key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)
        }
        missing, unexpected = load_state(self.table, ours, error_msgs, prefix)
        missing_keys += [prefix + name for name in missing]
        if strict:
            unexpected_keys += [prefix + name for name in unexpected]

    def _check_untouched(self) -> None:
        if self.weight._nnz():
            raise ConfigError(
                "an optimizer added to the parameter that stands for the table, and moved no row",
                where="DynamicEmbedding",
                remedy="step it with training.Adagrad, RowwiseAdagrad or LazyAdam "
                "(training.CompositeOptimizer gives the other parameters another one)",
            )
