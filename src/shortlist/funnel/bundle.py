"""A whole funnel as one folder: data, models, post-rankers, sealed by a manifest."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from shortlist.data.sealed_folder import read_manifest, writing
from shortlist.data.storage import load_dataset, save_dataset
from shortlist.errors import BundleError, ConfigError
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Nearest, Popular, Retriever
from shortlist.models.ranker import Ranker
from shortlist.models.storage import load_model, save_model
from shortlist.postrank import from_dict, to_dict

FORMAT, VERSION = "shortlist.bundle", 1


def save_bundle(funnel: Funnel, path: str | Path, *, metrics: dict[str, float] | None = None) -> None:
    """Write a funnel as a folder that is whole or absent.

    Args:
        funnel: with shortlist's own models and post-rankers.
        path: the folder; a bundle that is there is replaced.
        metrics: figures measured at training, kept in the manifest.

    Raises:
        ConfigError: a part cannot be saved, or something else stands at `path`.
    """
    if funnel.data.past is not None:
        raise ConfigError(
            "the funnel stands on a test part", remedy="build it on the train part or the whole data"
        )
    facts = {"schema": funnel.data.schema.to_dict(), "versions": _versions(), "metrics": metrics or {}}
    with writing(path, format=FORMAT, version=VERSION, facts=facts) as folder:
        save_dataset(funnel.data, folder / "data")
        retrievers = [_describe(each, folder, f"retriever-{i}") for i, each in enumerate(funnel.retrievers)]
        rank = None
        if funnel.rank is not None:
            save_model(funnel.rank.ranker, folder / "ranker")
            rank = {"model": "ranker", "keep": funnel.rank.keep}
        described = {
            "retrieve": retrievers,
            "rank": rank,
            "postrank": [to_dict(each) for each in funnel.postrank],
            "size": funnel.size,
            "seed": funnel.seed,
        }
        (folder / "funnel.json").write_text(json.dumps(described, indent=2), encoding="utf-8")


def load_bundle(path: str | Path) -> Funnel:
    """Read a funnel; it answers with the same bits as the one that was saved.

    Args:
        path: the folder.

    Raises:
        BundleError: it is missing, foreign, newer or damaged; the file is named.
    """
    folder = Path(path)
    read_manifest(folder, format=FORMAT, version=VERSION)
    file = folder / "funnel.json"
    try:
        described = json.loads(file.read_text(encoding="utf-8"))
        data = load_dataset(folder / "data")
        retrievers = [_retriever(each, folder, data) for each in described["retrieve"]]
        rank = None
        if described["rank"] is not None:
            ranker = load_model(folder / described["rank"]["model"], data)
            if not isinstance(ranker, Ranker):
                raise BundleError("its ranker is no Ranker", where=str(file), remedy="save the bundle again")
            rank = Scored(ranker, keep=described["rank"]["keep"])
        return Funnel(
            retrieve=retrievers,
            rank=rank,
            postrank=[from_dict(each) for each in described["postrank"]],
            size=described["size"],
            data=data,
            seed=described["seed"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"not a funnel: {error}", where=str(file), remedy="save the bundle again"
        ) from error


def _describe(retriever: Retriever, folder: Path, name: str) -> dict[str, Any]:
    model: Any = retriever.model
    save_model(model, folder / name)
    kind = type(retriever).__name__
    described = {"kind": kind, "model": name, "k": retriever.k, "name": retriever.name}
    return described | ({"half_life": retriever.half_life} if isinstance(retriever, Popular) else {})


def _retriever(described: dict[str, Any], folder: Path, data: Any) -> Retriever:
    model = load_model(folder / described["model"], data)
    if isinstance(model, Ranker):
        raise BundleError("a Ranker cannot retrieve", where=str(folder), remedy="save the bundle again")
    if described["kind"] == "Nearest":
        return Nearest(model, described["k"], described["name"])
    popular = Popular(described["k"], described["half_life"], described["name"])
    popular.model = model
    return popular


def _versions() -> dict[str, str]:
    import shortlist

    return {
        "shortlist": shortlist.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "polars": pl.__version__,
        "numpy": np.__version__,
    }
