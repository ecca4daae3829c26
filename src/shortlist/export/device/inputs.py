"""What the models read about who asks, as arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import ConfigError, did_you_mean
from shortlist.export.device.items import Rows
from shortlist.export.manifest import DeviceInput
from shortlist.export.tables import Float32Array

NOW, DAY = "now", 86_400
LATEST = 1 << 33  # seconds; the year 2242
UNKNOWN_TIME = (0, -1)
Feeds = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Request:
    """Who asks.

    Args:
        history: rows of the known items, oldest first.
        times: seconds since 1970 of each, 0 where unknown.
        context: values by name.
        now: the moment, in seconds since 1970.
        size: how many items will be shown.
    """

    history: Rows
    times: Rows
    context: Mapping[str, Any]
    now: int
    size: int


class Inputs:
    """The inputs that an export names.

    Args:
        entries: as the manifest gives them.
        tables: by name; those of the histories.
    """

    def __init__(self, entries: Sequence[DeviceInput], tables: Mapping[str, Float32Array]) -> None:
        self._entries = {each.name: each for each in entries}
        self._tables = tables
        self._shown = np.ones((1, max((each.length or 1 for each in entries), default=1)), np.float32)
        self._numbers = {
            each.name: {value: number for number, value in enumerate(each.values or (), start=1)}
            for each in entries
        }

    def names(self, names: Iterable[str]) -> list[str]:
        """The names of the arrays that some inputs become."""
        masks = [f"{name}_mask" for name in names if self._entries[name].kind == "history"]
        return [*names, *masks]

    def check(self, context: Mapping[str, Any]) -> None:
        """Refuse a context that says what no model reads.

        Raises:
            ConfigError: a name is no input.
        """
        if not context:
            return
        known = [each.column for each in self._entries.values() if each.column is not None]
        for name in context:
            if name != NOW and name not in known:
                raise ConfigError(
                    f"no model reads {name!r}", where="context", remedy=did_you_mean(name, [*known, NOW])
                )

    def feeds(self, names: Iterable[str], request: Request) -> Feeds:
        """The arrays of some inputs.

        Args:
            names: of the inputs.
            request: who asks.

        Returns:
            By name, each with a first axis of 1: a history `[1, n, dim]` float32, oldest first, with its mask
            `[1, n]` float32; the times of a history `[1, n]` int32, seconds since its oldest event; a
            category `[1]` int32, 0 where unknown; a number `[1]` float32, NaN where missing; a moment
            `[1, 2]` int32, days since 1970 and the second of the day, (0, -1) where unknown.

        Raises:
            ConfigError: a value is no number where one is needed.
        """
        feeds: Feeds = {}
        for name in names:
            entry = self._entries[name]
            value = request.context.get(entry.column or "")
            if entry.kind == "history":
                feeds |= self._history(entry, request.history)
            elif entry.kind == "history_times":
                feeds[name] = _since_oldest(request.times[-(entry.length or 1) :])
            elif entry.kind == "category":
                number = self._numbers[name].get(value, 0) if isinstance(value, str | int) else 0
                feeds[name] = np.array([number], np.int32)
            elif entry.kind == "number":
                feeds[name] = np.array([_number(name, value, np.nan)], np.float32)
            else:
                feeds[name] = _moment(name, request.now if entry.now and value is None else value)
        return feeds

    def _history(self, entry: DeviceInput, rows: Rows) -> Feeds:
        table, latest = self._tables[entry.table or ""], rows[-(entry.length or 1) :]
        if len(latest) == 0:  # a model cannot take a list of none: one row that the mask hides
            vectors, mask = np.zeros((1, 1, table.shape[1]), np.float32), np.zeros((1, 1), np.float32)
        else:
            vectors, mask = table.take(latest[None], axis=0), self._shown[:, : len(latest)]
        return {entry.name: vectors, f"{entry.name}_mask": mask}


def read_now(context: Mapping[str, Any], clock: float) -> int:
    """The moment of a request.

    Args:
        context: may hold `now`, in seconds since 1970.
        clock: the device's own time.

    Raises:
        ConfigError: `now` is no number.
    """
    return int(_number(NOW, context.get(NOW), clock))


def _since_oldest(times: Rows) -> NDArray[np.int32]:
    if len(times) == 0 or not times.all():
        return np.zeros((1, max(len(times), 1)), np.int32)
    since: NDArray[np.int32] = np.minimum(times - times.min(), np.iinfo(np.int32).max).astype(np.int32)
    return since[None]


def _moment(name: str, value: Any) -> NDArray[np.int32]:
    if value is None:
        return np.array([UNKNOWN_TIME], np.int32)
    return np.array([divmod(int(_number(name, value, 0)), DAY)], np.int32)


def _number(name: str, value: Any, missing: float) -> float:
    if value is None:
        return missing
    if not isinstance(value, int | float) or not abs(value) < LATEST:
        raise ConfigError(
            f"{name} is {value!r:.60}",
            where="context",
            remedy="give a number, of a time the seconds since 1970",
        )
    return float(value)
