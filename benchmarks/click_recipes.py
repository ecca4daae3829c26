"""The models of `click_models`, ours and FuxiCTR's side by side, and how each set is learned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.click_sets import ClickSet, frappe, movielens
from shortlist.nn.bodies import DCN, Body, FinalMLP

CROSS_LAYERS = 3


@dataclass(frozen=True)
class Recipe:
    """A model as ours and as FuxiCTR has it.

    Args:
        body: ours.
        model: FuxiCTR's name.
        settings: FuxiCTR's own.
    """

    body: Body
    model: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Trial:
    """How one of ours is trained.

    Args:
        decay: weight decay of the tables.
        schedule: of the learning rate.
    """

    decay: float
    schedule: Literal["cosine", "plateau"]


@dataclass(frozen=True)
class Protocol:
    """A set and how it is learned; the validation parts choose from as many trials each.

    Args:
        clicks: the set.
        dim: width of the embeddings, here and there.
        batch: events a step, here and there.
        epochs: at most, here and there.
        rate: of Adam at the start, here and there.
        scale: standard deviation of our tables' first weights.
        recipes: the models by their names in the figures.
        ours: what our models choose from.
        fuxictr: weight decays of the tables that FuxiCTR's choose from.
        lightgbm: settings that LightGBM chooses from.
        choosing_seeds: how many seeds try all settings; the mean of their validation parts chooses for all.
    """

    clicks: ClickSet
    dim: int
    batch: int
    epochs: int
    rate: float
    scale: float
    recipes: dict[str, Recipe]
    ours: Sequence[Trial]
    fuxictr: Sequence[float]
    lightgbm: Sequence[dict[str, Any]]
    choosing_seeds: int


TREES = tuple({"num_leaves": leaves, "learning_rate": 0.1} for leaves in (31, 63, 255))


def protocols(*, rows: int | None) -> tuple[Protocol, ...]:
    """Both sets and their models.

    Args:
        rows: how many events to take of each set; None takes all.
    """
    return (
        Protocol(
            clicks=frappe(rows=rows),
            dim=10,
            batch=1024,
            epochs=15,
            rate=3e-3,
            scale=1e-4,
            recipes={"dcnv2": dcn((200, 200), 0.4), "finalmlp": final_mlp(200, 100, heads=5, dropout=0.4)},
            ours=(Trial(0.01, "cosine"), Trial(0.01, "plateau"), Trial(0.03, "cosine")),
            fuxictr=(0.003, 0.01, 0.03),
            lightgbm=TREES,
            choosing_seeds=5,
        ),
        Protocol(
            clicks=movielens(rows=rows),
            dim=16,
            batch=4096,
            epochs=5,
            rate=2e-3,
            scale=0.01,
            recipes={"dcnv2": dcn((128, 64), 0.2), "finalmlp": final_mlp(128, 64, heads=4, dropout=0.2)},
            ours=(Trial(1e-5, "plateau"), Trial(1e-5, "cosine"), Trial(1e-4, "plateau")),
            fuxictr=(1e-6, 1e-5, 1e-4),
            lightgbm=TREES,
            choosing_seeds=1,
        ),
    )


def dcn(hidden: tuple[int, ...], dropout: float) -> Recipe:
    """Three crosses beside a perceptron.

    Args:
        hidden: widths of the perceptron.
        dropout: of its hidden units.
    """
    body = DCN(
        cross_layers=CROSS_LAYERS, hidden=hidden, structure="parallel", dropout=dropout, batch_norm=True
    )
    settings = {
        "num_cross_layers": CROSS_LAYERS,
        "parallel_dnn_hidden_units": list(hidden),
        "net_dropout": dropout,
        "batch_norm": True,
    }
    return Recipe(body, "DCNv2", settings)


def final_mlp(first: int, second: int, *, heads: int, dropout: float) -> Recipe:
    """Two gated streams of one hidden layer each.

    Args:
        first: width of the first stream and of the gates.
        second: width of the second stream.
        heads: parts in which the streams' ends meet.
        dropout: of the hidden units.
    """
    body = FinalMLP(
        hidden_query=(first,),
        hidden_candidate=(second,),
        gates=first,
        heads=heads,
        dropout=dropout,
        batch_norm=True,
    )
    settings: dict[str, Any] = {
        "mlp1_hidden_units": [first],
        "mlp2_hidden_units": [second],
        "num_heads": heads,
        "fs_hidden_units": [first],
        "fs1_context": ["user_id"],
        "fs2_context": ["item_id"],
    }
    for stream in ("mlp1", "mlp2"):
        settings |= {f"{stream}_batch_norm": True, f"{stream}_dropout": dropout}
    return Recipe(body, "FinalMLP", settings)
