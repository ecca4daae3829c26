"""Judged documents by query, in the text format of SVM-light."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import polars as pl
import torch
from torch import Tensor

from shortlist.datasets.ranking_table import RankingTable
from shortlist.errors import DataError

# Lines that are split into words at a time.
BLOCK = 20_000

# A feature's number above this is a mistake: the table is dense.
MAX_FEATURES = 1 << 20


def read_libsvm(
    path: str | Path, *, num_features: int | None = None, zero_based: bool = False
) -> RankingTable:
    """Read a file of lines such as `2 qid:10 1:0.5 7:1 # comment`.

    Without `qid`s, the groups' sizes are read from a file beside it with the ending `.query`, one size a
    line, as LightGBM has it: `rank.train.query` belongs to `rank.train` and to `rank.train.gz`.

    Args:
        path: the file; one that ends in `.gz` is unpacked.
        num_features: columns of the result; by default the highest number in the file. Give it when
            several files must agree.
        zero_based: whether the features' numbers start with 0 instead of 1.

    Returns:
        The documents in the file's order; features that a line leaves out are 0.

    Raises:
        DataError: a line cannot be understood (the message gives its number), a query's lines are not
            together, or there is neither a `qid` nor a file of sizes.

    Source: Joachims, SVM-light; Qin and Liu, Introducing LETOR 4.0 Datasets (2013).
    """
    path = Path(path).expanduser()
    blocks = [_parse(lines, first, path, zero_based) for first, lines in _blocks(path)]
    if sum(len(block.labels) for block in blocks) == 0:
        raise DataError("the file holds no line", where=str(path), remedy="check how it was written")
    width = max(block.width for block in blocks)
    if num_features is not None and width > num_features:
        raise DataError(
            f"a line has feature {width - zero_based} but num_features is {num_features}",
            where=str(path),
            remedy=f"set num_features to at least {width}",
        )
    features = torch.cat([block.dense(num_features or width) for block in blocks])
    labels = torch.from_numpy(np.concatenate([block.labels for block in blocks]))
    names = pl.concat([block.queries for block in blocks])
    if names.null_count() == len(names):
        offsets = _offsets_beside(path, len(names))
        return RankingTable(features, labels, offsets, tuple(map(str, range(len(offsets) - 1))))
    offsets, queries = _offsets_of(names, [number for block in blocks for number in block.numbers], path)
    return RankingTable(features, labels, offsets, queries)


@dataclass(frozen=True, eq=False)
class _Block:
    """Some lines, parsed; the features sparse."""

    labels: np.ndarray  # [lines] float32
    queries: pl.Series  # [lines] strings, null where there is no qid
    numbers: list[int]  # of the lines in the file, from 1
    rows: np.ndarray  # [entries] int64
    columns: np.ndarray  # [entries] int64
    values: np.ndarray  # [entries] float32

    @property
    def width(self) -> int:
        return int(self.columns.max(initial=-1)) + 1

    def dense(self, width: int) -> Tensor:
        table = np.zeros((len(self.labels), width), np.float32)
        table[self.rows, self.columns] = self.values
        return torch.from_numpy(table)


def _blocks(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Numbers of first lines, and lines."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            first = 1
            while lines := list(islice(file, BLOCK)):
                yield first, lines
                first += len(lines)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"cannot be read: {said}", where=str(path), remedy="check the path") from error


def _parse(lines: list[str], first: int, path: Path, zero_based: bool) -> _Block:
    texts = pl.Series("text", lines).str.split("#").list.first().str.strip_chars()
    table = pl.DataFrame({"text": texts}).with_row_index("number", offset=first).filter(pl.col("text") != "")
    words = table.select(words=pl.col("text").str.extract_all(r"\S+")).with_row_index("row")
    second = pl.col("words").list.get(1, null_on_oob=True)
    words = words.with_columns(
        label=pl.col("words").list.first().cast(pl.Float32, strict=False),
        query=pl.when(second.str.starts_with("qid:")).then(second.str.strip_prefix("qid:")),
    )
    skipped = 1 + pl.col("query").is_not_null().cast(pl.Int64)
    entries = (
        words.select("row", pair=pl.col("words").list.slice(skipped))
        .explode("pair")
        .drop_nulls()
        .with_columns(pl.col("pair").str.splitn(":", 2).struct.rename_fields(["name", "value"]))
        .unnest("pair")
        .select(
            "row",
            column=pl.col("name").cast(pl.Int64, strict=False) - (0 if zero_based else 1),
            value=pl.col("value").cast(pl.Float32, strict=False),
        )
    )
    right = pl.col("column").is_between(0, MAX_FEATURES - 1) & pl.col("value").is_finite()
    bad_rows = entries.filter(~right.fill_null(False))["row"]
    bad = ~words["label"].is_finite().fill_null(False) | words["row"].is_in(bad_rows.implode())
    if bad.any():
        number, text = table.filter(bad).row(0)
        raise _refused(number, text, path, zero_based)
    return _Block(
        words["label"].to_numpy(writable=True),
        words["query"],
        table["number"].to_list(),
        entries["row"].to_numpy(),
        entries["column"].to_numpy(),
        entries["value"].to_numpy(),
    )


def _refused(number: int, text: str, path: Path, zero_based: bool) -> DataError:
    zero = not zero_based and any(word.startswith("0:") for word in text.split())
    return DataError(
        f"line {number} cannot be understood: {text[:60]!r}",
        where=str(path),
        remedy="its features count from 0: pass zero_based=True"
        if zero
        else "write `label qid:id number:value …`",
    )


def _offsets_of(names: pl.Series, numbers: list[int], path: Path) -> tuple[Tensor, tuple[str, ...]]:
    if names.null_count():
        line = numbers[int(names.is_null().arg_max() or 0)]
        raise DataError(f"line {line} has no qid", where=str(path), remedy="give every line one, or none")
    starts = np.flatnonzero(np.concatenate([[True], (names[1:] != names[:-1]).to_numpy()]))
    queries = names.gather(starts)
    again = ~queries.is_first_distinct()
    if again.any():
        place = int(again.arg_max() or 0)
        raise DataError(
            f"line {numbers[int(starts[place])]} returns to query {queries[place]!r}, which had ended before",
            where=str(path),
            remedy="sort the lines by query",
        )
    return torch.from_numpy(np.append(starts, len(names))), tuple(queries.to_list())


def _offsets_beside(path: Path, documents: int) -> Tensor:
    sizes_path = path.with_suffix(".query") if path.suffix == ".gz" else path.with_name(path.name + ".query")
    if not sizes_path.is_file():
        raise DataError(
            f"the lines have no qid, and there is no {sizes_path.name}",
            where=str(path),
            remedy="write qids, or the sizes of the queries in that file, one a line",
        )
    sizes = []
    for number, line in enumerate(sizes_path.read_text(errors="replace").split("\n"), 1):
        if line.strip():
            if not line.strip().isascii() or not line.strip().isdigit():
                raise DataError(
                    f"line {number} is no size: {line[:40]!r}",
                    where=str(sizes_path),
                    remedy="one size a line",
                )
            sizes.append(int(line))
    if sum(sizes) != documents:
        raise DataError(
            f"the sizes add up to {sum(sizes):,} but there are {documents:,} lines",
            where=str(sizes_path),
            remedy=f"it must belong to {path.name}",
        )
    return torch.tensor([0, *np.cumsum(sizes)], dtype=torch.int64)
