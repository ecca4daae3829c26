"""What a feature learns from the train part: vocabularies, means, quantiles."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from shortlist.data.columns import as_ids, as_lists, finite_numbers, finite_seconds, split_tags
from shortlist.data.encodings import (
    BucketEncoding,
    Encoding,
    HashEncoding,
    StandardEncoding,
    TagsEncoding,
    TextEncoding,
    TimeEncoding,
    VectorEncoding,
    VocabularyEncoding,
)
from shortlist.data.features import Category, Feature, Number, Tags, Text, Timestamp, Vector
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import DataError, SchemaError


def fit_encoding(feature: Feature, column: pl.Series) -> Encoding:
    """Learn how to encode a column.

    Args:
        feature: any feature but an Id or a History, which need no column.
        column: the train part's values.

    Returns:
        The encoding.

    Raises:
        SchemaError: the column's type does not suit the feature.
        DataError: the column holds nothing to learn from.
    """
    match feature:
        case Category(buckets=None):
            return VocabularyEncoding(Vocabulary.fit(as_ids(column)))
        case Category(buckets=int(buckets)):
            return HashEncoding(buckets)
        case Number(buckets=None):
            return _fit_standard(column)
        case Number(buckets=int(buckets)):
            return _fit_buckets(column, buckets)
        case Timestamp():
            return _fit_time(column)
        case Text():
            _need_strings(feature, column)
            return TextEncoding(feature.ngrams, feature.buckets)
        case Tags():
            flat = split_tags(column, feature.separator).explode(empty_as_null=False, keep_nulls=False)
            return TagsEncoding(Vocabulary.fit(flat), feature.separator)
        case Vector():
            lengths = as_lists(column).list.len().drop_nulls()
            return VectorEncoding(int(_need_some(column, lengths.filter(lengths > 0))[0]))
    raise SchemaError(f"{type(feature).__name__} takes no column", where=f"feature {feature.name!r}")


def _fit_standard(column: pl.Series) -> StandardEncoding:
    return StandardEncoding(*_mean_and_deviation(_need_some(column, _known(finite_numbers(column)))))


def _fit_buckets(column: pl.Series, buckets: int) -> BucketEncoding:
    numbers = _need_some(column, _known(finite_numbers(column)))
    quantiles = np.quantile(numbers.to_numpy(), np.arange(1, buckets) / buckets)
    return BucketEncoding(tuple(np.unique(quantiles).tolist()))


def _fit_time(column: pl.Series) -> TimeEncoding:
    return TimeEncoding(*_mean_and_deviation(_need_some(column, _known(finite_seconds(column)))))


def _known(numbers: NDArray[np.float64]) -> pl.Series:
    return pl.Series(numbers[~np.isnan(numbers)])


def _mean_and_deviation(numbers: pl.Series) -> tuple[float, float]:
    values = numbers.to_numpy()
    # A constant column has nothing to say: its deviation of 0, or of a rounding error, would only blow up a
    # stray later value. That of the tiniest values is 0 as well.
    constant = values.min() == values.max()
    return float(values.mean()), 1.0 if constant else float(values.std()) or 1.0


def _need_some(column: pl.Series, known: pl.Series) -> pl.Series:
    if len(known) == 0:
        raise DataError(
            f"column {column.name!r} holds no value to learn from",
            where=f"{len(column)} rows",
            remedy="leave the feature out, or fill the column",
        )
    return known


def _need_strings(feature: Feature, column: pl.Series) -> None:
    if column.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise SchemaError(
            f"{type(feature).__name__} needs strings, the column holds {column.dtype}",
            where=f"column {column.name!r}",
            remedy="cast it to String, or use a Category or a Number",
        )
