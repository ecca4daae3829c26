"""Which encoding each table gets: a forced one, or the most precise that a budget of bytes allows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from shortlist.errors import ConfigError, did_you_mean
from shortlist.export.manifest import ENCODINGS, Encoding
from shortlist.export.tables import table_bytes

Shapes = Mapping[str, tuple[int, int]]
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def parse_bytes(size: str | int) -> int:
    """A size in bytes.

    Args:
        size: a number of bytes, or a text such as `"2MB"` or `"512 KiB"`.

    Raises:
        ConfigError: it is no size.
    """
    if isinstance(size, int) and not isinstance(size, bool) and size > 0:
        return size
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", str(size))
    unit = None if found is None else UNITS.get(found[2].upper())
    if found is None or unit is None or float(found[1]) * unit < 1:
        raise ConfigError(f"max_bytes is {size!r}", where="export", remedy="give a size such as '2MB'")
    return int(float(found[1]) * unit)


def choose_encodings(
    shapes: Shapes, *, encoding: str | None = None, room: int | None = None
) -> dict[str, Encoding]:
    """The encoding of each table.

    With a budget, all tables first get the most precise encoding that fits; then one table after another, in
    the order given, gets the next better one as long as that fits too. Tables of one column stay float32:
    there is no row to share a scale.

    Args:
        shapes: rows and columns of each table, the one whose precision matters most first.
        encoding: the encoding of all tables; None chooses.
        room: bytes for all tables together; None for any number.

    Raises:
        ConfigError: the encoding is unknown, or nothing fits.
    """
    if encoding is not None and encoding not in ENCODINGS:
        remedy = did_you_mean(encoding, ENCODINGS)
        raise ConfigError(f"encoding {encoding!r} is unknown", where="export", remedy=remedy)
    for tried in ENCODINGS if encoding is None else [each for each in ENCODINGS if each == encoding]:
        chosen: dict[str, Encoding] = {
            name: tried if columns > 1 else "float32" for name, (_, columns) in shapes.items()
        }
        if room is None or tables_bytes(shapes, chosen) <= room:
            return chosen if room is None or encoding is not None else _raised(shapes, chosen, room)
    assert room is not None
    raise ConfigError(
        f"the tables take {tables_bytes(shapes, chosen):,} bytes in {tried}, and there is room for {room:,}",
        where="max_bytes",
        remedy="allow more bytes, keep fewer items with --items, or train with a smaller dim",
    )


def tables_bytes(shapes: Shapes, encodings: Mapping[str, Encoding]) -> int:
    """What all tables take.

    Args:
        shapes: rows and columns of each table.
        encodings: of each table.
    """
    return sum(
        table_bytes(encodings[name], rows=rows, dim=columns) for name, (rows, columns) in shapes.items()
    )


def _raised(shapes: Shapes, chosen: dict[str, Encoding], room: int) -> dict[str, Encoding]:
    for name in shapes:
        place = ENCODINGS.index(chosen[name])
        if place > 0:
            better = {**chosen, name: ENCODINGS[place - 1]}
            chosen = better if tables_bytes(shapes, better) <= room else chosen
    return chosen
