"""A dynamic table to be read and no longer trained, in one file that is mapped into memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.data.section_files import MISFITS, FileKind, Sections, read_sections, write_sections
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.lookups import enter_lookup, read_lookup
from shortlist.nn.dynamic.checks import check_ids

KIND = FileKind(b"shortlist-lookup", 1, called="a table of rows", again="save the table again")
_FULL = 0.6  # of the buckets, at most


class MappedEmbedding(nn.Module):
    """The rows that `DynamicEmbedding.save_mapped` wrote, read where they lie in the file.

    It opens in milliseconds whatever its size, since nothing is read before it is asked for; processes that
    map the same file share its memory. Any number of threads may look up at once. It has no parameters and
    no state.

    Args:
        path: the file.
        verify: whether to read all of it now and check it. Otherwise the header and the lengths are
            checked, and damage to a row goes unnoticed, though never beyond the file's end.

    Raises:
        BundleError: the file is damaged, foreign or newer than this version.
    """

    def __init__(self, path: Path | str, *, verify: bool = False) -> None:
        super().__init__()
        self.path = Path(path)
        header, sections = read_sections(self.path, kind=KIND, threads=None, check=verify)
        try:
            self.dim, self.seed = int(header["dim"]), int(header["seed"])
            self._buckets, self._rows, self._shared = (
                sections[name] for name in ("buckets", "rows", "shared")
            )
            _check(self._buckets, (self._rows, self._shared), self.dim)
        except MISFITS as error:
            raise KIND.refused(self.path, f"its parts do not fit together: {error}") from error

    @property
    def num_rows(self) -> int:
        """Number of ids that have a row."""
        return len(self._rows)

    def forward(self, ids: Tensor) -> Tensor:
        """`[...]` int64 ids to `[..., dim]` float32.

        An id without a row gets a shared one, or zeros where none are shared.

        Args:
            ids: any values; strings through `shortlist.data.hash_ids`.

        Raises:
            ShapeError: the ids are not int64.
        """
        check_ids(ids, "MappedEmbedding")
        rows = read_lookup(self._buckets, self._rows, self._shared, self.seed, ids.reshape(-1))
        return rows.reshape(*ids.shape, self.dim).to(ids.device)

    def extra_repr(self) -> str:
        """What `print` shows."""
        return f"{self.dim}, rows={self.num_rows:,}, path={str(self.path)!r}"

    def __deepcopy__(self, memo: dict[int, Any]) -> MappedEmbedding:
        memo[id(self)] = copy = MappedEmbedding(self.path)
        return copy.train(self.training)


def write_mapped(path: Path, table: RowTable, *, seed: int) -> None:
    """Write a table's rows, without the optimizer's state, to be mapped.

    Args:
        path: the file; one that is there stays until the new one is whole.
        table: the table.
        seed: of its shared rows.
    """
    with table.lock:
        records, shared = table.records(), table.shared()
    sections: Sections = {
        "buckets": enter_lookup(records.ids, full=_FULL),
        "rows": records.weights,
        "shared": shared.weights,
    }
    write_sections(path, {"dim": table.dim, "seed": seed}, sections, kind=KIND, threads=None)


def _check(buckets: NDArray[Any], matrices: tuple[NDArray[Any], ...], dim: int) -> None:
    count = len(buckets)
    if buckets.dtype != np.int64 or buckets.shape != (count, 2) or count < 1 or count & (count - 1):
        raise ValueError(f"buckets of {buckets.dtype} {list(buckets.shape)}")
    for rows in matrices:
        if rows.dtype != np.float32 or rows.shape != (len(rows), dim):
            raise ValueError(f"rows of {rows.dtype} {list(rows.shape)} for a dim of {dim}")
