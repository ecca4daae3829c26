"""Rankers on single events: the native pass beside the layers and PyTorch's gradients."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from planted import CANDIDATE, QUERY, planted
from torch import Tensor

from shortlist.data import Category, Dataset, History, Id, Schema
from shortlist.data.feature_space import Batch
from shortlist.models import Ranker
from shortlist.models.ranking.fused_events import fused_event_loss
from shortlist.models.ranking.single_events import event_loss
from shortlist.nn import MLP
from shortlist.nn.bodies import DCN, WideDeep

SEEN = History("item_id", name="seen", length=9, pooling="target", dropout=0)
SETTINGS: dict[str, dict[str, Any]] = {
    "ids": {"query": [Id("user_id")], "candidate": [Id("item_id")]},
    "every feature": {"query": QUERY[:4], "candidate": CANDIDATE},
    "histories": {
        "query": (QUERY[0], SEEN, *QUERY[1:4], replace(QUERY[5], dropout=0)),
        "candidate": CANDIDATE,
    },
    "items alone": {"candidate": CANDIDATE},
    "the moment alone": {"query": [Category("device")]},
    "no hidden layer": {"query": QUERY[:2], "candidate": CANDIDATE, "body": DCN(hidden=(), dropout=0)},
    "three crosses": {
        "query": QUERY[:2],
        "candidate": CANDIDATE,
        "body": DCN(cross_layers=3, hidden=(40, 9), dropout=0),
    },
}


@cache
def clicked() -> Dataset:
    """The planted events, the better half of them clicks."""
    data = planted()
    events = data.interactions.with_columns(rating=(pl.col("rating") > 3).cast(pl.Float64))
    return Dataset(events, Schema(timestamp="time", label="rating"), users=data.users, items=data.items)


def built(data: Dataset, loss: Any, **settings: Any) -> tuple[Ranker, Batch]:
    """A ranker in training, and all events as one batch, some of which weigh more."""
    ranker = Ranker(**({"body": DCN(dropout=0)} | settings), dim=5, loss=loss)
    ranker.build(data, seed=1)
    loader = ranker.make_loader(data, batch_size=len(data), seed=0)
    batch = next(loader.epoch(0))
    batch["weight"] = torch.linspace(0.5, 2, len(data))
    return ranker.train(), batch


def gradients(ranker: Ranker, loss: Tensor) -> dict[str, Tensor]:
    ranker.zero_grad()
    loss.backward()
    return {name: each.grad for name, each in ranker.named_parameters() if each.grad is not None}


@pytest.mark.parametrize("loss", ["rating", "click"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_loss_and_the_gradients_are_those_of_the_layers(name: str, loss: Any):
    ranker, batch = built(planted() if loss == "rating" else clicked(), loss, **SETTINGS[name])
    fused, plain = fused_event_loss(ranker, batch, loss), event_loss(ranker(batch), batch, loss)
    assert fused is not None
    torch.testing.assert_close(fused, plain, rtol=1e-5, atol=0)
    expected = gradients(ranker, plain)
    found = gradients(ranker, 3 * fused)
    assert found.keys() == expected.keys()
    for each, gradient in found.items():
        scale = float(expected[each].abs().max())
        torch.testing.assert_close(gradient / 3, expected[each], rtol=1e-4, atol=1e-5 * scale)


def test_training_goes_the_same_way():
    class ByLayers(Ranker):
        def forward(self, batch: Batch) -> Tensor:
            return super().forward(batch)

    losses = []
    for kind in (Ranker, ByLayers):
        ranker = kind(QUERY[:2], CANDIDATE, body=DCN(hidden=(16,), dropout=0), loss="rating")
        history = ranker.fit(planted(), epochs=3, batch_size=200, learning_rate=0.01)
        losses.append([row["loss"] for row in history.epochs])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_short_numbers_and_a_scaled_loss_train_it_too():
    for precision in ("bfloat16", "float16"):
        ranker = Ranker(QUERY[:2], CANDIDATE, body=DCN(hidden=(16,), dropout=0), loss="rating")
        epochs = ranker.fit(
            planted(), epochs=3, batch_size=200, learning_rate=0.01, precision=precision
        ).epochs
        assert epochs[-1]["loss"] < epochs[0]["loss"]


def test_dropout_hides_units_in_training_alone_and_follows_the_seed():
    ranker, batch = built(planted(), "rating", query=QUERY[:2], body=DCN(hidden=(64,), dropout=0.5))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [fused_event_loss(ranker, batch, "rating").item() for _ in range(2)]
        torch.manual_seed(0)
        assert fused_event_loss(ranker, batch, "rating").item() == drawn[0] != drawn[1]
    ranker.eval()
    torch.testing.assert_close(
        fused_event_loss(ranker, batch, "rating"), event_loss(ranker(batch), batch, "rating")
    )


@pytest.mark.parametrize(
    "body",
    [
        WideDeep(hidden=(8,)),
        DCN(cross_layers=0),
        DCN(projection_dim=2),
        DCN(projection_dim=2, num_experts=2),
        DCN(structure="parallel"),
        DCN(batch_norm=True),
    ],
    ids=str,
)
def test_what_the_kernels_do_not_know_is_left_to_the_layers(body: Any):
    ranker, batch = built(planted(), "rating", query=QUERY[:2], candidate=CANDIDATE, body=body)
    assert fused_event_loss(ranker, batch, "rating") is None
    assert ranker.compute_loss(batch).requires_grad


def test_layers_of_another_kind_dtype_or_use_are_left_to_pytorch():
    ranker, batch = built(planted(), "rating", query=QUERY[:2], candidate=CANDIDATE)
    with torch.no_grad():
        assert fused_event_loss(ranker, batch, "rating") is None
    assert fused_event_loss(ranker, batch | {"label": batch["label"][:, None]}, "rating") is None
    ranker.network.deep = MLP(ranker.fields.layout.total, (8, 1), activation="gelu")
    assert fused_event_loss(ranker, batch, "rating") is None
    ranker, batch = built(planted(), "rating", query=QUERY[:1], candidate=CANDIDATE[:1])
    assert fused_event_loss(ranker.double(), batch, "rating") is None


def test_few_ids_that_repeat_are_not_told_apart():
    ranker, batch = built(planted(), "rating", query=[Id("user_id")], candidate=[Id("item_id")])
    some = {name: each[:20] for name, each in batch.items()}
    plain = event_loss(ranker(some), some, "rating")
    torch.testing.assert_close(fused_event_loss(ranker, some, "rating"), plain, rtol=1e-5, atol=0)
