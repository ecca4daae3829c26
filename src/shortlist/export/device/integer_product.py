"""The product of stored codes and a query in whole numbers: a quarter of the bytes, with the same result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.models import open_session
from shortlist.export.tables import Codes, Float32Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# A query is a whole number of 28 bits times a step, in digits of 7 bits around ZERO: with 8 bits, processors
# without VNNI would cut off the sums of two products; and beyond four digits is less than float32 holds.
DIGITS, BITS, ZERO = 4, 7, 64
SHIFTS = BITS * np.arange(DIGITS)[:, None]
WORTH = (2.0 ** (BITS * np.arange(DIGITS)))[None]
ZEROS = ZERO * int(WORTH.sum())
LARGEST = 63 * int(WORTH.sum())
TINY = np.finfo(np.float32).tiny
OPSET, IR_VERSION = 18, 8
FLOAT, UINT8, INT8 = 1, 2, 3  # TensorProto.DataType


class IntegerProduct:
    """Multiplies a table in codes by a query.

    Sums of products of whole numbers are exact, and a query of four digits is that of float32, so the result
    differs from the one in float32 by rounding alone.

    Args:
        table: `[rows, dim]` codes with a scale a row.
    """

    def __init__(self, table: Codes) -> None:
        self._session: InferenceSession = open_session(_model(table), "the product with a table of codes")

    def __call__(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[dim]` to `[rows]` dot products."""
        digits, worth = _digits(query)
        found: Float32Array = self._session.run(None, {"digits": digits, "worth": worth})[0]
        products: NDArray[np.float32] = found[0]
        return products


def _digits(query: NDArray[np.float32]) -> tuple[NDArray[np.uint8], Float32Array]:
    """`[DIGITS, dim]` digits, the lowest first, and `[1, DIGITS]` what each is worth."""
    # Powers of two times this step are float32 too, so the product has the same worth.
    step = np.float64(max(np.abs(query).max(initial=0) / np.float32(LARGEST - 16), TINY))
    whole = np.rint(query / step).astype(np.int64) + ZEROS
    return (whole >> SHIFTS & 127).astype(np.uint8), (step * WORTH).astype(np.float32)


def _model(table: Codes) -> bytes:
    """An ONNX model; written by hand, since a device has no package that would."""
    rows, dim = table.codes.shape
    nodes = [
        ("MatMulInteger", ["digits", "codes", "zero"], "sums", b""),
        ("Cast", ["sums"], "numbers", _part(5, _text(1, "to") + _number(3, FLOAT) + _number(20, 2))),
        ("MatMul", ["worth", "numbers"], "steps", b""),
        ("Mul", ["steps", "scales"], "products", b""),
    ]
    graph = b"".join(
        _part(1, b"".join(_text(1, each) for each in reads) + _text(2, gives) + _text(4, kind) + attribute)
        for kind, reads, gives, attribute in nodes
    )
    graph += _text(2, "product")
    graph += _part(5, _tensor("codes", np.ascontiguousarray(table.codes.T), INT8))
    graph += _part(5, _tensor("zero", np.array(ZERO, np.uint8), UINT8))
    graph += _part(5, _tensor("scales", table.scales[None].astype("<f4"), FLOAT))
    graph += _part(11, _value("digits", UINT8, DIGITS, dim)) + _part(11, _value("worth", FLOAT, 1, DIGITS))
    graph += _part(12, _value("products", FLOAT, 1, rows))
    return _number(1, IR_VERSION) + _part(8, _number(2, OPSET)) + _part(7, graph)


def _tensor(name: str, values: NDArray[Any], kind: int) -> bytes:
    sizes = b"".join(_number(1, size) for size in values.shape)
    return sizes + _number(2, kind) + _text(8, name) + _part(9, values.tobytes())


def _value(name: str, kind: int, *sizes: int) -> bytes:
    shape = b"".join(_part(1, _number(1, size)) for size in sizes)
    return _text(1, name) + _part(2, _part(1, _number(1, kind) + _part(2, shape)))


def _text(field: int, text: str) -> bytes:
    return _part(field, text.encode())


def _part(field: int, content: bytes) -> bytes:
    """A field of bytes in the encoding of Protocol Buffers."""
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
