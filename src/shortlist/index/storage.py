"""An index as one file: whole or absent, checked when read, mapped rather than copied.

    magic (16 bytes) · length of the header (8) · SHA-256 of the header (32) · header (JSON) · sections

Each section starts at a multiple of 4,096 bytes, so that its numbers can be used where they lie. The header
gives every section's place, type, shape and SHA-256; the bytes between sections are zero.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.arrow_files import read_arrow
from shortlist.errors import BundleError, Error
from shortlist.index.ids import SlotTable
from shortlist.index.inputs import Metric, as_ids, check_metric
from shortlist.index.snapshot import Snapshot
from shortlist.kernels import Codes, Segment

MAGIC = b"shortlist-index\n"
FORMAT = 1
ALIGNMENT = 4096


def write_index(path: Path, snapshot: Snapshot, *, dim: int, metric: Metric) -> None:
    """Write a snapshot of one segment, through a temporary file beside the target."""
    sections = _sections(snapshot)
    entries: list[dict[str, Any]] = []
    start = 0  # relative to the first section, whose place depends on the header's length
    for name, array in sections.items():
        digest = hashlib.sha256(array.data).hexdigest()
        entries.append(
            {"name": name, "dtype": array.dtype.str, "shape": array.shape, "start": start, "sha256": digest}
        )
        start += _aligned(array.nbytes)
    header = {"format": FORMAT, "dim": dim, "metric": metric, "items": len(snapshot.ids), "sections": entries}
    encoded = json.dumps(header).encode()
    prefix = MAGIC + len(encoded).to_bytes(8, "little") + hashlib.sha256(encoded).digest() + encoded
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(prefix.ljust(_aligned(len(prefix)), b"\0"))
            for array in sections.values():
                file.write(array.data)
                file.write(bytes(_aligned(array.nbytes) - array.nbytes))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_index(path: Path) -> tuple[Snapshot, int, Metric]:
    """Map a file and check every byte of it.

    Returns:
        The snapshot, the width of the vectors and the metric.

    Raises:
        BundleError: the file is damaged, foreign or from a newer version.
    """
    try:
        file: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise _refused(path, f"cannot be read: {error}") from error
    try:
        header, first = _read_header(path, file)
        if header["format"] > FORMAT:
            raise BundleError(
                f"format {header['format']}, this version reads up to {FORMAT}",
                where=str(path),
                remedy="upgrade shortlist or save the index again with this version",
            )
        sections = _read_sections(path, file, header["sections"], first)
        snapshot = _snapshot(sections, int(header["dim"]), int(header["items"]))
        return snapshot, int(header["dim"]), check_metric(header["metric"])
    except (KeyError, TypeError, ValueError, pl.exceptions.PolarsError) as error:
        if isinstance(error, BundleError):
            if error.where:
                raise
            raise _refused(path, error.what) from error
        raise _refused(path, f"its parts do not fit together: {error}") from error


def _sections(snapshot: Snapshot) -> dict[str, NDArray[Any]]:
    sections: dict[str, NDArray[Any]] = {"ids": _arrow(snapshot.ids.to_frame("id"))}
    if snapshot.items is not None:
        sections["items"] = _arrow(snapshot.items)
    for segment in snapshot.segments:
        sections["vectors"] = segment.vectors
        if segment.codes is not None:
            codes = segment.codes
            sections |= {"codes": codes.codes, "stats": codes.stats, "order": codes.order}
    return sections


def _arrow(table: pl.DataFrame) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    table.write_ipc(buffer)
    return np.frombuffer(buffer.getbuffer(), np.uint8)


def _read_header(path: Path, file: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    start = len(MAGIC) + 40
    if bytes(file[: len(MAGIC)]) != MAGIC:
        raise _refused(path, "not an index of shortlist")
    end = start + int.from_bytes(bytes(file[len(MAGIC) : len(MAGIC) + 8]), "little")
    if end > len(file) or hashlib.sha256(file[start:end].data).digest() != bytes(file[start - 32 : start]):
        raise _refused(path, "the header is damaged")
    first = _aligned(end)
    if file[end:first].any():
        raise _refused(path, "the bytes after the header are damaged")
    return json.loads(bytes(file[start:end])), first


def _read_sections(
    path: Path, file: NDArray[np.uint8], entries: list[dict[str, Any]], first: int
) -> dict[str, NDArray[Any]]:
    sections = {}
    end = first
    for entry in entries:
        name, dtype, shape = entry["name"], np.dtype(entry["dtype"]), tuple(entry["shape"])
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        begin, end = first + entry["start"], first + entry["start"] + _aligned(size)
        if end > len(file):
            raise _refused(path, f"section {name!r} is cut off")
        content = file[begin : begin + size]
        if hashlib.sha256(content.data).hexdigest() != entry["sha256"] or file[begin + size : end].any():
            raise _refused(path, f"section {name!r} is damaged")
        sections[name] = content.view(dtype).reshape(shape)
    if end != len(file):
        raise _refused(path, f"{len(file):,} bytes long instead of {end:,}")
    return sections


def _snapshot(sections: dict[str, NDArray[Any]], dim: int, count: int) -> Snapshot:
    ids = as_ids(read_arrow(sections["ids"].tobytes())["id"])
    items = read_arrow(sections["items"].tobytes()) if "items" in sections else None
    if len(ids) != count or (items is not None and len(items) != count):
        raise ValueError("the tables have another number of items than the header")
    if count == 0:
        return Snapshot((), SlotTable(ids), ids, np.ones(0, np.bool_), items)
    vectors = sections["vectors"]
    if vectors.shape != (count, dim):
        raise ValueError(f"vectors of shape {list(vectors.shape)} instead of {[count, dim]}")
    codes = Codes(sections["codes"], sections["stats"], sections["order"])
    return Snapshot((Segment(vectors, codes),), SlotTable(ids), ids, np.ones(count, np.bool_), items)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _refused(path: Path, what: str) -> Error:
    return BundleError(what, where=str(path), remedy="restore the file or save the index again")
