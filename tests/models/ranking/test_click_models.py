"""Rankers with each of the bodies: what they learn, save, score and refuse."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from planted import CANDIDATE, QUERY, parts
from reference import click_models as slow

from shortlist.data import Category, Dataset, History, Id, Number, Schema, Tags
from shortlist.data.candidates import Candidates
from shortlist.errors import ConfigError
from shortlist.models import Ranker, load_model, save_model
from shortlist.nn import bodies
from shortlist.nn.bodies import DCN, DIN, FM, LR, AutoInt, DeepFM, FinalMLP, MaskNet, WideDeep, XDeepFM
from shortlist.training import CompositeOptimizer

INTERACTING = (
    FM(),
    WideDeep(hidden=(16,), dropout=0),
    DeepFM(hidden=(16,), dropout=0),
    DCN(hidden=(16,), dropout=0),
    DCN(hidden=(16,), structure="parallel", dropout=0),
    DCN(hidden=(), structure="parallel", projection_dim=4, num_experts=2),
    XDeepFM(maps=(4,), hidden=()),
    AutoInt(attention_dim=8),
    FinalMLP(hidden_query=(16,), hidden_candidate=(16,), gates=8, dropout=0),
    MaskNet(hidden=(16,), dropout=0),
    MaskNet(structure="parallel", blocks=2, block_dim=8, hidden=(8,), dropout=0),
)
TARGET = History("item_id", name="seen", length=20, pooling="target", dropout=0)


@cache
def exclusive_or() -> tuple[Dataset, Dataset]:
    """A click where exactly one of two sides is odd: no sum of single weights can say that."""
    random = np.random.default_rng(0)
    sides = random.integers(0, 2, (2000, 2))
    table = pl.DataFrame(
        {
            "user_id": random.integers(0, 30, 2000),
            "item_id": sides[:, 1] + 2 * random.integers(0, 20, 2000),
            "side": sides[:, 0].astype(str),
            "noise": random.normal(size=2000),
            "clicked": (sides[:, 0] != sides[:, 1]).astype(float),
        }
    )
    items = pl.DataFrame({"item_id": range(40), "odd": [str(number % 2) for number in range(40)]})
    return Dataset(table, Schema(label="clicked"), items=items).split_random(0.2)


def clicker(body: Any, **options: Any) -> Ranker:
    query = [Category("side"), Number("noise")]
    return Ranker(query, [Category("odd")], body=body, dim=4, loss="click", **options)


def area(ranker: Ranker, *, epochs: int, **options: Any) -> float:
    train, test = exclusive_or()
    ranker.fit(train, **{"epochs": epochs, "batch_size": 128, "learning_rate": 0.02} | options)
    return ranker.validate(test)["auc"]


@pytest.mark.parametrize("body", INTERACTING, ids=str)
def test_a_planted_interaction_is_learned(body):
    assert area(clicker(body), epochs=5) > 0.95


def test_logistic_regression_cannot_learn_an_interaction():
    assert area(clicker(LR()), epochs=5) < 0.6


def test_logistic_regression_learns_what_adds_up():
    train, test = exclusive_or()
    parted = [
        Dataset(
            part.interactions.with_columns(clicked=(pl.col("side") == "1").cast(pl.Float64)),
            part.schema,
            items=part.items,
        )
        for part in (train, test)
    ]
    ranker = clicker(LR())
    ranker.fit(parted[0], epochs=4, batch_size=128, learning_rate=0.05)
    odd, even = ranker.first_order.fields.query[0].embedding.weight.flatten().tolist()[1:]
    assert abs(odd - even) > 2
    assert ranker.fields is None


def test_a_ranker_with_fm_is_the_formula_over_its_embeddings():
    train, _ = exclusive_or()
    ranker = clicker(FM())
    ranker.fit(train, epochs=1, learning_rate=0.1)
    batch = next(ranker.make_loader(train, batch_size=9, seed=0).epoch(0))
    with torch.no_grad():
        fields = torch.stack(ranker.fields(batch), dim=1)
        weights = ranker.first_order(batch)
        expected = [
            slow.pairwise_sum(row) + wide + ranker.network.bias.item()
            for row, wide in zip(fields.tolist(), weights.tolist(), strict=True)
        ]
        torch.testing.assert_close(ranker(batch), torch.tensor(expected))
    assert fields.shape == (9, 3, 4)  # a number is a field too
    assert weights.abs().sum() > 0


def test_din_learns_whose_history_speaks_for_an_item():
    train, _ = parts()
    seen = {"user_id": train.interactions["user_id"], "item_id": train.interactions["item_id"]}
    random = np.random.default_rng(0)
    liked = pl.DataFrame(seen | {"time": train.interactions["time"], "clicked": 1.0})
    strangers = random.choice(train.items["item_id"].to_numpy(), len(liked))
    disliked = liked.with_columns(item_id=pl.Series(strangers), clicked=pl.lit(0.0))
    data = Dataset(pl.concat([liked, disliked]), Schema(timestamp="time", label="clicked"), items=train.items)
    ranker = Ranker([TARGET], [Category("group")], body=DIN(hidden=(16,), dropout=0), loss="click", dim=8)
    ranker.fit(data, epochs=12, batch_size=128, learning_rate=0.02)
    assert ranker.validate(data)["auc"] > 0.75


RICH = (*INTERACTING, LR(), DIN(hidden=(8,)))


@pytest.mark.parametrize("body", RICH, ids=str)
def test_a_body_reads_every_kind_of_feature_and_is_saved_with_the_ranker(body, tmp_path: Path):
    train, test = parts()
    ranker = Ranker([*QUERY, TARGET], CANDIDATE, body=body, dim=4, embedding_scale=0.1, loss="rating")
    ranker.fit(train, epochs=1, batch_size=256)
    assert Ranker.from_config(json.loads(json.dumps(ranker.config()))).body == body
    save_model(ranker, tmp_path / "ranker")
    loaded = load_model(tmp_path / "ranker", train)
    people, items = torch.arange(1, 6), torch.arange(1, 11).repeat(5, 1)
    lists = Candidates.from_padded(items, torch.zeros(5, 10))
    scores = ranker.score_candidates(train.requests_of(people), lists)
    assert torch.equal(loaded.score_candidates(train.requests_of(people), lists), scores)
    assert scores.isfinite().all()
    assert loaded.validate(test) == ranker.validate(test)


@pytest.mark.parametrize("body", [LR(), DeepFM(hidden=(8,)), DCN(hidden=(8,)), FinalMLP()], ids=str)
def test_a_body_reads_retrieval_scores_too(body):
    from models.ranking.test_ranker import accuracy, random_lists

    train, _ = parts()
    ranker = Ranker([Id("user_id")], scores=["score_a"], body=body, dim=4)
    ranker.fit_lists(train, random_lists(train), epochs=2)
    assert 0 <= accuracy(ranker, random_lists(train, rows=20, seed=1)) <= 1


def test_predicted_ratings_start_at_the_mean():
    train, _ = parts()
    ranker = Ranker([Id("user_id")], [Id("item_id")], body=FM(), embedding_scale=1e-3, loss="rating")
    ranker.build(train)
    batch = next(ranker.make_loader(train, batch_size=50, seed=0).epoch(0))
    mean = float(train.interactions["rating"].mean())
    torch.testing.assert_close(ranker(batch), torch.full((50,), mean), atol=1e-3, rtol=0)


def test_the_scale_of_embeddings_is_that_of_all_tables_but_the_first_order_ones():
    ranker = Ranker(QUERY, CANDIDATE, body=DeepFM(), embedding_scale=0.01)
    ranker.build(parts()[0])
    for encoder in ranker.fields.modules():
        if isinstance(encoder, torch.nn.Embedding) and encoder.num_embeddings > 40:
            assert encoder.weight[1:].std().item() == pytest.approx(0.01, rel=0.1)
            assert encoder.weight[0].abs().sum() == 0
    assert all(weight.abs().sum() == 0 for weight in ranker.first_order.parameters())


def test_tables_and_network_can_have_optimizers_of_their_own():
    train, _ = exclusive_or()
    ranker = clicker(DeepFM(hidden=(16,), dropout=0))
    ranker.build(train)
    tables = [*ranker.fields.parameters(), *ranker.first_order.parameters()]
    optimizer = CompositeOptimizer(
        [
            torch.optim.Adam(tables, lr=0.02, weight_decay=1e-4),
            torch.optim.Adam(ranker.network.parameters(), lr=0.01),
        ],
        cover=ranker.parameters(),
    )
    assert area(ranker, epochs=5, optimizer=optimizer, learning_rate=None) > 0.95


def test_the_validation_auc_stops_the_training_and_soft_labels_have_none():
    train, test = exclusive_or()
    ranker = clicker(DCN(hidden=(16,)))
    history = ranker.fit(train, epochs=30, validation=test, monitor="auc", patience=2, learning_rate=0.02)
    assert len(history.epochs) < 30
    assert ranker.validate(test)["auc"] == max(row["auc"] for row in history.epochs)
    soft = Dataset(
        train.interactions.with_columns(clicked=pl.col("clicked") * 0.9), train.schema, items=train.items
    )
    assert set(ranker.validate(soft)) == {"validation_loss"}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (
            lambda: Ranker([], [Id("item_id")], body=FM(), hidden=(8,)),
            r"cross_layers, hidden and dropout describe the default body.*give them to the body.*FM\(…\)",
        ),
        (
            lambda: Ranker([], [Id("item_id", dim=8)], body=FM()),
            r"FM reads fields of one width, 16, but this feature asks for 8 \(Id\('item_id'\)\); leave",
        ),
        (
            lambda: Ranker([], [Id("item_id")], body=DIN()),
            r"no feature is a history in the light of the candidate \(DIN\); add sl.History",
        ),
        (lambda: Ranker([], [Id("item_id")], embedding_scale=0.0), "embedding_scale is 0.0"),
        (lambda: Ranker([], [Id("item_id")], cross_layers=-1), "cross_layers is -1"),
    ],
)
def test_what_does_not_go_together_is_refused_with_the_remedy(make, says):
    with pytest.raises(ConfigError, match=says):
        make()


def test_a_body_that_multiplies_nothing_lets_features_keep_their_widths():
    train, test = parts()
    ranker = Ranker([Id("user_id", dim=3)], [Id("item_id"), Tags("colours", dim=5)], loss="rating")
    ranker.fit(train, epochs=1)
    assert ranker.fields.layout == bodies.FieldLayout(query=(3,), candidate=(16, 5), dim=16)
    assert ranker.validate(test)["rmse"] > 0
