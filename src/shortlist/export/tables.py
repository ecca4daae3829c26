"""Tables of numbers as bytes: float32, float16, and whole numbers of 8 or 4 bits with a scale a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shortlist.errors import BundleError, DataError, ShapeError
from shortlist.export.manifest import ENCODINGS, FETCH_AGAIN, Encoding

Float32Array = NDArray[np.float32]

LARGEST = {"int8": 127, "int4": 7}
# With 15 levels the best scale often cuts the largest number off; these shares of it are tried.
SHRINKS = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6)
SCALE_BYTES = 2


def table_bytes(encoding: Encoding, *, rows: int, dim: int) -> int:
    """How many bytes a table takes.

    Args:
        encoding: of its numbers.
        rows: how many.
        dim: numbers a row.
    """
    a_row = {"float32": 4 * dim, "float16": 2 * dim, "int8": dim, "int4": (dim + 1) // 2}
    return rows * (a_row[encoding] + (SCALE_BYTES if encoding in LARGEST else 0))


def encode_table(values: NDArray[Any], encoding: Encoding) -> bytes:
    """Pack a table, little endian: the scales of all rows first where there are scales, then row by row.

    Args:
        values: `[rows, dim]` finite numbers.
        encoding: a number of an `"int8"` or `"int4"` table is its row's scale times the code; a byte of an
            `"int4"` table holds two codes in two's complement, that of the lower column in its lower half.

    Returns:
        `table_bytes` bytes; a scale is a bfloat16.

    Raises:
        DataError: a number is not finite, or too large for float16.
        ShapeError: the values are no table.
    """
    if values.ndim != 2:
        raise ShapeError(f"a table has two axes, not {values.ndim}", remedy="pass [rows, dim] numbers")
    if not np.isfinite(values).all():
        raise DataError(
            f"a number of the table is {values[~np.isfinite(values)][0]}", remedy="train the model again"
        )
    if encoding == "float32":
        return values.astype("<f4").tobytes()
    if encoding == "float16":
        with np.errstate(over="ignore"):
            halves = values.astype("<f2")
        if not np.isfinite(halves).all():
            raise DataError("a number is too large for float16", remedy="choose float32 or int8")
        return halves.tobytes()
    scales = _row_scales(values.astype(np.float32), encoding)
    codes = _codes(values.astype(np.float32), scales, LARGEST[encoding])
    packed = codes if encoding == "int8" else _pack_halves(codes)
    return _upper_halves(scales).tobytes() + packed.tobytes()


def decode_table(content: bytes, encoding: Encoding, *, rows: int, dim: int) -> Float32Array:
    """Unpack a table.

    Args:
        content: what `encode_table` gave.
        encoding: of its numbers.
        rows: how many.
        dim: numbers a row.

    Returns:
        `[rows, dim]` float32.

    Raises:
        BundleError: the encoding is unknown, the content has another length or holds what is no number.
    """
    if encoding not in ENCODINGS:
        raise BundleError(f"the encoding {encoding!r} is unknown", remedy="upgrade shortlist")
    if len(content) != table_bytes(encoding, rows=rows, dim=dim):
        raise BundleError(
            f"a table of {rows} x {dim} numbers in {encoding} has {len(content)} bytes", remedy=FETCH_AGAIN
        )
    if encoding in LARGEST:
        scales = _whole(np.frombuffer(content, "<u2", count=rows))
        width = dim if encoding == "int8" else (dim + 1) // 2
        packed = np.frombuffer(content, np.uint8, offset=SCALE_BYTES * rows).reshape(rows, width)
        codes = packed.view(np.int8) if encoding == "int8" else _unpack_halves(packed, dim)
        values = codes * scales[:, None]
    else:
        kind = "<f4" if encoding == "float32" else "<f2"
        values = np.frombuffer(content, kind).reshape(rows, dim).astype(np.float32)
    if not np.isfinite(values).all():
        raise BundleError("a table holds what is no number", remedy=FETCH_AGAIN)
    return values


def _row_scales(values: Float32Array, encoding: Encoding) -> Float32Array:
    """`[rows]` what a code of 1 is worth, in bfloat16; 0 for a row of zeros.

    The codes are those of the rounded scale, so rounding it costs no more than steps 0.4 % larger.
    """
    largest = LARGEST[encoding]
    full = np.abs(values).max(axis=1, initial=0) / np.float32(largest)
    if encoding == "int8":
        return _rounded(full)
    best, least = _rounded(full), np.full(len(full), np.inf)
    for shrink in SHRINKS:
        scales = _rounded(full * np.float32(shrink))
        errors = np.square(_codes(values, scales, largest) * scales[:, None] - values).sum(axis=1)
        best, least = np.where(errors < least, scales, best), np.minimum(errors, least)
    return np.asarray(best, np.float32)


def _upper_halves(values: Float32Array) -> NDArray[np.uint16]:
    """The nearest bfloat16 of numbers from 0 on: the upper half of a float32, with all of its range."""
    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    return np.asarray((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16, "<u2")


def _whole(halves: NDArray[np.uint16]) -> Float32Array:
    return (halves.astype("<u4") << 16).view("<f4")


def _rounded(scales: NDArray[np.float32]) -> Float32Array:
    return _whole(_upper_halves(scales))


def _codes(values: Float32Array, scales: Float32Array, largest: int) -> NDArray[np.int8]:
    divisors = np.where(scales > 0, scales, 1)[:, None]
    return np.rint(values / divisors).clip(-largest, largest).astype(np.int8)


def _pack_halves(codes: NDArray[np.int8]) -> NDArray[np.uint8]:
    halves: NDArray[Any] = codes.view(np.uint8) & 15
    if halves.shape[1] % 2:
        halves = np.pad(halves, ((0, 0), (0, 1)))
    return np.asarray(halves[:, ::2] | (halves[:, 1::2] << 4), np.uint8)


def _unpack_halves(packed: NDArray[np.uint8], dim: int) -> NDArray[np.int8]:
    halves = np.stack([packed & 15, packed >> 4], axis=2).reshape(len(packed), 2 * packed.shape[1])[:, :dim]
    return (halves.astype(np.int8) ^ 8) - 8  # the sign of four bits
