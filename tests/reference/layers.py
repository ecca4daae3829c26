"""The formulas of the layers, one number at a time: what `shortlist.nn` must agree with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Vector = Sequence[float]
Matrix = Sequence[Sequence[float]]


def times(matrix: Matrix, vector: Vector) -> list[float]:
    """A matrix times a column."""
    return [math.fsum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix]


def cross_matrix(
    x0: Vector,
    x: Vector,
    kernel: Matrix,
    bias: Vector,
    *,
    diag_scale: float = 0.0,
    activation: Callable[[float], float] = lambda value: value,
) -> list[float]:
    """DCN-v2: `x0 * (activation(W x + b) + diag_scale * x) + x`."""
    inner = [value + shift for value, shift in zip(times(kernel, x), bias, strict=True)]
    return [
        first * (activation(value) + diag_scale * last) + last
        for first, value, last in zip(x0, inner, x, strict=True)
    ]


def cross_vector(x0: Vector, x: Vector, kernel: Vector, bias: Vector) -> list[float]:
    """DCN: `x0 * (w . x) + b + x`."""
    product = math.fsum(a * b for a, b in zip(kernel, x, strict=True))
    return [first * product + shift + last for first, shift, last in zip(x0, bias, x, strict=True)]


def pairs(features: Sequence[Vector], *, self_interaction: bool) -> list[float]:
    """Inner products of each feature with the ones before it, row by row of the lower triangle."""
    return [
        math.fsum(a * b for a, b in zip(features[row], features[column], strict=True))
        for row in range(len(features))
        for column in range(row + 1 if self_interaction else row)
    ]


def mean_of_rows(table: Matrix, rows: Sequence[int]) -> list[float]:
    """The mean of some rows, row 0 left out; zeros without any."""
    known = [table[row] for row in rows if row != 0]
    if not known:
        return [0.0] * len(table[0])
    return [math.fsum(column) / len(known) for column in zip(*known, strict=True)]


def attention(
    table: Matrix, rows: Sequence[int], item_scores: Vector, distance_scores: Vector
) -> list[float]:
    """The mean of some rows weighted by a softmax of their scores, row 0 left out; zeros without any."""
    known = [
        (row, item_scores[row] + distance_scores[len(rows) - 1 - place])
        for place, row in enumerate(rows)
        if row != 0
    ]
    if not known:
        return [0.0] * len(table[0])
    powers = [math.exp(score) for _, score in known]
    return [
        math.fsum(power * table[row][column] for power, (row, _) in zip(powers, known, strict=True))
        / math.fsum(powers)
        for column in range(len(table[0]))
    ]
