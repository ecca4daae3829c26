"""A whole funnel as one folder: data, models, post-rankers, sealed by a manifest."""

from __future__ import annotations

import json
import platform
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from shortlist.calibration import load_calibrator, save_calibrator
from shortlist.data.dataset import Dataset
from shortlist.data.sealed_folder import read_manifest, refuse_foreign, writing
from shortlist.data.storage import load_dataset, save_dataset
from shortlist.errors import BundleError
from shortlist.funnel.description import AGAIN, FunnelDescription, RetrieverDescription
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.item_search import Embedder, ItemSearch
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Nearest, Popular, Retriever
from shortlist.models.ranking.boosted_ranker import BoostedRanker
from shortlist.models.ranking.ranker import Ranker
from shortlist.models.storage import load_model, save_model
from shortlist.postrank import to_dict

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
    facts = {"schema": funnel.data.schema.to_dict(), "versions": _versions(), "metrics": metrics or {}}
    with writing(path, format=FORMAT, version=VERSION, facts=facts) as folder:
        save_dataset(funnel.data, folder / "data")
        retrievers = [_describe(each, folder, f"retriever-{i}") for i, each in enumerate(funnel.retrievers)]
        rank: dict[str, Any] | None = None
        if funnel.rank is not None:
            save_model(funnel.rank.ranker, folder / "ranker")
            rank = {"model": "ranker", "keep": funnel.rank.keep}
            if funnel.rank.calibration is not None:
                rank["calibration"] = "ranker/calibration.safetensors"
                save_calibrator(funnel.rank.calibration, folder / rank["calibration"])
        described = {
            "retrieve": retrievers,
            "rank": rank,
            "postrank": [to_dict(each) for each in funnel.postrank],
            "size": funnel.size,
            "seed": funnel.seed,
        }
        (folder / "funnel.json").write_text(json.dumps(described, indent=2), encoding="utf-8")


def check_place(path: str | Path) -> None:
    """Refuse a place for a bundle before anything is trained for it.

    Args:
        path: the folder that `save_bundle` is to write.

    Raises:
        ConfigError: something else stands there.
    """
    refuse_foreign(Path(path), FORMAT)


def load_bundle(path: str | Path) -> Funnel:
    """Read a funnel; it answers with the same bits as the one that was saved.

    Args:
        path: the folder.

    Raises:
        BundleError: it is missing, foreign, newer or damaged; the file is named.
    """
    folder = Path(path)
    manifest = read_manifest(folder, format=FORMAT, version=VERSION)
    try:
        return _read(folder, manifest["sha256"])
    except BundleError:
        raise
    except Exception as error:
        # The seal shows that nothing was damaged since, not that it was shortlist that wrote it: whatever
        # goes wrong while foreign bytes are taken for a funnel is the fault of the bytes.
        raise BundleError(
            f"not a funnel: {type(error).__name__}: {error}", where=str(folder), remedy=AGAIN
        ) from error


def _read(folder: Path, files: Collection[str]) -> Funnel:
    file = folder / "funnel.json"
    described = FunnelDescription.parse(
        json.loads(file.read_text(encoding="utf-8")), files=files, where=str(file)
    )
    data = load_dataset(folder / "data")
    ranker = None if described.ranker is None else load_model(folder / described.ranker, data)
    if ranker is not None and not isinstance(ranker, Ranker | BoostedRanker):
        raise BundleError(f"its ranker is a {type(ranker).__name__}", where=str(file), remedy=AGAIN)
    calibration = None if described.calibration is None else load_calibrator(folder / described.calibration)
    return Funnel(
        retrieve=[_retriever(each, folder, data) for each in described.retrieve],
        rank=None if ranker is None else Scored(ranker, keep=described.keep, calibration=calibration),
        postrank=described.postrank,
        size=described.size,
        data=data,
        seed=described.seed,
    )


def _describe(retriever: Retriever, folder: Path, name: str) -> dict[str, Any]:
    model: Any = retriever.model
    save_model(model, folder / name)
    kind = type(retriever).__name__
    described = {"kind": kind, "model": name, "k": retriever.k, "name": retriever.name}
    if isinstance(retriever, Popular):
        return described | {"half_life": retriever.half_life}
    index, search = None, retriever.indexed()
    if search is not None:
        search.save(folder / name / "items.index")
        index = {"file": f"{name}/items.index", "found": search.recall}
    return described | {"recall": float(retriever.recall), "index": index}


def _retriever(described: RetrieverDescription, folder: Path, data: Dataset) -> Retriever:
    model = load_model(folder / described.model, data)
    if isinstance(model, Ranker | BoostedRanker):
        place = str(folder / described.model)
        raise BundleError(f"a {type(model).__name__} cannot retrieve", where=place, remedy=AGAIN)
    if described.kind == "Nearest":
        nearest = Nearest(model, described.k, described.name, described.recall)
        if described.index is not None and isinstance(model, Embedder):
            nearest.search = ItemSearch.load(folder / described.index, model, recall=described.found)
        return nearest
    popular = Popular(described.k, described.half_life, described.name)
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
