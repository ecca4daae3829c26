"""Nearly the product of a table and a query, in whole numbers, with a bound of what that costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shortlist.export.device.models import open_session
from shortlist.export.tables import Float32Array

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

# Vectors have 7 bits, since with 8 processors without VNNI would cut off the sums of two products.
LARGEST = 63
TINY = float(np.finfo(np.float32).tiny)
ROUNDING = 1e-6  # of the lengths of two vectors: more than float32 loses of them and of their product
WIDEST = 1 << 30  # a margin that lets everything through, and is still far from the end of 32 bits
SMALLEST = 1e-30  # what the margin is worth
OPSET, IR_VERSION = 18, 8
FLOAT, INT8, INT32 = 1, 3, 6  # TensorProto.DataType
# Names that no model has for parts of its own.
NAMES = ("digits", "scale", "zero", "codes", "products", "kept", "rest", "lacking", "length")
DIGITS, SCALE, ZERO, CODES, PRODUCTS, KEPT, REST, LACKING, LENGTH = (f"rough/{name}" for name in NAMES)
GIVEN = (PRODUCTS, SCALE, LACKING, LENGTH)


class RoughProduct:
    """Multiplies the vectors of a table by a query in a byte a number, a quarter of what float32 takes.

    The vectors are centred first, since what all of them share ranks no item before another, and then whole
    numbers times one step. With `v - mean = a + e` for a vector and `q = b + d` for the query, where `a` and
    `b` are the whole numbers and `e` and `d` what they lack, `|(v - mean) q - a b| <= |a| |d| + |e| |q|`.

    Args:
        vectors: `[rows, dim]`, row 0 the unknown item, whose product says nothing.
    """

    def __init__(self, vectors: Float32Array) -> None:
        centred = vectors - vectors[1:].mean(axis=0, dtype=np.float64).astype(np.float32)
        centred[0] = 0
        self._step = max(float(np.abs(centred).max(initial=0)) / LARGEST, TINY)
        codes = np.rint(centred / np.float32(self._step)).clip(-LARGEST, LARGEST).astype(np.int8)
        kept = codes * np.float32(self._step)
        self._kept = _longest(kept)
        self._lost = _longest(centred - kept) + ROUNDING * _longest(vectors[1:])
        self._codes = codes

    def after(self, model: bytes) -> bytes:
        """A model that gives the outputs `GIVEN` too, of the product with its output `query`.

        Args:
            model: in ONNX.
        """
        # What is written after a message of Protocol Buffers is merged into it: nodes are added to the nodes.
        return model + _part(7, _graph(self._codes))

    @cached_property
    def alone(self) -> InferenceSession:
        """A session from an input `query`, `[1, dim]`, to the outputs `GIVEN`."""
        graph = _text(2, "rough product") + _part(11, _value("query", FLOAT, 1, self._codes.shape[1]))
        header = _number(1, IR_VERSION) + _part(8, _number(2, OPSET))
        return open_session(self.after(header + _part(7, graph)), "the rough product")

    def read(self, given: Sequence[NDArray[Any]]) -> tuple[NDArray[np.int32], int]:
        """The products, and how far they can be trusted.

        Args:
            given: the outputs `GIVEN`.

        Returns:
            `[rows]` products in some unit, less than 2^30 in size, and a margin: where one is larger than
            another by more than that, so is the dot product, even when both are rounded to float32.
        """
        products, scale, lacking, length = given
        off = self._kept * float(lacking[0, 0]) + self._lost * float(length[0, 0])
        unit = self._step * float(scale)
        # Beyond either bound float32 has no digits left to say how far off the products are.
        trusted = SMALLEST < off < unit * WIDEST / 4
        return products[0], int(2 * off / unit) + 1 if trusted else WIDEST


def _longest(vectors: Float32Array) -> float:
    """The length of the longest row."""
    return math.sqrt(np.einsum("rd,rd->r", vectors, vectors).max(initial=0))


def _graph(codes: NDArray[np.int8]) -> bytes:
    """A part of a graph of ONNX; written by hand, since a device has no package that would."""
    rows = len(codes)
    nodes = (
        ("DynamicQuantizeLinear", ("query",), (DIGITS, SCALE, ZERO)),
        ("MatMulInteger", (DIGITS, CODES, ZERO), (PRODUCTS,)),
        ("DequantizeLinear", (DIGITS, SCALE, ZERO), (KEPT,)),
        ("Sub", ("query", KEPT), (REST,)),
        ("ReduceL2", (REST,), (LACKING,)),
        ("ReduceL2", ("query",), (LENGTH,)),
    )
    graph = b"".join(_part(1, _node(*each)) for each in nodes)
    graph += _part(5, _tensor(CODES, np.ascontiguousarray(codes.T), INT8))
    shapes = (
        (PRODUCTS, INT32, (1, rows)),
        (SCALE, FLOAT, ()),
        (LACKING, FLOAT, (1, 1)),
        (LENGTH, FLOAT, (1, 1)),
    )
    return graph + b"".join(_part(12, _value(name, kind, *shape)) for name, kind, shape in shapes)


def _node(kind: str, reads: Sequence[str], gives: Sequence[str]) -> bytes:
    named = [_text(1, each) for each in reads] + [_text(2, each) for each in gives]
    return b"".join(named) + _text(4, kind)


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
