"""A dynamic table as named tensors, for `state_dict`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.row_records import RULES, RowRecords, state_width

_ROWS = {"ids": torch.int64, "weights": torch.float32, "state": torch.float32}
_FACTS = {"counts": torch.int64, "last_seen": torch.int64}
_SHARED = {"shared_weights": torch.float32, "shared_state": torch.float32}
_WAITING = {"waiting_ids": torch.int64, "waiting_counts": torch.int64, "sketch": torch.uint8}
_SCALARS = {"clock": torch.int64, "rule": torch.int64, "initial": torch.float32}
DTYPES = _ROWS | _FACTS | _SHARED | _WAITING | _SCALARS


def save_state(table: RowTable) -> dict[str, Tensor]:
    """Copies of all that a table holds.

    Args:
        table: the table.

    Returns:
        Tensors by name, rows in ascending order of their ids, so that equal tables give equal tensors.
    """
    with table.lock:
        records = table.records()
        records = records.take(np.argsort(records.ids))
        shared, (waiting_ids, waiting_counts) = table.shared(), table.waiting()
        scalars = (np.array(table.clock), np.array(RULES.index(table.rule)), np.float32(table.initial))
        arrays = (
            *(records.ids, records.weights, records.state, records.counts, records.last_seen),
            *(shared.weights, shared.state),
            *(waiting_ids, waiting_counts, table.sketch().copy()),
            *scalars,
        )
    return {name: torch.as_tensor(array) for name, array in zip(DTYPES, arrays, strict=True)}


def load_state(
    table: RowTable, state: Mapping[str, Tensor], problems: list[str], where: str
) -> tuple[list[str], list[str]]:
    """Put into a table what `save_state` returned; what was there is gone.

    Args:
        table: of the same dim and arguments.
        state: tensors by name.
        problems: gets a sentence for each thing that does not fit; the table is then left as it was.
        where: what to call the module in them.

    Returns:
        Names that are missing, and those that do not belong here.
    """
    missing = [name for name in DTYPES if name not in state]
    unexpected = [name for name in state if name not in DTYPES]
    if not missing:
        found = _misfits(table, state)
        problems += [f"{where}{problem}" for problem in found]
        if not found:
            _put(table, {name: state[name].detach().cpu().contiguous().numpy() for name in DTYPES})
    return missing, unexpected


def _misfits(table: RowTable, state: Mapping[str, Tensor]) -> list[str]:
    wrong = [
        f"{name} is {state[name].dtype}, not {dtype}"
        for name, dtype in DTYPES.items()
        if state[name].dtype != dtype
    ]
    rule = int(state["rule"]) if state["rule"].numel() == 1 else -1
    if not 0 <= rule < len(RULES):
        return [*wrong, "rule names no rule"]
    n, shared, waiting = len(state["ids"]), table.shared_rows, len(state["waiting_ids"])
    width = state_width(RULES[rule], table.dim)
    shapes = {
        **{"ids": (n,), "weights": (n, table.dim), "state": (n, width), "counts": (n,), "last_seen": (n,)},
        **{"shared_weights": (shared, table.dim), "shared_state": (shared, width)},
        **{"waiting_ids": (waiting,), "waiting_counts": (waiting,), "sketch": table.sketch().shape},
        **{"clock": (), "initial": ()},
    }
    return wrong + [
        f"{name} is {list(state[name].shape)}, the table needs {list(shape)}"
        for name, shape in shapes.items()
        if tuple(state[name].shape) != shape
    ]


def _put(table: RowTable, arrays: Mapping[str, NDArray[Any]]) -> None:
    with table.lock:
        table.saved_as = ""
        table.clear()
        table.start_state(RULES[int(arrays["rule"])], float(arrays["initial"]))
        table.put(RowRecords(*(arrays[name] for name in (*_ROWS, *_FACTS))))
        table.put_shared(arrays["shared_weights"], arrays["shared_state"])
        table.set_waiting(arrays["waiting_ids"], arrays["waiting_counts"], arrays["sketch"])
        table.set_clock(int(arrays["clock"]))
