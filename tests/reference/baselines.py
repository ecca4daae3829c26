"""The baselines in dense NumPy and plain loops, as their papers write them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def top_k(scores: list[float], k: int) -> list[int]:
    """Positions of the k highest scores, equal ones by lower position."""
    return sorted(range(len(scores)), key=lambda position: (-scores[position], position))[:k]


def ease(matrix: Matrix, l2: float) -> Matrix:
    """Steck (WWW 2019), algorithm 1."""
    inverse = np.linalg.inv(matrix.T @ matrix + l2 * np.eye(matrix.shape[1]))
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def least_squares(weights: Matrix, factors: Matrix, l2: float) -> Matrix:
    """Hu et al. (ICDM 2008), equation 4: each row's factors, `weights` 0 where there is no event."""
    solved = np.zeros((len(weights), factors.shape[1]))
    for row, weight in enumerate(weights):
        confidence = np.diag(1 + weight)
        wanted = (weight > 0).astype(float)
        system = factors.T @ confidence @ factors + l2 * np.eye(factors.shape[1])
        solved[row] = np.linalg.solve(system, factors.T @ confidence @ wanted)
    return solved


def als_loss(weights: Matrix, users: Matrix, items: Matrix, l2: float) -> float:
    """Hu et al. (ICDM 2008), equation 3."""
    error = ((weights > 0) - users @ items.T) ** 2
    return float(((1 + weights) * error).sum() + l2 * ((users**2).sum() + (items**2).sum()))


def similarity(matrix: Matrix, one: int, other: int, kind: str, shrinkage: float) -> float:
    """How similar two columns of a binary matrix are."""
    a, b = matrix[:, one], matrix[:, other]
    joined = np.sqrt(a.sum() * b.sum()) if kind == "cosine" else a.sum() + b.sum() - a @ b
    return float(a @ b / (joined + shrinkage)) if a @ b else 0.0
