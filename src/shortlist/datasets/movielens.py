"""The MovieLens editions of GroupLens, in their original files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.datasets import movielens_files
from shortlist.datasets.assemble import assemble
from shortlist.datasets.download import cache_folder, download, unpack
from shortlist.errors import ConfigError, DataError, did_you_mean

SITE = "https://files.grouplens.org/datasets/movielens/"


@dataclass(frozen=True)
class Edition:
    """One edition: its archive, and the file that holds its ratings.

    Args:
        archive: name of the zip file.
        size: of the zip file, in bytes.
        digest: of the zip file. GroupLens publishes MD5s only; a SHA-256 stands here where it is known
            from another project that pins it.
        folder: inside the zip file, and in the cache.
        ratings: name of the file of ratings, which tells the format.
    """

    archive: str
    size: int
    digest: str
    folder: str
    ratings: str


EDITIONS = {
    "100k": Edition(
        "ml-100k.zip",
        4_924_029,
        "sha256:50d2a982c66986937beb9ffb3aa76efe955bf3d5c6b761f4e3a7cd717c6a3229",
        "ml-100k",
        "u.data",
    ),
    "1m": Edition(
        "ml-1m.zip",
        5_917_549,
        "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20",
        "ml-1m",
        "ratings.dat",
    ),
    "10m": Edition(
        "ml-10m.zip", 65_566_137, "md5:ce571fd55effeba0271552578f2648bd", "ml-10M100K", "ratings.dat"
    ),
    "20m": Edition(
        "ml-20m.zip",
        198_702_078,
        "sha256:96f243c338a8665f6bcc89c53edf6ee39162a846940de6b7c8c48aeada765ff3",
        "ml-20m",
        "ratings.csv",
    ),
    "25m": Edition(
        "ml-25m.zip",
        261_978_986,
        "sha256:8b21cfb7eb1706b4ec0aac894368d90acf26ebdfb6aced3ebd4ad5bd1eb9c6aa",
        "ml-25m",
        "ratings.csv",
    ),
    "32m": Edition(
        "ml-32m.zip", 238_950_008, "md5:d472be332d4daa821edc399621853b57", "ml-32m", "ratings.csv"
    ),
    "latest-small": Edition(
        "ml-latest-small.zip",
        978_202,
        "sha256:696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436",
        "ml-latest-small",
        "ratings.csv",
    ),
}


def movielens(name: str = "100k", *, folder: str | Path | None = None, strict: bool = False) -> Dataset:
    """Read an edition of MovieLens.

    The files are looked for in `folder` when it is given; else in `$SHORTLIST_DATA`, then in the cache,
    where a download from GroupLens puts them. The terms are GroupLens's: research, no redistribution.

    Args:
        name: `"100k"`, `"1m"`, `"10m"`, `"20m"`, `"25m"`, `"32m"` or `"latest-small"`.
        folder: holds the edition's files or its folder, such as `ml-100k`.
        strict: refuse files with bad rows instead of dropping and counting them.

    Returns:
        A Dataset of ratings with their times. Items have `title`, `year` and `genres` (100K also
        `release_date`); users, in 100K and 1M, `age`, `gender`, `occupation` and `zip`.

    Raises:
        ConfigError: there is no such edition.
        DataError: the files are not there, and not to be had; or they are damaged.

    Source: Harper and Konstan, The MovieLens Datasets: History and Context (TiiS 2015).
    """
    if name not in EDITIONS:
        raise ConfigError(
            f"there is no MovieLens edition {name!r}", where="name", remedy=did_you_mean(name, EDITIONS)
        )
    edition = EDITIONS[name]
    place = _find(edition, None if folder is None else Path(folder).expanduser()) or _obtain(edition)
    tables = movielens_files.read(place, edition.ratings)
    return assemble(
        tables.ratings,
        Schema(timestamp="timestamp", label="rating"),
        users=tables.users,
        items=tables.items,
        name=edition.folder,
        strict=strict,
        where=str(place / edition.ratings),
    )


def _find(edition: Edition, folder: Path | None) -> Path | None:
    """The folder that holds the ratings, if there is one."""
    given = [folder, folder / edition.folder] if folder is not None else []
    shared = os.environ.get("SHORTLIST_DATA")
    usual = ([Path(shared) / edition.folder] if shared else []) + [cache_folder() / edition.folder]
    for place in given or usual:
        if (place / edition.ratings).is_file():
            return place
    if folder is not None:
        raise DataError(
            f"{edition.ratings} of {edition.folder} is not there",
            where=str(folder),
            remedy="check the folder",
        )
    return None


def _obtain(edition: Edition) -> Path:
    cache = cache_folder()
    archive = cache / edition.archive
    try:
        download(SITE + edition.archive, archive, size=edition.size, digest=edition.digest)
    except DataError as error:
        raise DataError(
            error.what,
            where=error.where,
            remedy=f"check the network, or unpack {edition.archive} by hand "
            f"and set SHORTLIST_DATA to the folder that holds {edition.folder}/",
        ) from error
    try:
        return unpack(archive, cache / edition.folder)
    finally:
        archive.unlink(missing_ok=True)
