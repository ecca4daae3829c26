"""Gradient-boosted trees of LightGBM: training, scoring, and their text, which is checked before use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from shortlist.errors import BundleError, ConfigError
from shortlist.training import TrainingHistory

if TYPE_CHECKING:
    import lightgbm

END = "end of trees"
MONITORED = "ndcg@10"
# What a tree says of each of its inner nodes, and of each of its leaves.
OF_NODES: dict[str, type] = {
    "split_feature": int,
    "split_gain": float,
    "threshold": float,
    "decision_type": int,
    "left_child": int,
    "right_child": int,
    "internal_value": float,
    "internal_weight": float,
    "internal_count": int,
}
OF_LEAVES: dict[str, type] = {"leaf_value": float, "leaf_weight": float, "leaf_count": int}


def library() -> Any:
    """LightGBM.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise ConfigError(
            "boosted trees need LightGBM, which is not installed",
            where="BoostedRanker",
            remedy="run: pip install 'shortlist[lightgbm]'",
        ) from error
    return lightgbm


class TreeLists(NamedTuple):
    """Lists to learn from or to be judged by."""

    table: np.ndarray  # [total, columns] float32
    labels: Tensor  # [total] whole numbers
    lengths: Tensor  # [lists] int64


def grow_trees(
    lists: Sequence[TreeLists],
    settings: dict[str, Any],
    *,
    trees: int,
    categorical: Sequence[int],
    patience: int,
) -> tuple[lightgbm.Booster, TrainingHistory]:
    """Train trees.

    Args:
        lists: to learn from, and perhaps others that say how many trees are kept.
        settings: of LightGBM, with the objective.
        trees: how many at most.
        categorical: numbers of the columns without an order.
        patience: trees without improvement on the other lists after which to stop.

    Returns:
        The trees, and NDCG@10 on the other lists after each.
    """
    lightgbm = library()
    sets = [
        lightgbm.Dataset(
            part.table,
            part.labels.numpy(),
            group=part.lengths.numpy(),
            categorical_feature=list(categorical),
            params={"verbosity": -1},
        )
        for part in lists
    ]
    record: dict[str, dict[str, list[float]]] = {}
    callbacks = []
    if len(sets) > 1:
        callbacks = [lightgbm.record_evaluation(record), lightgbm.early_stopping(patience, verbose=False)]
    always = {
        "metric": "ndcg",
        "eval_at": [10],
        "num_threads": torch.get_num_threads(),
        "deterministic": True,  # the same trees for any number of threads
        "force_row_wise": True,
        "verbosity": -1,
    }
    booster = lightgbm.train(always | settings, sets[0], trees, valid_sets=sets[1:], callbacks=callbacks)
    found = record.get("valid_0", {}).get(MONITORED, [])
    rows = [{"epoch": float(tree), MONITORED: value} for tree, value in enumerate(found, 1)]
    return booster, TrainingHistory(rows, booster.best_iteration or None)


def predict(booster: lightgbm.Booster, table: np.ndarray) -> Tensor:
    """Score rows.

    Args:
        booster: trained trees.
        table: `[n, columns]` float32.

    Returns:
        `[n]` float32.
    """
    if len(table) == 0:
        return torch.zeros(0)
    scores = booster.predict(table, raw_score=True, num_threads=torch.get_num_threads())
    return torch.from_numpy(np.asarray(scores, np.float32))


def read_trees(text: str, *, columns: int) -> lightgbm.Booster:
    """Make trees from LightGBM's text format.

    LightGBM follows the numbers of a text without looking where they lead. So they are read and checked here,
    and LightGBM gets a text that holds nothing else.

    Args:
        text: what `Booster.model_to_string` wrote.
        columns: how many the table to score has.

    Raises:
        BundleError: the text is damaged, or belongs to a table with other columns.
        ConfigError: LightGBM is not installed.
    """
    lightgbm = library()
    header, *trees = text.partition(f"\n{END}")[0].split("\nTree=")
    try:
        parts = [_header(_facts(header), columns)]
        if not trees:
            raise ValueError("there is no tree")
        for number, tree in enumerate(trees):
            parts.append(f"Tree={number}\n{_tree(_facts(tree), columns)}")
        return lightgbm.Booster(model_str="\n\n".join([*parts, END, ""]))  # type: ignore[no-any-return]
    except (KeyError, ValueError, OverflowError, lightgbm.basic.LightGBMError) as error:
        what = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise BundleError(f"not LightGBM's trees: {what}", remedy="save the ranker again") from error


def _header(facts: dict[str, str], columns: int) -> str:
    """The lines before the trees."""
    for name, wanted in {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1"}.items():
        if facts[name] != wanted:
            raise ValueError(f"{name} is {facts[name]!r}, not {wanted!r}")
    if facts["max_feature_idx"] != str(columns - 1):
        raise ValueError(f"the trees are not over {columns} columns")
    objective, infos = facts["objective"], facts["feature_infos"].split(" ")
    if objective not in ("lambdarank", "rank_xendcg") or len(infos) != columns:
        raise ValueError(f"the trees of {objective!r} over {len(infos)} columns rank nothing here")
    lines = {
        "version": "v4",
        "num_class": "1",
        "num_tree_per_iteration": "1",
        "label_index": "0",
        "max_feature_idx": str(columns - 1),
        "objective": objective,
        "feature_names": " ".join(f"Column_{number}" for number in range(columns)),
        "feature_infos": " ".join(infos),
    }
    return "\n".join(["tree", *(f"{name}={value}" for name, value in lines.items())])


def _tree(facts: dict[str, str], columns: int) -> str:
    """The lines of a tree, whose numbers all lead somewhere."""
    leaves, categories = int(facts["num_leaves"]), int(facts["num_cat"])
    if leaves < 1 or categories < 0 or facts["is_linear"] != "0":
        raise ValueError(
            f"a tree has {leaves} leaves, {categories} categories, is_linear={facts['is_linear']}"
        )
    lines: dict[str, Sequence[int | float]] = {"num_leaves": [leaves], "num_cat": [categories]}
    for name, kind in OF_NODES.items():
        lines[name] = _numbers(facts, name, leaves - 1, kind)
    for name, kind in OF_LEAVES.items():
        lines[name] = _numbers(facts, name, leaves, kind)
    if categories:
        bounds = lines["cat_boundaries"] = _numbers(facts, "cat_boundaries", categories + 1, int)
        if bounds[0] != 0 or any(high <= low for low, high in pairwise(bounds)):
            raise ValueError("cat_boundaries do not rise from 0")
        lines["cat_threshold"] = _numbers(facts, "cat_threshold", bounds[-1], int)
        _check_range("cat_threshold", lines["cat_threshold"], 0, 2**32 - 1)
    _check_nodes(lines, leaves, categories, columns)
    lines |= {"is_linear": [0], "shrinkage": _numbers(facts, "shrinkage", 1, float)}
    return "\n".join(f"{name}={' '.join(map(repr, values))}" for name, values in lines.items())


def _check_nodes(lines: dict[str, Sequence[int | float]], leaves: int, categories: int, columns: int) -> None:
    _check_range("split_feature", lines["split_feature"], 0, columns - 1)
    _check_range("decision_type", lines["decision_type"], 0, 15)
    splits = zip(lines["threshold"], lines["decision_type"], strict=True)
    _check_range("threshold", [value for value, kind in splits if int(kind) & 1], 0, categories - 1)
    for side in ("left_child", "right_child"):
        for node, child in enumerate(lines[side]):
            # A node is younger than its parent, so whoever follows the children arrives at a leaf.
            if not (node < child < leaves - 1 or -leaves <= child < 0):
                raise ValueError(f"the {side} of node {node} is {child}")


def _check_range(name: str, values: Sequence[int | float], low: int, high: int) -> None:
    for value in values:
        if not low <= value <= high:
            raise ValueError(f"a {name} is {value}, not within {low} and {high}")


def _facts(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.split("\n"))
    return {name: value for name, equals, value in pairs if equals}


def _numbers(facts: dict[str, str], name: str, count: int, kind: type) -> list[Any]:
    values = [kind(word) for word in facts[name].split()]
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"{name} holds {len(values)} numbers, not {count} finite ones")
    return values
