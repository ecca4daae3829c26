"""Click models: our DCN-v2 and FinalMLP beside the same models of FuxiCTR, and LightGBM.

Frappe (the 86,582 rows of the NFM split's validation and test parts, five seeds) and MovieLens-1M as clicks
(one seed, for the time), each split 80/10/10 at random; a seed decides the split, the first weights and the
order. All see the same columns, encoded by the train part. Each model has the same widths, dropout, weight
decay of the tables, batch size, Adam rate and number of epochs here and there. FuxiCTR stops two epochs after
its best and divides its learning rate by ten at each that is none better, as its own configurations do; ours
lets the rate fall over all epochs and keeps the best. LightGBM is the best of two settings on the validation
part. AUC is of the test part.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import shortlist as sl
from benchmarks import peers
from benchmarks.click_sets import PARTS, ClickSet, frappe, movielens
from benchmarks.harness import Figure
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.loader import BatchLoader
from shortlist.metrics import auc
from shortlist.nn.bodies import DCN, Body, FinalMLP

SEEDS = (0, 1, 2, 3, 4)
QUICK_ROWS, QUICK_EPOCHS = 20_000, 2
SCALE = 1e-4  # of the tables' first weights, as FuxiCTR has them
Ask = peers.Ask


@dataclass(frozen=True)
class Recipe:
    """A model as ours and as FuxiCTR has it.

    Args:
        body: ours.
        decay: weight decay of our tables.
        model: FuxiCTR's name.
        settings: FuxiCTR's own.
    """

    body: Body
    decay: float
    model: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Protocol:
    """A set and how it is learned.

    Args:
        clicks: the set.
        dim: width of the embeddings.
        batch: events a step.
        epochs: at most.
        rate: of Adam, at the start.
        seeds: of the split, the first weights and the order.
        recipes: the models, by the name in the figures.
        lightgbm: settings that LightGBM's validation part chooses from.
    """

    clicks: ClickSet
    dim: int
    batch: int
    epochs: int
    rate: float
    seeds: Sequence[int]
    recipes: dict[str, Recipe]
    lightgbm: Sequence[dict[str, Any]]


def protocols(*, rows: int | None) -> tuple[Protocol, ...]:
    """Both sets and their models.

    Args:
        rows: how many events to take of each set; None takes all.
    """
    small, large = _recipes((200, 200), decay=0.01, dropout=0.4), _recipes((128, 64), decay=1e-5, dropout=0.2)
    trees = [{"num_leaves": leaves, "learning_rate": 0.1} for leaves in (63, 255)]
    return (
        Protocol(frappe(rows=rows), 10, 1024, 15, 3e-3, SEEDS, small, trees),
        Protocol(movielens(rows=rows), 16, 4096, 5, 2e-3, SEEDS[:1], large, trees),
    )


def _recipes(hidden: tuple[int, int], *, decay: float, dropout: float) -> dict[str, Recipe]:
    """DCN-v2 and FinalMLP, ours and theirs of the same widths."""
    first, last = hidden[0], 100 if hidden[1] > 100 else hidden[1]
    heads = 5 if last == 100 else 4
    streams = {"mlp1_hidden_units": [first], "mlp2_hidden_units": [last]}
    norms = {
        "mlp1_batch_norm": True,
        "mlp2_batch_norm": True,
        "mlp1_dropout": dropout,
        "mlp2_dropout": dropout,
    }
    gates = {"fs_hidden_units": [first], "fs1_context": ["user_id"], "fs2_context": ["item_id"]}
    shared = {"dropout": dropout, "batch_norm": True}
    theirs = {"num_cross_layers": 3, "parallel_dnn_hidden_units": list(hidden), "batch_norm": True}
    return {
        "dcnv2": Recipe(
            DCN(cross_layers=3, hidden=hidden, structure="parallel", **shared),
            decay,
            "DCNv2",
            {**theirs, "net_dropout": dropout, "embedding_regularizer": decay},
        ),
        "finalmlp": Recipe(
            FinalMLP(hidden_query=(first,), hidden_candidate=(last,), gates=first, heads=heads, **shared),
            decay,
            "FinalMLP",
            {**streams, **norms, **gates, "num_heads": heads, "embedding_regularizer": decay},
        ),
    }


def run(*, quick: bool) -> list[Figure]:
    """Both sets; `quick` learns one seed of a part of each for two epochs, without targets."""
    torch.set_num_threads(1)
    found = []
    for protocol in protocols(rows=QUICK_ROWS if quick else None):
        found += _compare(protocol, protocol.seeds[:1] if quick else protocol.seeds, quick=quick)
    return found


def _compare(protocol: Protocol, seeds: Sequence[int], *, quick: bool) -> Iterator[Figure]:
    areas: dict[str, list[float]] = {}
    for seed in seeds:
        for name, area in _areas_of_a_seed(protocol, seed, quick=quick):
            areas.setdefault(name, []).append(area)
    set_name = protocol.clicks.name
    for name, each in areas.items():
        yield Figure(f"{set_name}_{name}_auc", statistics.mean(each), _deviation(each), spread=_spread(each))
    target = None if quick else 0.0
    for name in protocol.recipes:
        pairs = zip(areas[f"{name}_ours"], areas[f"{name}_fuxictr"], strict=True)
        yield _difference(
            f"{set_name}_{name}_minus_fuxictr", [ours - theirs for ours, theirs in pairs], target
        )
    best = max((areas[f"{name}_ours"] for name in protocol.recipes), key=statistics.mean)
    pairs = zip(best, areas["lightgbm"], strict=True)
    yield _difference(f"{set_name}_best_minus_lightgbm", [ours - theirs for ours, theirs in pairs], target)


def _areas_of_a_seed(protocol: Protocol, seed: int, *, quick: bool) -> Iterator[tuple[str, float]]:
    clicks, epochs = protocol.clicks, QUICK_EPOCHS if quick else protocol.epochs
    parts = clicks.split(seed)
    labels = torch.from_numpy(parts[-1].labels)
    for name, recipe in protocol.recipes.items():
        scores = train_ours(protocol, recipe, parts, epochs=epochs, seed=seed)
        yield f"{name}_ours", auc(scores, labels)
    with peers_of(protocol, parts) as (fuxictr, lightgbm):
        common = {"epochs": epochs, "batch_size": protocol.batch, "embedding_dim": protocol.dim, "seed": seed}
        for name, recipe in protocol.recipes.items():
            asked = {"model": recipe.model, "learning_rate": protocol.rate, **common, **recipe.settings}
            yield f"{name}_fuxictr", auc(torch.tensor(fuxictr(json.dumps(asked))["test"]), labels)
        answers = [
            lightgbm(json.dumps(each | {"seed": seed})) for each in protocol.lightgbm[: 1 if quick else None]
        ]
        chosen = max(
            answers, key=lambda each: auc(torch.tensor(each["validation"]), torch.from_numpy(parts[1].labels))
        )
        yield "lightgbm", auc(torch.tensor(chosen["test"]), labels)


def train_ours(
    protocol: Protocol, recipe: Recipe, parts: Sequence[sl.Dataset], *, epochs: int, seed: int
) -> torch.Tensor:
    """The scores of the test part.

    Args:
        protocol: the set, and what ours and the peer share.
        recipe: the model.
        parts: train, validation and test.
        epochs: at most.
        seed: of the first weights and the order.
    """
    train, validation, test = parts
    ranker = sl.Ranker(
        protocol.clicks.query,
        protocol.clicks.candidate,
        body=recipe.body,
        dim=protocol.dim,
        embedding_scale=SCALE,
        loss="click",
    )
    ranker.build(train, seed=seed)
    groups = [
        {"params": list(ranker.fields.parameters()), "weight_decay": recipe.decay},
        {"params": list(ranker.network.parameters())},
    ]
    ranker.fit(
        train,
        epochs=epochs,
        batch_size=protocol.batch,
        optimizer=torch.optim.Adam(groups, lr=protocol.rate, fused=True),
        learning_rate=None,
        schedule="cosine",
        max_grad_norm=10.0,
        validation=validation,
        monitor="auc",
        seed=seed,
    )
    rows = torch.arange(len(test))
    loader = BatchLoader(test, ranker.fitted_space(), batch_size=4096, rows=rows, shuffle=False)
    with torch.no_grad():
        return torch.cat([ranker(batch) for batch in loader.epoch(0)])


@contextmanager
def peers_of(protocol: Protocol, parts: Sequence[sl.Dataset]) -> Iterator[tuple[Ask, Ask]]:
    """FuxiCTR and LightGBM, which have read the parts.

    Args:
        protocol: the set.
        parts: train, validation and test.
    """
    clicks = protocol.clicks
    space = FeatureSpace.fit(parts[0], clicks.query, clicks.candidate)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for name, part in zip(PARTS, parts, strict=True):
            np.savez(Path(folder) / f"{name}.npz", **clicks.arrays(space, part))
        (Path(folder) / "features.json").write_text(json.dumps(clicks.described(space)), encoding="utf-8")
        yield tuple(
            stack.enter_context(peers.started(peer, f"click_models_{peer}.py", folder))
            for peer in ("fuxictr", "lightgbm")
        )


def _difference(name: str, each: Sequence[float], target: float | None) -> Figure:
    return Figure(name, statistics.mean(each), f"AUC {_deviation(each)}", target, spread=_spread(each))


def _deviation(each: Sequence[float]) -> str:
    return f"± {statistics.stdev(each):.5f}" if len(each) > 1 else ""


def _spread(each: Sequence[float]) -> tuple[float, float]:
    return min(each), max(each)
