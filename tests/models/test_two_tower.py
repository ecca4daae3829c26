"""Two towers: what they learn, what they answer, and that both stay the same bits."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import ITEMS, parts, plain_towers, planted, rich_towers, trained_towers

from shortlist.data import Dataset, History, Id, Ragged, Schema
from shortlist.errors import ConfigError, NotFittedError, SchemaError, ShapeError
from shortlist.metrics import FactorizedTopK
from shortlist.models import LosesToPopularity, Model, TwoTower, load_model, save_model
from shortlist.models.two_tower import item_probability
from shortlist.nn import Tower


def same_state(one: Model, other: Model) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_learns_what_was_planted_and_beats_popularity_by_far():
    _, test = parts()
    with warnings.catch_warnings():
        warnings.simplefilter("error", LosesToPopularity)
        evaluation = trained_towers().evaluate(test, metrics=[FactorizedTopK(ks=(5,))])
    assert evaluation["hit_rate@5"] > 0.9  # three unseen items are left in the own group, of forty
    assert evaluation.popularity["hit_rate@5"] < 0.35
    assert not evaluation.loses_to_popularity
    assert "popularity" in str(evaluation)


@pytest.mark.parametrize("make", [plain_towers, rich_towers])
def test_two_fits_with_one_seed_give_the_same_bits_and_another_seed_others(make):
    train, _ = parts()
    models = [make(), make(), make()]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        model.fit(train, epochs=2, batch_size=256, seed=seed)
    assert same_state(models[0], models[1])
    assert not same_state(models[0], models[2])


def test_training_leaves_the_global_generator_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    plain_towers().fit(parts()[0], epochs=1)
    assert torch.equal(torch.rand(3), expected)


def test_the_item_vectors_are_the_embeddings_of_the_catalogue():
    model = trained_towers()
    assert torch.equal(model.item_vectors, model.embed_items())
    assert model.item_vectors.shape == (ITEMS + 1, 8)


def test_a_list_is_the_scores_of_the_whole_catalogue_in_order():
    train, _ = parts()
    model, requests = trained_towers(), train.requests_of(torch.arange(1, 9))
    everything = torch.arange(1, ITEMS + 1).repeat(8, 1)
    scores = model.score(requests, everything)
    items, found = model.retrieve(requests, 10)
    torch.testing.assert_close(found, scores.sort(dim=1, descending=True).values[:, :10])
    torch.testing.assert_close(found, scores.gather(1, items - 1))


def test_excluded_and_forbidden_items_never_come_back_and_k_items_do():
    train, _ = parts()
    people = torch.arange(1, 21)
    where = torch.arange(ITEMS + 1) % 2 == 0
    items, scores = trained_towers().retrieve(
        train.requests_of(people), 12, exclude=train.seen.take(people), where=where
    )
    assert (items > 0).all()
    assert scores.isfinite().all()
    assert where[items].all()
    for row, seen in zip(items.tolist(), train.seen.take(people).to_lists(), strict=True):
        assert not set(row) & set(seen)


def test_more_than_the_catalogue_holds_is_the_whole_catalogue():
    train, _ = parts()
    found = trained_towers().recommend("u003", k=1000, exclude_seen=False)
    assert sorted(found.items) == sorted(train.item_vocabulary.ids)
    unseen = trained_towers().recommend("u003", k=1000)
    assert len(unseen) == ITEMS - train.interactions["user_id"].to_list().count("u003")
    items, scores = trained_towers().retrieve(
        train.requests_of(torch.tensor([1])), 5, exclude=Ragged.from_lists([list(range(1, ITEMS + 1))])
    )
    assert (items == 0).all()
    assert (scores == -torch.inf).all()


def test_a_predicate_over_the_item_table_is_honoured():
    found = trained_towers().recommend(["u000", "u001"], k=6, where=pl.col("price") < 20)
    assert len(found) == 12
    assert found.frame["price"].max() < 20
    with pytest.raises(SchemaError, match="prize"):
        trained_towers().recommend("u000", where=pl.col("prize") < 20)


def test_somebody_unknown_gets_a_list_and_everybody_gets_their_own():
    model = trained_towers()
    assert len(model.recommend("who?", k=7)) == 7
    both = model.recommend(["u010", "who?"], k=5)
    assert both.of("u010").items == model.recommend("u010", k=5).items
    assert both.of("who?").items == model.recommend("who?", k=5).items
    assert model.recommend([], k=5).items == []


def test_items_that_nobody_took_have_a_vector_and_can_be_found():
    table = pl.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [1, 2, 2, 3]})
    data = Dataset(table, Schema(), items=pl.DataFrame({"item_id": [1, 2, 3, 4, 5]}))
    model = TwoTower(Tower([Id("user_id")], dim=4), Tower([Id("item_id")], dim=4))
    model.fit(data, epochs=1)
    assert sorted(model.recommend(1, k=9, exclude_seen=False).items) == [1, 2, 3, 4, 5]


def test_the_other_items_of_the_own_user_are_no_negatives_where_seen_items_are_masked():
    train, _ = parts()
    model = plain_towers(mask_seen=True)
    model.fit(train, epochs=1)
    generator = np.random.default_rng(0)
    rows = torch.from_numpy(generator.integers(0, len(train), 40))
    users, items = (torch.from_numpy(column)[rows] for column in (train.user_index, train.item_index))
    seen = train.seen.to_lists()
    slow = [[item not in seen[user] for item in items.tolist()] for user in users.tolist()]
    assert model._unseen(users, items).tolist() == slow


def test_masking_what_was_seen_changes_the_loss():
    train, _ = parts()
    losses = []
    for mask_seen in (False, True):
        model = plain_towers(mask_seen=mask_seen)
        losses.append(model.fit(train, epochs=1).epochs[0]["loss"])
    assert losses[1] < losses[0]  # fewer negatives


@pytest.mark.parametrize("make", [plain_towers, rich_towers])
def test_a_saved_model_has_the_same_bits(make, tmp_path: Path):
    train, test = parts()
    model = make(mask_seen=True)
    model.fit(train, epochs=2, batch_size=256)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", train)
    assert isinstance(loaded, TwoTower)
    assert loaded.config() == json.loads(json.dumps(model.config()))
    assert same_state(model, loaded)
    rows = torch.from_numpy(test.targets)
    for ours, theirs in zip(
        model.retrieve(test.requests(rows), 10), loaded.retrieve(test.requests(rows), 10), strict=True
    ):
        assert torch.equal(ours, theirs)
    assert loaded.evaluate(test).metrics == model.evaluate(test).metrics


def test_a_model_without_training_says_that_it_loses_to_popularity():
    # All take the same items in turn; what was not trained cannot know which.
    table = pl.DataFrame({"user_id": [u for u in range(40) for _ in range(3)], "time": range(120)})
    table = table.with_columns(item_id=(pl.col("user_id") % 4 + pl.col("time") % 3))
    data = Dataset(table, Schema(timestamp="time"), items=pl.DataFrame({"item_id": range(300)}))
    train, test = data.split_leave_last_out()
    model = TwoTower(Tower([Id("user_id")], dim=4), Tower([Id("item_id")], dim=4))
    model.fit(train, epochs=1, learning_rate=1e-9)
    with pytest.warns(LosesToPopularity, match="TwoTower loses to plain popularity"):
        evaluation = model.evaluate(test)
    assert evaluation.loses_to_popularity
    assert evaluation.popularity["hit_rate@10"] > evaluation["hit_rate@10"]


def test_training_goes_on_where_it_ended_on_the_same_data():
    train, _ = parts()
    model = plain_towers()
    first = model.fit(train, epochs=3, batch_size=128, learning_rate=0.02).epochs
    second = model.fit(train, epochs=3, batch_size=128, learning_rate=0.02).epochs
    assert second[0]["loss"] < first[0]["loss"]
    assert torch.equal(model.item_vectors, model.embed_items())


def test_data_whose_indices_mean_other_ids_are_refused():
    train, test = parts()
    earlier, recent = train.split_leave_last_out(count=2)
    model = plain_towers()
    model.fit(earlier, epochs=1)
    for use in (lambda: model.fit(train), lambda: model.evaluate(test), lambda: model.validate(test)):
        with pytest.raises(ConfigError, match="trained on other data"):
            use()
    assert len(model.evaluate(recent)) == 5


def test_a_validation_part_stops_the_training_and_the_best_epoch_is_kept():
    train, _ = parts()
    earlier, recent = train.split_leave_last_out()
    model = plain_towers()
    history = model.fit(
        earlier, epochs=8, validation=recent, monitor="ndcg@10", patience=2, learning_rate=0.05
    )
    best = max(row["ndcg@10"] for row in history.epochs)
    assert model.evaluate(recent)["ndcg@10"] == best
    assert history.best_epoch is not None


def test_the_chance_of_an_item_is_its_share_of_the_positive_events():
    train, _ = parts()
    chance = item_probability(train)
    assert chance.sum().item() == pytest.approx(1)
    name = train.item_vocabulary.ids[0]
    count = train.interactions["item_id"].to_list().count(name)
    assert chance[1].item() == pytest.approx(count / len(train))


def test_towers_of_two_widths_are_refused():
    with pytest.raises(ShapeError, match="8 numbers, the candidate tower 4"):
        TwoTower(Tower([Id("user_id")], dim=8), Tower([Id("item_id")], dim=4))


def test_a_model_that_was_not_fitted_says_so():
    model = plain_towers()
    requests = planted().requests_of(torch.tensor([1]))
    for use in (
        lambda: model.recommend("u000"),
        lambda: model.retrieve(requests, 3),
        lambda: model.evaluate(parts()[1]),
        model.embed_items,
        model.fitted_space,
    ):
        with pytest.raises(NotFittedError, match="fit"):
            use()


def test_k_below_one_is_refused():
    with pytest.raises(ConfigError, match="k must be at least 1"):
        trained_towers().recommend("u000", k=0)


def test_a_query_tower_that_reads_the_item_is_refused():
    model = TwoTower(Tower([Id("item_id")], dim=4), Tower([Id("item_id")], dim=4))
    with pytest.raises(SchemaError, match="query tower"):
        model.fit(parts()[0], epochs=1)


def test_history_alone_answers_users_who_were_not_there_in_training():
    train, _ = parts()
    model = TwoTower(Tower([History("item_id")], dim=8), Tower([Id("item_id")], dim=8))
    model.fit(train, epochs=15, batch_size=128, learning_rate=0.02)
    newcomer = pl.DataFrame(
        {"user_id": ["new"] * 3, "item_id": ["i001", "i005", "i009"], "time": [1_800_000_000] * 3}
    ).with_columns(rating=5.0, device=pl.lit("phone"))
    after = Dataset(newcomer, train.schema, items=train.items, past=train)
    items, _ = model.retrieve(after.requests(torch.tensor([2])), 4)
    groups = train.catalogue.items["group"].gather(items[0].numpy()).to_list()
    # Events of one moment keep the order of their rows: the first two are the history of the third.
    assert groups == ["green"] * 4
