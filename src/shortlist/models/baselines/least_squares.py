"""The half-step of alternating least squares: one side's factors, given the other's."""

from __future__ import annotations

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged

# Numbers in one block of gathered factors: about what fits the second-level cache of two cores.
BLOCK_VALUES = 1 << 19
# A block holds rows of similar lengths, padded to the longest.
PADDING = 1.15


def whitened(factors: Tensor, l2: float) -> tuple[Tensor, Tensor]:
    """Factors in coordinates where the part of the problem that all rows share is the identity.

    Args:
        factors: `[n, dim]` float32.
        l2: strength of the regularisation.

    Returns:
        `[n, dim]` whitened factors, and the `[dim, dim]` matrix that makes them: `factors @ matrix`.
    """
    gram = factors.double().T @ factors.double()
    gram.diagonal().add_(l2)
    matrix = torch.linalg.inv(torch.linalg.cholesky(gram)).T
    return (factors.double() @ matrix).float(), matrix.float()


def solve_factors(rows: Ragged, weights: Tensor, factors: Tensor, *, l2: float) -> Tensor:
    """The best factors of each row: weighted least squares over all columns, unseen ones as zeros.

    For row `u`, minimises `sum_j c_uj (p_uj - x_u . y_j)^2 + l2 |x_u|^2` with `p` 1 and `c = 1 + weight` for
    the columns of the row, and `p` 0 and `c` 1 for all others.

    Args:
        rows: `[batch]` rows of column numbers.
        weights: float32 above 0, aligned with the values of `rows`.
        factors: `[n, dim]` float32, the columns' factors `y`.
        l2: strength of the regularisation, above 0.

    Returns:
        `[batch, dim]` float32; zeros for empty rows.

    Source: Hu, Koren and Volinsky, Collaborative filtering for implicit feedback datasets (ICDM 2008).
    """
    white, matrix = whitened(factors, l2)
    # One more row, of zeros, is what short rows of a block are padded with.
    white = torch.cat([white, white.new_zeros(1, white.shape[1])])
    root = weights.sqrt()
    target = (1 + weights) / root
    solved = white.new_zeros(len(rows), white.shape[1])
    for block in _blocks_of_similar_length(rows.lengths, factors.shape[1]):
        lengths = rows.lengths[block]
        columns = torch.arange(int(lengths[-1]))
        inside = columns < lengths[:, None]
        positions = torch.where(inside, rows.offsets[block][:, None] + columns, 0)
        gathered = white[torch.where(inside, rows.values[positions], len(factors))]
        gathered *= root[positions][:, :, None]
        solved[block] = _solve_block(gathered, torch.where(inside, target[positions], 0))
    return solved @ matrix.T


def _solve_block(gathered: Tensor, target: Tensor) -> Tensor:
    """Solve `(U'U + 1) x = U't` for each row, through the smaller of `U'U` and `UU'`.

    Args:
        gathered: `[rows, length, dim]`, each row's `U`.
        target: `[rows, length]`, each row's `t`.

    Returns:
        `[rows, dim]`.
    """
    transposed, target = gathered.mT, target[:, :, None]
    if gathered.shape[1] <= gathered.shape[2]:
        return (transposed @ _solve_plus_identity(gathered @ transposed, target))[:, :, 0]
    return _solve_plus_identity(transposed @ gathered, transposed @ target)[:, :, 0]


def _solve_plus_identity(systems: Tensor, right: Tensor) -> Tensor:
    systems.diagonal(dim1=1, dim2=2).add_(1)
    return torch.cholesky_solve(right, torch.linalg.cholesky(systems))


def _blocks_of_similar_length(lengths: Tensor, dim: int) -> list[Tensor]:
    """Row numbers of non-empty rows, each block sorted by length; a block's padding and size are bounded."""
    ascending, order = lengths.sort(stable=True)
    sizes = ascending.tolist()
    blocks = []
    start = int((lengths == 0).sum())
    for end in range(start + 1, len(sizes) + 1):
        full = end == len(sizes) or (
            (end - start + 1) * sizes[end] * dim > BLOCK_VALUES
            or sizes[end] > PADDING * sizes[start] + 2
            or sizes[start] <= dim < sizes[end]
        )
        if full:
            blocks.append(order[start:end])
            start = end
    return blocks
