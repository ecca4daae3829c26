"""Features of requests and candidates as the columns of a table that decision trees read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shortlist.data.encodings import BucketEncoding, Encoding
from shortlist.data.feature_space import Batch, FeatureSpace, dense
from shortlist.data.features import Feature, History
from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, DataError
from shortlist.models.ranking.list_loader import RankingLists

MOST_TAGS = 256  # columns that one bag of tags may become
LONGEST = 10_000  # items of a list, at most, that LightGBM takes
HIGHEST = 30  # label, at most, whose gain LightGBM knows
RELATIVE = ("standard", "rank", "reciprocal_rank")  # see `list_loader.relative_scores`


@dataclass(frozen=True)
class TreeColumns:
    """The columns of a ranker's features.

    Args:
        names: one a column.
        categorical: numbers of the columns whose values have no order.
    """

    names: tuple[str, ...]
    categorical: tuple[int, ...]

    @classmethod
    def of(cls, space: FeatureSpace, scores: Sequence[str]) -> TreeColumns:
        """Those of the features of a space and of the candidates' scores.

        Args:
            space: the features.
            scores: names of score features.
        """
        names: list[str] = []
        categorical: list[int] = []
        for feature in (*space.query, *space.candidate):
            encoding = space.encodings[feature.name]
            if encoding.shape == "index":
                if not isinstance(encoding, BucketEncoding):
                    categorical.append(len(names))
                names.append(feature.name)
            else:
                names.extend(f"{feature.name}[{place}]" for place in range(encoding.size))
        names.extend(f"{name}_{kind}" for name in scores for kind in RELATIVE)
        return cls(tuple(names), tuple(categorical))


def check_tree_features(features: Sequence[Feature], encodings: Mapping[str, Encoding]) -> None:
    """Refuse features that would not make columns.

    Args:
        features: of a ranker.
        encodings: what they learned.

    Raises:
        ConfigError: a feature is a history, or a bag of more values than trees can use.
    """
    for feature in features:
        if isinstance(feature, History):
            raise ConfigError(
                f"trees cannot read the history {feature.name!r}",
                where="BoostedRanker",
                remedy="let a retriever read it, such as Sequential, and name its score in scores=",
            )
        encoding = encodings[feature.name]
        if encoding.shape == "bag" and encoding.size > MOST_TAGS:
            raise ConfigError(
                f"{feature.name!r} has {encoding.size:,} values, and trees can use {MOST_TAGS}",
                where="BoostedRanker",
                remedy="leave it to a retriever or to a Ranker, or give trees a column with fewer values",
            )


def tree_table(batch: Batch, space: FeatureSpace, scores: Sequence[str]) -> np.ndarray:
    """The table of a batch.

    Args:
        batch: see `list_loader.list_batch`.
        space: the features.
        scores: names of score features.

    Returns:
        `[total, columns]` float32 in the order of `TreeColumns`.
    """
    rows = dense(batch, "row")
    parts = [_columns(batch[each.name], space.encodings[each.name])[rows] for each in space.query]
    parts += [_columns(batch[each.name], space.encodings[each.name]) for each in space.candidate]
    if scores:
        parts.append(dense(batch, "scores"))
    return torch.cat(parts, dim=1).float().contiguous().numpy()


def _columns(entry: Tensor | Ragged, encoding: Encoding) -> Tensor:
    """`[n, columns]` float32 of one feature."""
    if isinstance(entry, Ragged):
        counts = torch.zeros(len(entry), encoding.size)
        ones = torch.ones(len(entry.values))
        return counts.index_put_((entry.row_ids(), entry.values), ones, accumulate=True)
    return entry.float()[:, None] if entry.ndim == 1 else entry.float()


def check_tree_lists(lists: RankingLists) -> None:
    """Refuse lists that LightGBM could not learn from.

    Args:
        lists: requests, candidates and labels.

    Raises:
        DataError: none of the candidates was wanted, a list is too long, or a label is no whole number that
            LightGBM takes.
    """
    labels = lists.labels
    wrong = ~((labels >= 0) & (labels <= HIGHEST) & (labels % 1 == 0))
    if bool(wrong.any()):
        raise DataError(
            f"a label is {float(labels[wrong][0]):g}", remedy=f"trees take whole grades from 0 to {HIGHEST}"
        )
    if not bool((labels > 0).any()):
        raise DataError(
            "none of the candidates was wanted, so there is nothing to learn",
            remedy="retrieve more candidates, or hold out more events",
        )
    longest = int(lists.candidates.lengths.max())
    if longest > LONGEST:
        raise DataError(
            f"a list has {longest:,} candidates, and LightGBM takes {LONGEST:,}",
            remedy="retrieve fewer candidates a request",
        )
