"""Lists whose items do not all resemble each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, did_you_mean
from shortlist.kernels.lists import list_marginal_relevance, suits
from shortlist.postrank.checks import check_column, check_fraction
from shortlist.postrank.grid import Grid
from shortlist.postrank.protocol import check_inputs
from shortlist.postrank.scale import unit_scores
from shortlist.postrank.similarity import Similarity, similarity_for

Method = Literal["mmr", "dpp"]

# Below this share of its own variance an item counts as a copy of what was picked: the factorisation
# would divide rounding by rounding.
COPY = 1e-10
# Gains closer than this are equal and keep the order, so that rounding never decides.
GAIN_STEPS = 2.0**30


@dataclass(frozen=True)
class Diversity:
    """Pick the first `size` items so that they are relevant and unlike each other; the rest follow in order.

    With `s` a score brought to [0, 1] within its request and `w` the strength, each pick maximises

    - `"mmr"`: `(1 - w) * s - w * (greatest similarity to an item already picked)`;
    - `"dpp"`: `(1 - w) * s + w * log(share of the item not explained by those picked)`, the greedy maximum
      a posteriori of a determinantal point process with kernel `exp(a s_i) S_ij exp(a s_j)`,
      `a = (1 - w) / (2 w)`. It looks at all the picked items together, MMR at the nearest one.

    Similarities are in [0, 1]: of vectors the cosine, `max(cosine, 0)` for MMR and `(1 + cosine) / 2` for
    DPP; of a column the Jaccard index. An item without vector or values resembles nothing. Equal gains
    keep the order. Scores stay as they were; a column `diversity_penalty` says how similar each item was
    to those before it (MMR), or which share of it they explained (DPP), in [0, 1].

    Cost: a request takes O(size x candidates x dim) with vectors and O(size x candidates x values an item)
    with a column; DPP adds O(size^2 x candidates). `size` steps for the whole batch.

    Args:
        strength: `w`, from 0 (the order stays exactly) to 1 (scores only break ties).
        method: `"mmr"` or `"dpp"`.
        by: a column of values or lists of values to compare by; the catalogue's vectors by default.

    Raises:
        ConfigError: the strength is outside [0, 1] or the method unknown.

    Source: Carbonell and Goldstein, The use of MMR (SIGIR 1998); Chen et al., Fast greedy MAP inference
    for determinantal point process (NeurIPS 2018).
    """

    strength: float = 0.3
    method: Method = "mmr"
    by: str | None = None

    def __post_init__(self) -> None:
        check_fraction(self.strength, field="strength", stage="Diversity")
        if self.method not in get_args(Method):
            raise ConfigError(
                f"method is {self.method!r}",
                where="Diversity",
                remedy=did_you_mean(str(self.method), get_args(Method)),
            )
        if self.by is not None:
            check_column(self.by, field="by", stage="Diversity")

    def rerank(
        self, candidates: Candidates, *, size: int, catalogue: Catalogue, requests: Requests, seed: int = 0
    ) -> Candidates:
        """See `PostRanker.rerank`.

        Raises:
            ConfigError: no column is named and the catalogue has no vectors.
            SchemaError: the catalogue lacks the column.
        """
        check_inputs(candidates, size, catalogue, requests, stage="Diversity")
        if self.strength == 0:
            return candidates
        vectors = catalogue.vectors if self.method == "mmr" and self.by is None else None
        if vectors is not None and suits(vectors) and suits(candidates.scores):
            items = candidates.items
            order, penalty = list_marginal_relevance(
                candidates.scores, items.offsets, items.values, vectors, strength=self.strength, picks=size
            )
            scored = candidates.with_scores(candidates.scores, diversity_penalty=penalty)
            return scored.take(order, candidates.lengths)
        grid = Grid.of(candidates)
        similarity = similarity_for(grid, catalogue, by=self.by, shifted=self.method == "dpp")
        relevance = grid.pad(unit_scores(candidates))
        picks = min(size, grid.valid.shape[1])
        if self.method == "mmr":
            turn, penalty = pick_mmr(relevance, grid.valid, similarity, strength=self.strength, picks=picks)
        else:
            turn, penalty = pick_dpp(relevance, grid.valid, similarity, strength=self.strength, picks=picks)
        return grid.ordered(torch.argsort(turn, dim=1, stable=True), diversity_penalty=penalty.float())


def pick_mmr(
    relevance: Tensor, valid: Tensor, similarity: Similarity, *, strength: float, picks: int
) -> tuple[Tensor, Tensor]:
    """Greedy maximal marginal relevance.

    Args:
        relevance: `[batch, width]` float64 in [0, 1].
        valid: `[batch, width]` bool, false behind a list's end.
        similarity: of the candidates.
        strength: weight of the similarity, in (0, 1].
        picks: how many to pick, at most `width`.

    Returns:
        `[batch, width]` int64 turns to sort by, ascending (equal turns keep the order), and
        `[batch, width]` float64 similarity to the nearest item picked before.
    """
    # NumPy, whose calls cost a fraction of PyTorch's on a matrix this small.
    gain, free = (1 - strength) * relevance.numpy(force=True), valid.numpy(force=True).copy()
    turn, penalty = np.full(free.shape, picks), np.zeros(free.shape)
    rows = np.arange(len(free))
    for step in range(picks):
        steps = np.round((gain - strength * penalty) * GAIN_STEPS)
        picked = np.where(free, steps, -np.inf).argmax(1)
        some = free[rows, picked]  # lists with nothing left have nothing to note
        turn[rows[some], picked[some]] = step
        free[rows, picked] = False
        similar = similarity.to(torch.from_numpy(picked).to(valid.device)).numpy(force=True)
        np.copyto(penalty, np.maximum(penalty, similar), where=free)
    return torch.from_numpy(turn).to(valid.device), torch.from_numpy(penalty).to(valid.device)


def pick_dpp(
    relevance: Tensor, valid: Tensor, similarity: Similarity, *, strength: float, picks: int
) -> tuple[Tensor, Tensor]:
    """Greedy maximum a posteriori of a determinantal point process, by an incremental Cholesky factor.

    Args:
        relevance: `[batch, width]` float64 in [0, 1].
        valid: `[batch, width]` bool, false behind a list's end.
        similarity: of the candidates; positive semi-definite.
        strength: weight of the log-determinant, in (0, 1].
        picks: how many to pick, at most `width`.

    Returns:
        As `pick_mmr`, with the share of each item that those picked before explain.
    """
    turn = torch.full(valid.shape, picks, device=valid.device)
    rest = torch.ones_like(relevance)  # squared diagonal of the factor: what is not explained yet
    factor = relevance.new_zeros(*valid.shape, picks)
    rows = torch.arange(len(valid), device=valid.device)
    free = valid.clone()
    for step in range(picks):
        picked = _best((1 - strength) * relevance + strength * rest.clamp(min=COPY).log(), free)
        _take(picked, step, turn, free)
        own = rest[rows, picked][:, None]
        known = (factor * factor[rows, picked][:, None]).sum(-1)
        entry = (similarity.to(picked) - known) / own.clamp(min=COPY).sqrt()
        entry = torch.where((own > COPY) & free, entry, 0.0)  # a copy adds no direction
        factor[:, :, step] = torch.where(free, entry, factor[:, :, step])
        factor[rows, picked, step] = own[:, 0].clamp(min=0).sqrt()
        rest = rest - entry.square()
    return turn, 1 - rest.clamp(0, 1)


def _best(gain: Tensor, free: Tensor) -> Tensor:
    """`[batch]` the first column with the greatest gain among the free ones."""
    return (gain * GAIN_STEPS).round().masked_fill(~free, -torch.inf).argmax(1)


def _take(picked: Tensor, step: int, turn: Tensor, free: Tensor) -> None:
    """Note the turn of what was picked, in place; lists with nothing left have nothing to note."""
    rows = free.any(1).nonzero().flatten()
    turn[rows, picked[rows]] = step
    free[rows, picked[rows]] = False
