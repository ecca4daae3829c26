"""Trained models on disk: JSON for what they are, safetensors for what they learned, and LightGBM's text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from shortlist.data.dataset import Dataset
from shortlist.data.space_storage import load_space, save_space
from shortlist.errors import BundleError, ConfigError, did_you_mean
from shortlist.models.baselines.als import ALS
from shortlist.models.baselines.ease import EASE
from shortlist.models.baselines.item_knn import ItemKNN
from shortlist.models.baselines.popularity import Popularity
from shortlist.models.model import Model
from shortlist.models.ranking.boosted_ranker import BoostedRanker
from shortlist.models.ranking.ranker import Ranker
from shortlist.models.ranking.trees import library
from shortlist.models.recommender import fitted_data
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower

SavedModel = TwoTower | Sequential | Ranker | BoostedRanker | Popularity | ItemKNN | EASE | ALS
KINDS: dict[str, type[SavedModel]] = {
    cls.__name__: cls for cls in (TwoTower, Sequential, Ranker, BoostedRanker, Popularity, ItemKNN, EASE, ALS)
}
WEIGHTS, TREES = "weights.safetensors", "trees.txt"


def save_model(model: SavedModel, folder: Path) -> None:
    """Write a trained model into a folder; the data that it refers to is saved apart.

    Args:
        model: one of shortlist's models.
        folder: an empty folder, made if need be.

    Raises:
        ConfigError: the class is not one of shortlist's.
        NotFittedError: the model is not trained.
    """
    kind = type(model).__name__
    if KINDS.get(kind) is not type(model):
        raise ConfigError(
            f"a model of class {kind!r} cannot be saved in a bundle",
            remedy=f"use one of {', '.join(KINDS)}, or save its state_dict with safetensors yourself",
        )
    folder.mkdir(parents=True, exist_ok=True)
    described = {"kind": kind, "config": model.config()}
    (folder / "model.json").write_text(json.dumps(described, indent=2), encoding="utf-8")
    if isinstance(model, TwoTower | Sequential | Ranker | BoostedRanker):
        save_space(model.fitted_space(), folder)
    if isinstance(model, BoostedRanker):
        (folder / TREES).write_text(model.trees_text(), encoding="utf-8")
        return
    if isinstance(model, TwoTower | Sequential | Ranker):
        state: Mapping[str, Tensor] = model.state_dict()
    else:
        fitted_data(model)
        state = model.state()
    weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    save_file(weights, folder / WEIGHTS)


def load_model(folder: Path, data: Dataset) -> SavedModel:
    """Read what `save_model` wrote.

    Args:
        folder: where it was written.
        data: the dataset that the model was trained on.

    Raises:
        BundleError: a file is missing or is not what it should be.
    """
    try:
        described = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        kind, config = described["kind"], described["config"]
        if kind == BoostedRanker.__name__:
            learned: Any = (folder / TREES).read_text(encoding="utf-8")
        else:
            learned = load_file(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(f"not a saved model: {error}", where=str(folder), remedy="save it again") from error
    if kind not in KINDS:
        remedy = did_you_mean(str(kind), KINDS)
        raise BundleError(f"model kind {kind!r} is unknown", where=str(folder), remedy=remedy)
    if kind == BoostedRanker.__name__:
        _check_lightgbm(folder)
    try:
        return _restore(KINDS[kind], config, learned, folder, data)
    except (RuntimeError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise BundleError(error.what, where=error.where or str(folder), remedy=error.remedy) from error
        problem = f"the weights do not fit the model: {error}"
        raise BundleError(problem, where=str(folder), remedy="save it again") from error


def _check_lightgbm(folder: Path) -> None:
    try:
        library()
    except ConfigError as error:
        raise BundleError(error.what, where=str(folder), remedy=error.remedy) from error


def _restore(kind: Any, config: dict[str, Any], learned: Any, folder: Path, data: Dataset) -> SavedModel:
    if not issubclass(kind, Model | BoostedRanker):
        restored: Any = kind.from_state(config, learned)
        if restored.num_items != len(data.item_vocabulary) - 1:
            raise BundleError(
                f"the weights are of {restored.num_items} items, not {len(data.item_vocabulary) - 1}",
                where=str(folder),
                remedy="save it again",
            )
        restored.data = data
        return restored  # type: ignore[no-any-return]
    model = kind.from_config(config)
    space = load_space(data, folder)
    query, candidate = model.features(data)
    if (tuple(query), tuple(candidate)) != (space.query, space.candidate):
        raise BundleError(
            "model.json and features.json name different features", where=str(folder), remedy="save it again"
        )
    if isinstance(model, BoostedRanker):
        model.restore(space, learned)
        return model
    model.data, model.space = data, space
    model.build_layers()
    model.load_state_dict(learned)
    model.eval()
    return model  # type: ignore[no-any-return]
