"""Where the true candidate ranks among the whole catalogue."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Self

import torch
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError, NotFittedError, ShapeError
from shortlist.metrics.columns import Columns
from shortlist.metrics.streaming import StreamingMeans, check_cutoffs, row_weights
from shortlist.metrics.ties import (
    TiedRanks,
    expected_hit_rates,
    expected_ndcgs,
    expected_reciprocal_ranks,
    rank_columns,
    rank_scores,
)

# Scores of one block: 4 MiB of float32.
_BLOCK_ELEMENTS = 1 << 20

# Rows, their scores of all candidates, and where there are no ids the true candidates' own scores [rows, 1].
_Block = tuple[slice, Tensor, Tensor | None]


class FactorizedTopK(StreamingMeans):
    """Hit rate, NDCG and mean reciprocal rank over all candidates, by id.

    The figures are `hit_rate@k` and `ndcg@k` for each k, and `mrr` over the whole catalogue. With one true
    candidate a query, `hit_rate@k` is also the recall.

    Every row is one query with one true candidate. Ties are exact: a true candidate tied with others counts
    with its expectation over all orders of the tie, so scores that are all equal give a hit rate of k/n, and
    the figures do not depend on the order of the catalogue. A true candidate that is excluded, unknown or
    not in the catalogue can never be found and counts as a miss.

    Time is one product of queries with candidates and two comparisons; memory is one block of scores.

    Args:
        candidate_embeddings: `[num_candidates, dim]` float; None to `bind` them later, as `evaluate` does.
        candidate_ids: `[num_candidates]` int64, each once. None numbers the rows from 0. Id 0 is the
            unknown item in either case, and its row is no candidate.
        ks: cut-offs.

    Raises:
        ConfigError: a cut-off is not a positive integer, or ids come without embeddings.
    """

    def __init__(
        self,
        candidate_embeddings: Tensor | None = None,
        candidate_ids: Tensor | None = None,
        *,
        ks: Iterable[int] = (1, 5, 10, 50, 100),
    ) -> None:
        self.ks = check_cutoffs(ks)
        names = [f"{name}@{k}" for name in ("hit_rate", "ndcg") for k in self.ks]
        super().__init__([*names, "mrr"])
        self._catalogue: Columns | None = None
        if candidate_embeddings is not None:
            self.bind(candidate_embeddings, candidate_ids)
        elif candidate_ids is not None:
            raise ConfigError(
                "candidate_ids were given without candidate_embeddings",
                remedy="pass both, or bind() both later",
            )

    def bind(self, candidate_embeddings: Tensor, candidate_ids: Tensor | None = None) -> Self:
        """Set the catalogue that the next updates rank against; what was counted so far stays.

        Args:
            candidate_embeddings: `[num_candidates, dim]` float.
            candidate_ids: `[num_candidates]` int64, each once, or None for the row numbers.

        Returns:
            This metric.

        Raises:
            DataError: an id comes twice or an embedding is not finite.
            ShapeError: the embeddings are not a matrix or there is not one id a row.
        """
        if candidate_embeddings.ndim != 2:
            raise ShapeError(
                f"candidate embeddings are {tuple(candidate_embeddings.shape)}",
                remedy="pass [num_candidates, dim]",
            )
        self._catalogue = Columns(candidate_ids, len(candidate_embeddings), candidate_embeddings.device)
        self._candidates = _finite(candidate_embeddings, "candidate")[self._catalogue.source]
        self._largest_norm = _largest_norm(self._candidates)
        return self

    def update(
        self,
        query_embeddings: Tensor,
        true_candidate_ids: Tensor | None = None,
        *,
        true_embeddings: Tensor | None = None,
        exclude: Ragged | None = None,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Rank each query's true candidate among all candidates, by its id or by its score.

        Prefer ids. By score, a true candidate is ranked where its embedding would stand: the one candidate
        that ties with it, if any, is taken to be itself, so the figures agree with those by id as long as
        the embedding is bit for bit the catalogue's, and `exclude` never removes the true candidate itself.

        Args:
            query_embeddings: `[queries, dim]` float, or `[queries, heads, dim]`: the best head counts.
            true_candidate_ids: `[queries]` int64; None to rank by score.
            true_embeddings: `[queries, dim]` float embeddings of the true candidates, in place of their ids.
            exclude: ids that each query's ranking leaves out, such as items already seen; ids that are not
                in the catalogue change nothing.
            sample_weight: `[queries]` non-negative; a row of weight 0 changes nothing.

        Raises:
            ConfigError: there are both ids and embeddings of the true candidates, or neither.
            DataError: an embedding is not finite or a score could overflow.
            NotFittedError: no candidates were given.
            ShapeError: the arguments do not fit together.
        """
        if self._catalogue is None:
            raise NotFittedError("there are no candidates to rank against", remedy="call bind() first")
        dim = self._candidates.shape[1]
        if query_embeddings.ndim not in (2, 3) or query_embeddings.shape[-1] != dim:
            raise ShapeError(
                f"query embeddings are {tuple(query_embeddings.shape)} but candidates have {dim} columns",
                remedy=f"pass [queries, {dim}] or [queries, heads, {dim}]",
            )
        if (true_candidate_ids is None) == (true_embeddings is None):
            raise ConfigError(
                "a true candidate is named by its id or by its embedding, one of the two",
                remedy="pass true_candidate_ids, or true_embeddings in their place",
            )
        queries = _finite(query_embeddings, "query").to(self._candidates)
        true = None if true_embeddings is None else self._true(true_embeddings, len(queries))
        if self._largest_norm * _largest_norm(queries) > torch.finfo(queries.dtype).max:
            raise DataError("a score of these embeddings could overflow", remedy="scale the embeddings down")
        blocks = _embedded_blocks(queries, self._candidates, true)
        self._count(blocks, len(queries), self._catalogue, true_candidate_ids, exclude, sample_weight)

    def _true(self, embeddings: Tensor, num_queries: int) -> Tensor:
        shape = (num_queries, self._candidates.shape[1])
        if embeddings.shape != shape:
            raise ShapeError(
                f"true_embeddings are {tuple(embeddings.shape)}",
                remedy=f"pass {list(shape)}, one row a query",
            )
        return _finite(embeddings, "true candidate").to(self._candidates)

    def update_scores(
        self,
        scores: Tensor,
        true_candidate_ids: Tensor,
        *,
        candidate_ids: Tensor | None = None,
        exclude: Ragged | None = None,
        sample_weight: Tensor | None = None,
    ) -> None:
        """Rank with scores that were computed elsewhere, for models without embeddings.

        Args:
            scores: `[queries, num_candidates]` float; `-inf` is an ordinary lowest score.
            true_candidate_ids: `[queries]` int64.
            candidate_ids: `[num_candidates]` int64 of the columns, or None for the column numbers; id 0 is
                no candidate.
            exclude: ids that each query's ranking leaves out.
            sample_weight: `[queries]` non-negative.

        Raises:
            DataError: a score is not a number or an id comes twice.
            ShapeError: the arguments do not fit together.
        """
        if scores.ndim != 2:
            raise ShapeError(f"scores are {tuple(scores.shape)}", remedy="pass [queries, num_candidates]")
        catalogue = Columns(candidate_ids, scores.shape[1], scores.device)
        blocks = (
            (rows, _numbers(scores.detach()[rows, catalogue.source], rows), None)
            for rows in _row_blocks(len(scores), scores.shape[1])
        )
        self._count(blocks, len(scores), catalogue, true_candidate_ids, exclude, sample_weight)

    def _count(
        self,
        blocks: Iterable[_Block],
        num_queries: int,
        catalogue: Columns,
        true_ids: Tensor | None,
        exclude: Ragged | None,
        sample_weight: Tensor | None,
    ) -> None:
        for name, given in (("true_candidate_ids", true_ids), ("exclude", exclude)):
            if given is not None and len(given) != num_queries:
                raise ShapeError(
                    f"{name} has {len(given)} rows for {num_queries} queries", remedy="pass one row a query"
                )
        weight = row_weights(sample_weight, num_queries, catalogue.ids.device)
        columns = None if true_ids is None else catalogue.find(true_ids)
        seen = None if exclude is None else catalogue.find(exclude.values)
        for rows, scores, own in blocks:
            excluded = None
            if exclude is not None and seen is not None:
                excluded = _pairs(exclude.offsets, seen, rows)
            if columns is not None:
                ranks = rank_columns(scores, columns[rows], excluded)
            elif own is not None:
                ranks = rank_scores(scores, own, excluded)
            self._add(self._figures(ranks), weight[rows])

    def _figures(self, ranks: TiedRanks) -> Tensor:
        # [figures, rows] in the order of the names.
        return torch.cat(
            [
                expected_hit_rates(ranks, self.ks),
                expected_ndcgs(ranks, self.ks),
                expected_reciprocal_ranks(ranks)[None],
            ]
        )


def _row_blocks(num_rows: int, width: int) -> Iterator[slice]:
    size = max(1, _BLOCK_ELEMENTS // max(width, 1))
    return (slice(start, min(start + size, num_rows)) for start in range(0, num_rows, size))


def _pairs(offsets: Tensor, columns: Tensor, rows: slice) -> tuple[Tensor, Tensor]:
    # The (row within the block, column) pairs that a block of rows leaves out.
    bounds = offsets[rows.start : rows.stop + 1].to(columns.device)
    own = columns[int(bounds[0]) : int(bounds[-1])]
    row_of = torch.arange(len(bounds) - 1, device=own.device).repeat_interleave(bounds.diff())
    known = own >= 0
    return row_of[known], own[known]


def _embedded_blocks(queries: Tensor, candidates: Tensor, true: Tensor | None) -> Iterator[_Block]:
    heads = queries.shape[1] if queries.ndim == 3 else 1
    if true is None:
        for rows in _row_blocks(len(queries), heads * len(candidates)):
            yield rows, _best_head(queries[rows], candidates), None
        return
    # The true candidates are further columns of the same product: one of another shape rounds differently,
    # and a true candidate would not tie with its own row of the catalogue. They add at most another block.
    width = max(len(candidates), math.isqrt(_BLOCK_ELEMENTS))
    for rows in _row_blocks(len(queries), heads * width):
        scores = _best_head(queries[rows], torch.cat([candidates, true[rows]]))
        own = scores.diagonal(len(candidates))[:, None]
        yield rows, scores[:, : len(candidates)], own


def _best_head(queries: Tensor, candidates: Tensor) -> Tensor:
    if queries.ndim == 2:
        return _products(queries, candidates)
    rows, heads, dim = queries.shape
    return _products(queries.reshape(rows * heads, dim), candidates).reshape(rows, heads, -1).amax(dim=1)


def _products(queries: Tensor, candidates: Tensor) -> Tensor:
    # A product with a single row takes another kernel, whose last columns round differently: equal
    # candidates would not tie. Two rows take the same one as many.
    left, right = (rows.repeat(2, 1) if len(rows) == 1 else rows for rows in (queries, candidates))
    return (left @ right.T)[: len(queries), : len(candidates)]


def _numbers(scores: Tensor, rows: slice) -> Tensor:
    # rank_columns marks what is excluded with -inf, so a model's own -inf becomes the lowest finite score.
    if bool(scores.isnan().any()):
        raise DataError(
            f"{int(scores.isnan().sum())} scores are not a number",
            where=f"rows {rows.start} to {rows.stop - 1}",
            remedy="find where the model's output became NaN",
        )
    widened = scores if scores.dtype == torch.float64 else scores.float()
    return widened.clamp(min=torch.finfo(widened.dtype).min)


def _finite(embeddings: Tensor, name: str) -> Tensor:
    values = embeddings.detach()
    values = values if values.dtype == torch.float64 else values.float()
    if not bool(values.isfinite().all()):
        raise DataError(
            f"{int((~values.isfinite()).sum())} numbers of the {name} embeddings are NaN or infinite",
            remedy="find where the model's output became NaN; a metric over them would mean nothing",
        )
    return values


def _largest_norm(embeddings: Tensor) -> float:
    return float(embeddings.double().norm(dim=-1).max()) if embeddings.numel() else 0.0
