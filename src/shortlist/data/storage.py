"""A dataset on disk: Arrow tables, vocabularies and the schema."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from shortlist.data.arrow_files import read_arrow
from shortlist.data.dataset import Dataset
from shortlist.data.schema import Schema
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import BundleError


def save_dataset(data: Dataset, folder: Path) -> None:
    """Write a dataset that is no test part into a folder.

    Args:
        data: the dataset.
        folder: an empty folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schema.json").write_text(
        json.dumps({"name": data.name, "schema": data.schema.to_dict()}, indent=2), encoding="utf-8"
    )
    for name, table in {"interactions": data.interactions, "users": data.users, "items": data.items}.items():
        if table is not None:
            table.write_ipc(folder / f"{name}.arrow")
    data.user_vocabulary.save(folder / "user_ids.arrow")
    data.item_vocabulary.save(folder / "item_ids.arrow")


def load_dataset(folder: Path) -> Dataset:
    """Read what `save_dataset` wrote; indices are the same as before.

    Args:
        folder: where it was written.

    Raises:
        BundleError: a file is missing or is not what it should be.
    """
    try:
        described = json.loads((folder / "schema.json").read_text(encoding="utf-8"))
        tables = {name: _read(folder / f"{name}.arrow") for name in ("users", "items")}
        data = Dataset(
            read_arrow(folder / "interactions.arrow"),
            Schema.from_dict(described["schema"]),
            users=tables["users"],
            items=tables["items"],
            name=described["name"],
        )
    except (OSError, ValueError, KeyError, TypeError, pl.exceptions.PolarsError) as error:
        problem = f"not a saved dataset: {type(error).__name__}: {error}"
        raise BundleError(problem, where=str(folder), remedy="save it again") from error
    data.user_vocabulary = Vocabulary.load(folder / "user_ids.arrow")
    data.item_vocabulary = Vocabulary.load(folder / "item_ids.arrow")
    return data


def _read(file: Path) -> pl.DataFrame | None:
    return read_arrow(file) if file.exists() else None
