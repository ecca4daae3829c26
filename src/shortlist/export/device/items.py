"""The item table: outside ids, the columns to show, and what filters and rules ask of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import BundleError, ConfigError, SchemaError, UnknownIdError, did_you_mean
from shortlist.export.manifest import FETCH_AGAIN

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]
Id = str | int
UNKNOWN: Rows = np.zeros(1, np.int64)

KINDS_OF_VALUES: dict[str, set[type]] = {
    "text": {str, int, float, bool},
    "tags": {list},
    "number": {int, float, bool},
    "boolean": {bool},
    "timestamp": {int},
}

_WHOLE = re.compile(r"-?[0-9]{1,19}")
_SEVERAL = (list, tuple, set, frozenset)


class Items:
    """The items of a device export; item i has row i + 1, row 0 is the unknown item.

    Args:
        ids: the outside ids, distinct.
        columns: by name, one value an item.
        kinds: by name, what the column holds: `"text"`, `"tags"`, `"number"`, `"boolean"` or `"timestamp"`.
        where: the file's path, for messages.

    Raises:
        BundleError: a column is missing or holds something else than its kind.
    """

    def __init__(
        self, ids: list[Id], columns: Mapping[str, list[Any]], kinds: Mapping[str, str], *, where: str
    ) -> None:
        for name, kind in kinds.items():
            _check_column(columns.get(name), name, kind, where)
        self.ids, self.kinds = ids, kinds
        self.columns = {name: columns[name] for name in kinds}
        self._rows: dict[Id, int] = {id_: row for row, id_ in enumerate(ids, start=1)}
        self._holders: dict[str, dict[Any, Rows]] = {}

    def __len__(self) -> int:
        """The number of items, without the unknown one."""
        return len(self.ids)

    def row(self, id_: object) -> int:
        """The row of an id, 0 where the export does not hold it.

        Args:
            id_: a number written as a text (and the reverse) is understood.
        """
        try:
            return self._rows[id_]  # type: ignore[index]  # whatever a caller has for an id
        except KeyError:
            return self._rows.get(_other_form(id_), 0) if isinstance(id_, str | int) else 0
        except TypeError:  # it has no hash
            return 0

    def rows_of(self, ids: Iterable[Any]) -> Rows | None:
        """The rows of ids that the export holds as they are; None where it lacks one in this form."""
        try:
            return np.fromiter(map(self._rows.__getitem__, ids), np.int64)
        except (KeyError, TypeError):
            return None

    def rows(self, ids: Iterable[object]) -> Rows:
        """The rows of those ids that the export holds, in the order given."""
        found = [self.row(each) for each in ids]
        return np.array([row for row in found if row], dtype=np.int64)

    def known_row(self, id_: Id) -> int:
        """The row of an id that the export must hold.

        Raises:
            UnknownIdError: it does not.
        """
        row = self.row(id_)
        if not row:
            held = "integers" if self.ids and isinstance(self.ids[0], int) else "texts"
            raise UnknownIdError(
                f"item {id_!r} is not in the export ({len(self):,} items, whose ids are {held})",
                remedy="export with more items, or check the id",
            )
        return row

    def values(self, column: str) -> list[Any]:
        """One column, a value an item.

        Raises:
            SchemaError: there is no such column.
        """
        if column not in self.columns:
            raise SchemaError(
                f"the item table has no column {column!r}", remedy=did_you_mean(str(column), self.columns)
            )
        return self.columns[column]

    def tags(self, column: str) -> list[tuple[Any, ...]]:
        """One column as distinct values an item: none where it is missing, several where it holds tags.

        Raises:
            SchemaError: there is no such column.
        """
        values = self.values(column)
        if self.kinds[column] == "tags":
            return [tuple(dict.fromkeys(each or ())) for each in values]
        return [() if each is None else (each,) for each in values]

    def seconds(self, column: str) -> NDArray[np.float64]:
        """A column of times.

        Returns:
            `[items + 1]` seconds since 1970, NaN where there is none.

        Raises:
            SchemaError: there is no such column, or it holds something else.
        """
        values = self.values(column)
        if self.kinds[column] != "timestamp":
            raise SchemaError(
                f"column {column!r} holds no times but {self.kinds[column]}", remedy="name another"
            )
        return np.array([np.nan, *(np.nan if each is None else each for each in values)], dtype=np.float64)

    def others(self, where: Mapping[str, Any]) -> Rows:
        """The rows that lack, in some column named, all of the values wanted; the unknown item's among them.

        Args:
            where: a value or a list of values for each column.

        Raises:
            SchemaError: there is no such column.
            ConfigError: `where` is no mapping.
        """
        if not isinstance(where, Mapping):
            raise ConfigError(f"where is {where!r:.60}", remedy='give columns, such as {"genres": "Drama"}')
        allowed = np.ones(len(self) + 1, dtype=np.bool_)
        allowed[0] = False
        for column, wanted in where.items():
            holders, some = self._holders_of(column), np.zeros_like(allowed)
            for value in wanted if isinstance(wanted, _SEVERAL) else (wanted,):
                if isinstance(value, str | int | float) and value in holders:
                    some[holders[value]] = True
            allowed &= some
        return np.flatnonzero(~allowed)

    def shown(self, places: list[int]) -> dict[str, list[Any]]:
        """The columns of some items, by their places from 0."""
        return {name: [values[place] for place in places] for name, values in self.columns.items()}

    def _holders_of(self, column: str) -> dict[Any, Rows]:
        """The rows that hold each value of a column; found once."""
        if column not in self._holders:
            found: dict[Any, list[int]] = {}
            for row, values in enumerate(self.tags(column), start=1):
                for value in values:
                    found.setdefault(value, []).append(row)
            self._holders[column] = {value: np.array(rows, np.int64) for value, rows in found.items()}
        return self._holders[column]


def _check_column(values: list[Any] | None, name: str, kind: str, where: str) -> None:
    if values is None:
        raise BundleError(f"the item table lacks column {name!r}", where=where, remedy=FETCH_AGAIN)
    wrong = {type(each) for each in values} - {type(None)} - KINDS_OF_VALUES[kind]
    if kind == "tags" and not wrong:
        wrong = {type(tag) for each in values for tag in each or ()} - KINDS_OF_VALUES["text"]
    if wrong:
        found = ", ".join(sorted(each.__name__ for each in wrong))
        raise BundleError(f"column {name!r} of {kind} holds {found}", where=where, remedy=FETCH_AGAIN)


def _other_form(id_: Id) -> Id:
    """An integer for the text of it, and the reverse."""
    if isinstance(id_, int):
        return str(id_)
    return int(id_) if _WHOLE.fullmatch(id_) else id_
