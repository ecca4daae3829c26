"""One file of arrays that can be mapped into memory, each at its place and with its checksum.

A page-aligned binary container: a fixed prefix, a JSON header, then the sections, each at a multiple of 4,096
bytes, so that its numbers can be used where they lie. All numbers are little-endian. The header gives every
section's place, type, shape and checksum; the bytes between sections are zero.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import secrets
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.errors import BundleError
from shortlist.kernels.checksums import checksum

MAGIC = b"shortlist-index\n"
FORMAT = 2
ALIGNMENT = 4096

# What arrays may hold; anything else that a file says of itself is refused.
DTYPES = {name: np.dtype(name) for name in ("|u1", "<u2", "<u4", "<i8", "<f4", "<f8")}
# What reading values and arrays that do not fit together raises.
MISFITS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    pl.exceptions.PolarsError,
)

Sections = dict[str, NDArray[Any]]


def write_sections(path: Path, header: dict[str, Any], sections: Sections, *, threads: int | None) -> None:
    """Write a file through a temporary one beside it: an older file stays until the new one is whole.

    Args:
        path: the file.
        header: what else to say, as JSON.
        sections: contiguous arrays by name.
        threads: to compute checksums with.
    """
    _require_little_endian(path)
    entries: list[dict[str, Any]] = []
    start = 0  # relative to the first section, whose place depends on the header's length
    for name, array in sections.items():
        entry = {"name": name, "dtype": array.dtype.str, "shape": array.shape, "start": start}
        entries.append(entry | {"checksum": _checksum(array, threads)})
        start += _aligned(array.nbytes)
    encoded = json.dumps({"format": FORMAT, "byte_order": "little", **header, "sections": entries}).encode()
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


def read_sections(path: Path, *, threads: int | None) -> tuple[dict[str, Any], Sections]:
    """Map a file and check every byte of it.

    Returns:
        The header, and the arrays, read-only, where they lie in the file.

    Raises:
        BundleError: the file is damaged, foreign or from a newer version.
    """
    _require_little_endian(path)
    try:
        file: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise refused(path, f"cannot be read: {error}") from error
    try:
        header, first = _read_header(path, file)
        if header["format"] != FORMAT:
            newer = header["format"] > FORMAT
            raise BundleError(
                f"format {header['format']}, this version reads {FORMAT}",
                where=str(path),
                remedy="upgrade shortlist" if newer else "save the index again with this version",
            )
        return header, _read_arrays(path, file, header["sections"], first, threads)
    except BundleError:
        raise
    except MISFITS as error:
        raise refused(path, f"the header makes no sense: {error!r}") from error


def arrow_bytes(table: pl.DataFrame) -> NDArray[np.uint8]:
    """A table as the bytes of an Arrow file."""
    buffer = io.BytesIO()
    table.write_ipc(buffer)
    return np.frombuffer(buffer.getbuffer(), np.uint8)


def refused(path: Path, what: str) -> BundleError:
    """The error for a file that cannot be used."""
    return BundleError(what, where=str(path), remedy="restore the file or save the index again")


def _read_header(path: Path, file: NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    start = len(MAGIC) + 40
    if bytes(file[: len(MAGIC)]) != MAGIC:
        raise refused(path, "not an index of shortlist")
    end = start + int.from_bytes(bytes(file[len(MAGIC) : len(MAGIC) + 8]), "little")
    if end > len(file) or hashlib.sha256(file[start:end].data).digest() != bytes(file[start - 32 : start]):
        raise refused(path, "the header is damaged")
    first = _aligned(end)
    if file[end:first].any():
        raise refused(path, "the bytes after the header are damaged")
    return json.loads(bytes(file[start:end])), first


def _read_arrays(
    path: Path, file: NDArray[np.uint8], entries: list[dict[str, Any]], first: int, threads: int | None
) -> Sections:
    sections = {}
    end = first
    for entry in entries:
        name, dtype, shape = str(entry["name"]), DTYPES[entry["dtype"]], tuple(entry["shape"])
        size = math.prod(shape) * dtype.itemsize  # in Python's integers: a forged shape may be huge
        if entry["start"] != end - first or any(length < 0 for length in shape):
            raise refused(path, f"section {name!r} is out of place")
        begin, end = end, end + _aligned(size)
        if end > len(file):
            raise refused(path, f"section {name!r} is cut off")
        content = file[begin : begin + size]
        if checksum(content, threads=threads) != entry["checksum"] or file[begin + size : end].any():
            raise refused(path, f"section {name!r} is damaged")
        sections[name] = content.view(dtype).reshape(shape)
    if end != len(file):
        raise refused(path, f"{len(file):,} bytes long instead of {end:,}")
    return sections


def _checksum(array: NDArray[Any], threads: int | None) -> int:
    return checksum(array.reshape(-1).view(np.uint8), threads=threads)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _require_little_endian(path: Path) -> None:
    if sys.byteorder != "little":
        raise BundleError(
            "index files are little-endian and this machine is not",
            where=str(path),
            remedy="use a little-endian machine, or build the index anew",
        )
