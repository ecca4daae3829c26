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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.sealed_folder import sync
from shortlist.errors import BundleError
from shortlist.kernels.checksums import checksum

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


@dataclass(frozen=True)
class FileKind:
    """What a file holds.

    Args:
        magic: its first 16 bytes.
        format: the version that is written and read.
        called: what errors call it, with its article.
        again: what to do in place of a damaged one.
    """

    magic: bytes
    format: int
    called: str
    again: str

    def refused(self, path: Path, what: str) -> BundleError:
        """The error for a file that cannot be used."""
        return BundleError(what, where=str(path), remedy=f"restore the file or {self.again}")


def write_sections(
    path: Path, header: dict[str, Any], sections: Sections, *, kind: FileKind, threads: int | None
) -> None:
    """Write a file through a temporary one beside it: an older one stays until the new one is on the disk.

    Args:
        path: the file.
        header: what else to say, as JSON.
        sections: contiguous arrays by name.
        kind: of the file.
        threads: to compute checksums with.
    """
    _require_little_endian(path, kind)
    entries: list[dict[str, Any]] = []
    start = 0  # relative to the first section, whose place depends on the header's length
    for name, array in sections.items():
        entry = {"name": name, "dtype": array.dtype.str, "shape": array.shape, "start": start}
        entries.append(entry | {"checksum": _checksum(array, threads)})
        start += _aligned(array.nbytes)
    described = {"format": kind.format, "byte_order": "little", **header, "sections": entries}
    encoded = json.dumps(described).encode()
    prefix = kind.magic + len(encoded).to_bytes(8, "little") + hashlib.sha256(encoded).digest() + encoded
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
        sync(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def read_sections(
    path: Path, *, kind: FileKind, threads: int | None, check: bool = True
) -> tuple[dict[str, Any], Sections]:
    """Map a file and check it.

    Args:
        path: the file.
        kind: what it must hold.
        threads: to compute checksums with.
        check: whether every byte of the sections is read and checked, or only the header and the lengths.

    Returns:
        The header, and the arrays, read-only, where they lie in the file.

    Raises:
        BundleError: the file is damaged, foreign or from a newer version.
    """
    _require_little_endian(path, kind)
    try:
        file: NDArray[np.uint8] = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as error:
        raise kind.refused(path, f"cannot be read: {error}") from error
    try:
        header, first = _read_header(path, file, kind)
        if header["format"] != kind.format:
            newer = header["format"] > kind.format
            raise BundleError(
                f"format {header['format']}, this version reads {kind.format}",
                where=str(path),
                remedy="upgrade shortlist" if newer else f"{kind.again} with this version",
            )
        entries = list(_places(path, file, header["sections"], first, kind))
        if check:
            for entry, begin, size, end in entries:
                whole = checksum(file[begin : begin + size], threads=threads) == entry["checksum"]
                if not whole or file[begin + size : end].any():
                    raise kind.refused(path, f"section {entry['name']!r} is damaged")
        return header, {
            str(entry["name"]): _array(file, entry, begin, size) for entry, begin, size, _ in entries
        }
    except BundleError:
        raise
    except MISFITS as error:
        raise kind.refused(path, f"the header makes no sense: {error!r}") from error


def arrow_bytes(table: pl.DataFrame) -> NDArray[np.uint8]:
    """A table as the bytes of an Arrow file."""
    buffer = io.BytesIO()
    table.write_ipc(buffer)
    return np.frombuffer(buffer.getbuffer(), np.uint8)


def _read_header(path: Path, file: NDArray[np.uint8], kind: FileKind) -> tuple[dict[str, Any], int]:
    length = len(kind.magic)
    start = length + 40
    if bytes(file[:length]) != kind.magic:
        raise kind.refused(path, f"not {kind.called} of shortlist")
    end = start + int.from_bytes(bytes(file[length : length + 8]), "little")
    if end > len(file) or hashlib.sha256(file[start:end].data).digest() != bytes(file[start - 32 : start]):
        raise kind.refused(path, "the header is damaged")
    first = _aligned(end)
    if file[end:first].any():
        raise kind.refused(path, "the bytes after the header are damaged")
    return json.loads(bytes(file[start:end])), first


def _places(
    path: Path, file: NDArray[np.uint8], entries: list[dict[str, Any]], first: int, kind: FileKind
) -> Iterator[tuple[dict[str, Any], int, int, int]]:
    """Each section's entry, where it begins, its length, and where the next one may begin."""
    end = first
    for entry in entries:
        name, shape = str(entry["name"]), tuple(entry["shape"])
        size = (
            math.prod(shape) * DTYPES[entry["dtype"]].itemsize
        )  # a Python integer: a forged shape may be huge
        if entry["start"] != end - first or any(length < 0 for length in shape):
            raise kind.refused(path, f"section {name!r} is out of place")
        begin, end = end, end + _aligned(size)
        if end > len(file):
            raise kind.refused(path, f"section {name!r} is cut off")
        yield entry, begin, size, end
    if end != len(file):
        raise kind.refused(path, f"{len(file):,} bytes long instead of {end:,}")


def _array(file: NDArray[np.uint8], entry: dict[str, Any], begin: int, size: int) -> NDArray[Any]:
    return file[begin : begin + size].view(DTYPES[entry["dtype"]]).reshape(tuple(entry["shape"]))


def _checksum(array: NDArray[Any], threads: int | None) -> int:
    return checksum(array.reshape(-1).view(np.uint8), threads=threads)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _require_little_endian(path: Path, kind: FileKind) -> None:
    if sys.byteorder != "little":
        raise BundleError(
            f"the file of {kind.called} is little-endian and this machine is not",
            where=str(path),
            remedy="use a little-endian machine, or build it anew",
        )
