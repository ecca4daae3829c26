"""The three file formats in which MovieLens has been published."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from shortlist.errors import DataError

RATING: dict[str, pl.DataType] = {
    "user_id": pl.Int64(),
    "item_id": pl.Int64(),
    "rating": pl.Float64(),
    "timestamp": pl.Int64(),
}

# Columns of u.item after the address, each 0 or 1.
GENRES_100K = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

# The README of the 1M edition: code i means OCCUPATIONS_1M[i].
OCCUPATIONS_1M = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer",
    "programmer", "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer",
    "tradesman/craftsman", "unemployed", "writer",
)  # fmt: skip


@dataclass(frozen=True)
class Tables:
    """The tables of an edition.

    Args:
        ratings: `user_id`, `item_id`, `rating`, `timestamp` (seconds since 1970).
        items: `item_id`, `title`, `year`, `genres` and, in 100K, `release_date`.
        users: `user_id`, `age`, `gender`, `occupation`, `zip`; None where nothing is published.
    """

    ratings: pl.DataFrame
    items: pl.DataFrame
    users: pl.DataFrame | None


def read(folder: Path, ratings: str) -> Tables:
    """Read the files of an edition.

    Args:
        folder: holds them.
        ratings: name of the file of ratings: `u.data`, `ratings.dat` or `ratings.csv`.

    Raises:
        DataError: a file is missing or damaged.
    """
    readers = {"u.data": _read_100k, "ratings.dat": _read_dat, "ratings.csv": _read_csv}
    return readers[ratings](folder)


def _read_100k(folder: Path) -> Tables:
    users = _columns(folder / "u.user", "|", ["user_id", "age", "gender", "occupation", "zip"])
    names = ["item_id", "title", "release_date", "video_date", "url", *GENRES_100K]
    films = _columns(folder / "u.item", "|", names, encoding="latin-1")
    flags = [pl.when(pl.col(name) == "1").then(pl.lit(name)) for name in GENRES_100K]
    items = films.select(
        _integer("item_id"),
        "title",
        _year().fill_null(pl.col("release_date").str.slice(-4).cast(pl.Int64, strict=False)),
        pl.col("release_date").str.to_date("%d-%b-%Y", strict=False),
        pl.concat_list(flags).list.drop_nulls().alias("genres"),
    )
    return Tables(
        _ratings(folder / "u.data", "\t"),
        items,
        users.with_columns(_integer("user_id"), _integer("age")),
    )


def _read_dat(folder: Path) -> Tables:
    ratings = _ratings(folder / "ratings.dat", "::")
    encoding = "latin-1" if (folder / "users.dat").is_file() else "utf-8"
    films = _columns(folder / "movies.dat", "::", ["item_id", "title", "genres"], encoding=encoding)
    users = None
    if (folder / "users.dat").is_file():
        codes = [str(code) for code in range(len(OCCUPATIONS_1M))]
        users = _columns(
            folder / "users.dat", "::", ["user_id", "gender", "age", "occupation", "zip"]
        ).select(
            _integer("user_id"),
            _integer("age"),
            "gender",
            pl.col("occupation").replace_strict(codes, list(OCCUPATIONS_1M), default=None),
            "zip",
        )
    return Tables(ratings, _items(films), users)


def _read_csv(folder: Path) -> Tables:
    films = _columns(folder / "movies.csv", ",", ["item_id", "title", "genres"], header=True)
    return Tables(_ratings(folder / "ratings.csv", ",", header=True), _items(films), None)


def _items(films: pl.DataFrame) -> pl.DataFrame:
    none = pl.col("genres") == "(no genres listed)"
    genres = pl.when(none).then(pl.lit([], pl.List(pl.String))).otherwise(pl.col("genres").str.split("|"))
    return films.select(
        _integer("item_id"), pl.col("title").str.strip_chars(), _year(), genres.alias("genres")
    )


def _ratings(path: Path, separator: str, *, header: bool = False) -> pl.DataFrame:
    """Numbers; where there is one that is none, strings, which the cleaning counts."""
    names = list(RATING)
    if separator == "::":  # as a separator of one character, with an empty column between each two
        names = [each for name in names for each in (name, f"after {name}")][:-1]
    types = {name: RATING.get(name, pl.String()) for name in names}
    try:
        return _columns(path, separator[0], names, header=header, types=types).select(*RATING)
    except DataError:
        table = _columns(path, separator[0], names, header=header).select(*RATING)
    numbers = [table[name].cast(kind, strict=False) for name, kind in RATING.items()]
    pairs = zip(numbers, table, strict=True)
    return pl.DataFrame([new if new.null_count() == old.null_count() else old for new, old in pairs])


def _integer(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Int64, strict=False)


def _year() -> pl.Expr:
    return pl.col("title").str.extract(r"\((\d{4})\)\s*$").cast(pl.Int64).alias("year")


def _columns(
    path: Path,
    separator: str,
    names: list[str],
    *,
    header: bool = False,
    encoding: str = "utf-8",
    types: dict[str, pl.DataType] | None = None,
) -> pl.DataFrame:
    """A table of strings, or of the types given."""
    try:
        source = path if encoding == "utf-8" else io.BytesIO(path.read_bytes().decode(encoding).encode())
        table = pl.read_csv(
            source,
            separator=separator if len(separator) == 1 else "\x1f",
            has_header=header,
            quote_char='"' if header else None,
            infer_schema=False,
            schema_overrides=None if types is None else list(types.values()),
        )
        if len(separator) > 1:
            table = table.to_series().str.splitn(separator, len(names)).struct.unnest()
    except (OSError, UnicodeDecodeError, pl.exceptions.PolarsError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else str(error).split("\n")[0]
        raise DataError(
            f"cannot be read: {said}", where=str(path), remedy="download the edition again"
        ) from error
    if table.width != len(names) or len(table) == 0:
        raise DataError(
            f"there are {table.width} columns and {len(table)} rows; {len(names)} columns were expected",
            where=str(path),
            remedy="download the edition again",
        )
    return table.rename(dict(zip(table.columns, names, strict=True)))
