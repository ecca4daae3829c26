"""Click models by their papers' formulas, number by number: one row at a time, lists of floats."""

from __future__ import annotations

import math
from collections.abc import Sequence

Vector = Sequence[float]
Matrix = Sequence[Sequence[float]]


def dot(one: Vector, other: Vector) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def matvec(matrix: Matrix, vector: Vector) -> list[float]:
    return [dot(row, vector) for row in matrix]


def softmax(logits: Vector) -> list[float]:
    powers = [math.exp(each - max(logits)) for each in logits]
    return [power / sum(powers) for power in powers]


def pairwise_sum(fields: Matrix) -> float:
    """Rendle's double sum over the pairs."""
    return sum(dot(fields[i], fields[j]) for i in range(len(fields)) for j in range(i + 1, len(fields)))


def compressed_interaction(
    fields: Matrix, kernels: Sequence[Matrix], biases: Sequence[Vector]
) -> list[float]:
    """CIN: `kernels[k][h]` weighs the pairs (vector i of the layer before, field j), i first."""
    dim, before, sums = len(fields[0]), [list(field) for field in fields], []
    for kernel, bias in zip(kernels, biases, strict=True):
        after = []
        for weights, start in zip(kernel, bias, strict=True):
            vector = [start] * dim
            for i in range(len(before)):
                for j in range(len(fields)):
                    for d in range(dim):
                        vector[d] += weights[i * len(fields) + j] * before[i][d] * fields[j][d]
            after.append(vector)
        sums += [sum(vector) for vector in after]
        before = after
    return sums


def cross_mixture(
    x0: Vector,
    x: Vector,
    *,
    downs: Sequence[Matrix],
    cores: Sequence[Matrix],
    ups: Sequence[Matrix],
    gates: Matrix,
    bias: Vector,
) -> list[float]:
    """Experts one by one, each with its own product with `x0`."""
    shares = softmax(matvec(gates, x))
    total = list(x)
    for share, down, core, up in zip(shares, downs, cores, ups, strict=True):
        small = [math.tanh(each) for each in matvec(down, x)]
        small = [math.tanh(each) for each in matvec(core, small)]
        back = matvec(up, small)
        for d in range(len(x0)):
            total[d] += share * x0[d] * (back[d] + bias[d])
    return total


def field_attention(
    fields: Matrix, *, queries: Matrix, keys: Matrix, values: Matrix, residual: Matrix, heads: int
) -> list[list[float]]:
    """AutoInt's layer, head by head and field by field."""
    asked, known, told = ([matvec(each, field) for field in fields] for each in (queries, keys, values))
    kept = [matvec(residual, field) for field in fields]
    width = len(queries) // heads
    out = []
    for m in range(len(fields)):
        row: list[float] = []
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            shares = softmax([dot(asked[m][part], known[k][part]) for k in range(len(fields))])
            row += [sum(share * told[k][part][d] for k, share in enumerate(shares)) for d in range(width)]
        out.append([max(0.0, a + b) for a, b in zip(row, kept[m], strict=True)])
    return out


def bilinear_meeting(
    first: Vector, second: Vector, *, linear: tuple[Vector, Vector], bias: float, kernels: Sequence[Matrix]
) -> float:
    """FinalMLP's end: two linear forms and, head by head, a bilinear one."""
    heads = len(kernels)
    total = dot(first, linear[0]) + dot(second, linear[1]) + bias
    for head, kernel in enumerate(kernels):
        a = first[head * len(first) // heads : (head + 1) * len(first) // heads]
        b = second[head * len(second) // heads : (head + 1) * len(second) // heads]
        total += sum(a[i] * kernel[i][j] * b[j] for i in range(len(a)) for j in range(len(b)))
    return total
