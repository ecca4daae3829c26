"""A ranker of several objectives: from a table with two label columns to a funnel's order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from shortlist.data import Category, Dataset, Id, Schema
from shortlist.data.candidates import Candidates
from shortlist.errors import BundleError, ConfigError, DataError, NotFittedError, SchemaError
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Popular
from shortlist.metrics import auc
from shortlist.models import Objectives, Ranker, load_model, predict_objectives, save_model, score_events

ITEMS, LOSSES = 24, {"like": "click", "stars": "rating"}
QUERY, CANDIDATE = [Category("side")], [Category("colour"), Category("length")]
kinds = pytest.mark.parametrize("sharing", ["shared_bottom", "mmoe", "ple"])
balances = pytest.mark.parametrize("balance", [None, "uncertainty", "gradnorm", "pcgrad"])


def events(rows: int = 1500, *, missing: float = 0.3) -> Dataset:
    """Users like items of their own parity; stars follow from an item's length, and are often missing."""
    random = np.random.default_rng(0)
    users, items = random.integers(0, 20, rows), random.integers(0, ITEMS, rows)
    stars = (items // 2 % 3 * 2 + 1).astype(float)
    table = pl.DataFrame({"user_id": users, "item_id": items, "like": (users + items) % 2 == 0})
    gone = pl.Series(random.random(rows) < missing)
    table = table.with_columns(stars=pl.when(gone).then(None).otherwise(pl.Series(stars)))
    numbers = range(ITEMS)
    described = {
        "colour": [str(n % 2) for n in numbers],
        "length": [f"l{n // 2 % 3}" for n in numbers],
    }
    return Dataset(
        table,
        Schema(),
        users=pl.DataFrame({"user_id": range(20), "side": [str(n % 2) for n in range(20)]}),
        items=pl.DataFrame({"item_id": numbers, **described}),
        name="events",
    )


def ranker(**settings: Any) -> Ranker:
    objectives = Objectives(LOSSES, **({"experts": 2, "head": (8,)} | settings))
    return Ranker(QUERY, CANDIDATE, dim=4, hidden=(16,), dropout=0, objectives=objectives)


def trained(data: Dataset, *, epochs: int = 8, **settings: Any) -> Ranker:
    model = ranker(**settings)
    model.fit(data, epochs=epochs, batch_size=100, learning_rate=0.02)
    return model


def quality(model: Ranker, data: Dataset) -> tuple[float, float]:
    """AUC of the likes and RMSE of the stars that are known."""
    found, table = predict_objectives(model, data), data.interactions
    likes = torch.from_numpy(table["like"].cast(pl.Float32).to_numpy().copy())
    known = torch.from_numpy(table["stars"].is_not_null().to_numpy().copy())
    stars = torch.from_numpy(table["stars"].fill_null(0).to_numpy().copy())
    errors = (found["stars"] - stars)[known]
    return auc(found["like"], likes), float(errors.square().mean().sqrt())


@pytest.mark.parametrize(
    ("sharing", "balance"),
    [
        ("shared_bottom", None),
        ("ple", None),
        ("mmoe", None),
        ("mmoe", "uncertainty"),
        ("mmoe", "gradnorm"),
        ("mmoe", "pcgrad"),
    ],
)
def test_it_learns_two_columns_at_once(sharing, balance):
    train, test = events().split_random(0.2)
    liked, error = quality(trained(train, sharing=sharing, balance=balance), test)
    assert liked > 0.95
    assert error < 0.6  # the stars' deviation is 1.6


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_event_without_a_label_teaches_the_other_objective_alone(value):
    data = events(200, missing=0)
    half = pl.int_range(pl.len()) < 100
    table = data.interactions.with_columns(stars=pl.when(half).then(pl.lit(value)).otherwise("stars"))
    partly = Dataset(table, data.schema, users=data.users, items=data.items)
    model = ranker()
    model.build(partly)
    (batch,) = model.make_loader(partly, batch_size=500, seed=0).epoch(0)
    assert int(batch["labels"][:, 1].isnan().sum()) == 100
    predictions = model.eval().heads(model.inputs(batch))
    known = ~batch["labels"][:, 1].isnan()
    likes = torch.nn.functional.binary_cross_entropy_with_logits(predictions[:, 0], batch["labels"][:, 0])
    stars = (predictions[:, 1] - batch["labels"][:, 1])[known].square().mean()
    torch.testing.assert_close(model.compute_loss(batch), likes + stars)


@balances
def test_a_batch_without_any_stars_trains_the_likes(balance):
    data = events(100, missing=0)
    table = data.interactions.with_columns(stars=pl.when(pl.int_range(pl.len()) == 3).then("stars"))
    model = trained(
        Dataset(table, data.schema, users=data.users, items=data.items), epochs=2, balance=balance
    )
    assert all(bool(each.isfinite().all()) for each in model.parameters())


def test_events_without_any_label_or_of_no_weight_are_left_out():
    data = events(50, missing=0)
    first = pl.int_range(pl.len()) < 20
    table = data.interactions.with_columns(
        pl.when(~first).then("like").alias("like"), pl.when(~first).then("stars").alias("stars")
    )
    model = ranker()
    partly = Dataset(table, data.schema, users=data.users, items=data.items)
    model.build(partly)
    assert model.make_loader(partly, batch_size=10, seed=0).rows.tolist() == list(range(20, 50))


def test_the_score_is_the_weighted_sum_of_chances_and_ratings():
    data = events(300)
    model = trained(data, epochs=1, score={"stars": 0.25})
    found = predict_objectives(model, data)
    expected = torch.sigmoid(found["like"]) + 0.25 * found["stars"]
    torch.testing.assert_close(score_events(model, data), expected)
    lists = Candidates.from_padded(torch.from_numpy(data.item_index)[:, None], torch.zeros(300, 1))
    scores = model.score_candidates(data.requests(torch.arange(300)), lists)
    torch.testing.assert_close(scores, expected)


def test_losses_that_weigh_nothing_teach_nothing():
    train, test = events().split_random(0.2)
    liked, error = quality(trained(train, weights={"stars": 0.0}), test)
    assert liked > 0.95
    assert error > 1.5


@kinds
@balances
def test_a_saved_ranker_gives_the_same_scores_bit_for_bit(sharing, balance, tmp_path: Path):
    data = events(200)
    model = trained(data, epochs=1, sharing=sharing, balance=balance, score={"like": 2.0})
    save_model(model, tmp_path / "ranker")
    loaded = load_model(tmp_path / "ranker", data)
    assert isinstance(loaded, Ranker)
    assert torch.equal(score_events(loaded, data), score_events(model, data))
    assert loaded.config() == model.config()


def test_a_config_that_means_nothing_is_refused(tmp_path: Path):
    data = events(100)
    save_model(trained(data, epochs=1), tmp_path)
    described = json.loads((tmp_path / "model.json").read_text())
    for change in ({"sharing": "mmeo"}, {"losses": {}}, {"depth": 3}, {"losses": 7}, {"experts": "two"}):
        config = {**described["config"], "objectives": {**described["config"]["objectives"], **change}}
        (tmp_path / "model.json").write_text(json.dumps({**described, "config": config}))
        with pytest.raises(BundleError):
            load_model(tmp_path, data)


def test_a_funnel_orders_by_it_and_its_bundle_keeps_it(tmp_path: Path):
    data = events()
    model = trained(data, sharing="mmoe", score={"stars": 0.0})
    funnel = Funnel(retrieve=[Popular(ITEMS)], rank=rank.Scored(model), data=data, size=ITEMS // 2)
    for user in range(4):
        answer = funnel.recommend(user, exclude_seen=False)
        assert all((item + user) % 2 == 0 for item in answer.items)
    funnel.save(tmp_path / "bundle")
    loaded = Funnel.load(tmp_path / "bundle")
    assert loaded.recommend([0, 1], exclude_seen=False).frame.equals(
        funnel.recommend([0, 1], exclude_seen=False).frame
    )


@balances
def test_training_resumes_to_the_same_bits(balance, tmp_path: Path):
    data = events(300)
    whole = trained(data, epochs=3, balance=balance)
    part = ranker(balance=balance)
    options: dict[str, Any] = {"batch_size": 100, "learning_rate": 0.02, "checkpoint_dir": str(tmp_path)}
    part.fit(data, epochs=2, **options)
    again = ranker(balance=balance)
    again.fit(data, epochs=3, resume=True, **options)
    for name, value in whole.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


@balances
def test_validation_adds_up_the_losses_of_held_out_events(balance):
    train, test = events(600).split_random(0.3)
    model = ranker(balance=balance)
    history = model.fit(train, epochs=3, batch_size=100, learning_rate=0.02, validation=test)
    found, truth = predict_objectives(model, test), Objectives(LOSSES).labels(test)
    known = ~truth[:, 1].isnan()
    likes = torch.nn.functional.binary_cross_entropy_with_logits(found["like"], truth[:, 0])
    stars = (found["stars"] - truth[:, 1])[known].square().mean()
    assert history.epochs[-1]["validation_loss"] == pytest.approx(float(likes + stars), rel=1e-5)


def test_a_column_of_any_name_can_be_an_objective():
    data = events(100)
    names = {"like": "a.b", "stars": "items"}
    table = data.interactions.rename(names)
    objectives = Objectives({"a.b": "click", "items": "rating"}, weights={"a.b": 2.0})
    model = Ranker([Id("user_id")], [Id("item_id")], objectives=objectives)
    renamed = Dataset(table, data.schema)
    model.fit(renamed, epochs=1)
    assert set(predict_objectives(model, renamed)) == {"a.b", "items"}


@pytest.mark.parametrize(
    ("column", "error", "message"),
    [
        (None, SchemaError, "'stars' has no column.*did you mean"),
        (pl.lit("five"), SchemaError, "labels must be numbers, got String.*column 'stars'"),
        (pl.lit(None), DataError, "'stars' has no label"),
        (pl.lit(float("inf")), DataError, "a label of 'stars' is infinite"),
    ],
)
def test_a_column_that_holds_no_labels_is_refused(column, error, message):
    data = events(50)
    table = data.interactions.drop("stars").with_columns(star=pl.lit(1.0))
    if column is not None:
        table = table.with_columns(stars=column)
    with pytest.raises(error, match=message):
        trained(Dataset(table, data.schema, users=data.users, items=data.items), epochs=1)


def test_clicks_beyond_one_are_refused():
    data = events(50, missing=0)
    objectives = Objectives({"stars": "click"})
    with pytest.raises(DataError, match=r"labels of 'stars' from 1 to 5 are no clicks"):
        Ranker(QUERY, CANDIDATE, objectives=objectives).fit(data, epochs=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"losses": {}}, "there is no objective"),
        ({"losses": {"like": "clicks"}}, "did you mean 'click'"),
        ({"sharing": "mmeo"}, "did you mean 'mmoe'"),
        ({"balance": "uncertain"}, "did you mean 'uncertainty'"),
        ({"experts": 0}, "experts must be"),
        ({"weights": {"likes": 1.0}}, "weights names 'likes'.*did you mean 'like'"),
        ({"score": {"like": float("nan")}}, "score of 'like' is nan"),
        ({"weights": {"like": -1.0}}, "weights of 'like' is -1"),
        ({"weights": {"like": 1.0}, "balance": "gradnorm"}, "would learn them"),
    ],
)
def test_objectives_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Objectives(**({"losses": LOSSES} | settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "click"}, "loss='click' and objectives"),
        ({"scores": ["score_ease"]}, "have no 'score_ease'"),
        ({"query": [Category("like")]}, "'like' is an objective and a feature"),
    ],
)
def test_a_ranker_whose_arguments_contradict_its_objectives_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Ranker(**({"query": QUERY, "candidate": CANDIDATE, "objectives": Objectives(LOSSES)} | settings))


def test_objectives_that_would_share_no_layer_are_refused():
    data = events(50)
    without = Ranker(QUERY, CANDIDATE, hidden=(), objectives=Objectives(LOSSES))
    with pytest.raises(ConfigError, match="nothing to share without hidden layers"):
        without.fit(data, epochs=1)


def test_lists_and_single_objectives_are_sent_where_they_belong():
    train, test = events().split_random(0.3)
    with pytest.raises(ConfigError, match=r"learns from events.*fit\(data\)"):
        rank.fit(ranker(), [Popular(ITEMS)], test)
    plain = Ranker(QUERY, CANDIDATE)
    with pytest.raises(ConfigError, match=r"single objective.*score_events"):
        predict_objectives(plain, train)
    with pytest.raises(NotFittedError):
        score_events(plain, train)
    with pytest.raises(ConfigError, match="single events do not have"):
        score_events(Ranker(QUERY, CANDIDATE, scores=["score_ease"]), train)


def test_single_events_are_scored_alike_whatever_stands_beside_them(monkeypatch):
    data = events(100)
    model = trained(data, epochs=1)
    together = score_events(model, data)
    monkeypatch.setattr("shortlist.models.ranking.event_scores.EVENT_BATCH", 7)
    torch.testing.assert_close(score_events(model, data), together)
    assert together.shape == (100,)


def test_events_of_a_part_that_numbers_its_items_otherwise_are_scored_by_their_ids():
    rest, test = events().split_random(0.2)
    train, _ = rest.split_random(0.3, seed=1)
    assert not train.item_vocabulary.ids.equals(rest.item_vocabulary.ids)
    liked, error = quality(trained(train), test)
    assert liked > 0.95
    assert error < 0.6
