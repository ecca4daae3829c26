"""The ranker: lists, clicks and ratings; relative scores; what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import CANDIDATE, QUERY, parts, planted

from shortlist.data import Category, Dataset, EventType, Id, Ragged, Schema
from shortlist.data.candidates import Candidates
from shortlist.errors import ConfigError, DataError, NotFittedError
from shortlist.models import Ranker, RankingLists, load_model, save_model
from shortlist.tasks import ListwiseRanking

ITEM, USER = Id("item_id"), Id("user_id")


def random_lists(data: Dataset, *, rows: int = 40, width: int = 8, seed: int = 0) -> RankingLists:
    """Lists whose wanted item has a score that is neither lowest nor highest, but nearest the mean."""
    draw = torch.Generator().manual_seed(seed)
    people = torch.randint(1, len(data.people), (rows,), generator=draw)
    items = torch.stack([torch.randperm(48, generator=draw)[:width] + 1 for _ in range(rows)])
    scores = torch.randn(rows, width, generator=draw)
    wanted = (scores - scores.mean(1, keepdim=True)).abs().argmin(1)
    labels = torch.zeros(rows, width)
    labels[torch.arange(rows), wanted] = 1
    lists = Candidates.from_padded(items, scores)
    lists = lists.with_scores(lists.scores, score_a=lists.scores)
    return RankingLists(data.requests_of(people), lists, labels.flatten())


def accuracy(ranker: Ranker, lists: RankingLists) -> float:
    scores = ranker.score_candidates(lists.requests, lists.candidates)
    best = scores.view(len(lists), -1).argmax(1)
    return float((best == lists.labels.view(len(lists), -1).argmax(1)).float().mean())


def test_it_learns_from_lists_what_no_retriever_score_alone_could_say():
    train, _ = parts()
    ranker = Ranker(scores=["score_a"], hidden=(32,), dropout=0)
    lists = random_lists(train, rows=400)
    ranker.fit_lists(train, lists, epochs=20, batch_size=50, learning_rate=0.01)
    assert accuracy(ranker, random_lists(train, rows=100, seed=1)) > 0.85


@pytest.mark.parametrize("loss", ["lambdaloss", "approx_ndcg", "list_mle"])
def test_any_loss_over_lists_teaches_it(loss: Any):
    train, _ = parts()
    ranker = Ranker(scores=["score_a"], hidden=(32,), dropout=0, loss=loss)
    ranker.fit_lists(train, random_lists(train, rows=400), epochs=20, batch_size=50, learning_rate=0.01)
    assert accuracy(ranker, random_lists(train, rows=100, seed=1)) > 0.7


def test_scores_are_read_relative_to_the_list():
    train, _ = parts()
    ranker, lists = Ranker(scores=["score_a"]), random_lists(train)
    ranker.fit_lists(train, lists, epochs=1)
    once = ranker.score_candidates(lists.requests, lists.candidates)
    stretched = 100 * lists.candidates.features["score_a"] - 3
    other = lists.candidates.with_scores(lists.candidates.scores, score_a=stretched)
    torch.testing.assert_close(ranker.score_candidates(lists.requests, other), once, rtol=1e-3, atol=1e-4)


def test_a_request_is_scored_alike_alone_and_among_others(monkeypatch):
    train, _ = parts()
    ranker = Ranker(QUERY, CANDIDATE, scores=["score_a"])
    lists = random_lists(train)
    ranker.fit_lists(train, lists, epochs=1)
    together = ranker.score_candidates(lists.requests, lists.candidates)
    monkeypatch.setattr("shortlist.models.ranking.ranker.REQUEST_BATCH", 1)
    alone = ranker.score_candidates(lists.requests, lists.candidates)
    torch.testing.assert_close(alone, together, rtol=1e-5, atol=1e-6)


def test_no_request_and_no_candidate_have_no_score():
    train, _ = parts()
    ranker, lists = Ranker(scores=["score_a"]), random_lists(train)
    ranker.fit_lists(train, lists, epochs=1)
    nobody = lists.take(torch.zeros(0, dtype=torch.int64))
    assert ranker.score_candidates(nobody.requests, nobody.candidates).shape == (0,)
    nothing = lists.candidates.keep(torch.zeros(len(lists.labels), dtype=torch.bool))
    assert ranker.score_candidates(lists.requests, nothing).shape == (0,)


def test_two_fits_with_one_seed_give_the_same_bits():
    train, _ = parts()
    lists = random_lists(train)
    states = []
    for seed in (1, 1, 2):
        ranker = Ranker(QUERY, CANDIDATE, scores=["score_a"])
        ranker.fit_lists(train, lists, epochs=2, negatives=3, seed=seed)
        states.append(ranker.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not all(torch.equal(states[0][name], states[2][name]) for name in states[0])


def clicks() -> Dataset:
    """Users like the items of their own parity and dislike the others."""
    random = np.random.default_rng(0)
    users, items = random.integers(0, 20, 1500), random.integers(0, 30, 1500)
    kinds = np.where((users + items) % 2 == 0, "like", "dislike")
    table = pl.DataFrame({"user_id": users, "item_id": items, "kind": kinds})
    return Dataset(
        table, Schema(event="kind", events={"like": EventType(), "dislike": EventType(negative=True)})
    )


def parity(name: str, key: str) -> pl.DataFrame:
    return pl.DataFrame({key: range(30), name: [str(number % 2) for number in range(30)]})


def test_it_learns_clicks_from_single_events_and_negative_ones_too():
    data = clicks()
    data = Dataset(
        data.interactions,
        data.schema,
        users=parity("side", "user_id"),
        items=parity("colour", "item_id"),
    )
    ranker = Ranker([Category("side")], [Category("colour")], loss="click", dropout=0)
    ranker.fit(data, epochs=8, batch_size=64, learning_rate=0.02)
    people, items = torch.arange(1, 21), torch.arange(1, 31).repeat(20, 1)
    lists = Candidates.from_padded(items, torch.zeros(20, 30))
    logits = ranker.score_candidates(data.requests_of(people), lists).view(20, 30)
    ids = torch.from_numpy(data.item_vocabulary.ids.to_numpy().copy())
    own = torch.from_numpy(data.user_vocabulary.ids.head(20).to_numpy().copy())
    liked = (ids[None] + own[:, None]) % 2 == 0
    assert torch.sigmoid(logits)[liked].min() > 0.9
    assert torch.sigmoid(logits)[~liked].max() < 0.1


def test_it_learns_ratings_and_validates_on_the_events_it_would_learn_from():
    random = np.random.default_rng(0)
    items = random.integers(0, 12, 2000)
    table = pl.DataFrame({"user_id": random.integers(0, 9, 2000), "item_id": items})
    data = Dataset(table.with_columns(stars=pl.col("item_id") % 5 + 1.0), Schema(label="stars"))
    train, test = data.split_random(0.3)
    ranker = Ranker([], [ITEM], loss="rating", dropout=0)
    history = ranker.fit(train, epochs=12, batch_size=64, learning_rate=0.02, validation=test)
    assert history.epochs[-1]["validation_loss"] < 0.05
    lists = Candidates.from_padded(torch.arange(1, 13)[None], torch.zeros(1, 12))
    ratings = ranker.score_candidates(train.requests_of(torch.tensor([1])), lists)
    expected = train.item_vocabulary.ids.to_numpy() % 5 + 1
    np.testing.assert_allclose(ratings.numpy(), expected, atol=0.3)


def test_the_validation_loss_counts_negative_events_too():
    train, test = clicks().split_random(0.3)
    ranker = Ranker([], [ITEM], loss="click")
    ranker.fit(train, epochs=1)
    loss = ranker.validate(test)["validation_loss"]
    loader = ranker.make_loader(test, batch_size=10_000, seed=0)
    assert len(loader.rows) == len(test)
    (batch,) = loader.epoch(0)
    with torch.no_grad():
        assert loss == pytest.approx(float(ranker.compute_loss(batch)), rel=1e-5)


def test_events_of_weight_zero_leave_the_loss_finite():
    table = pl.DataFrame({"user_id": [1, 2, 3, 4], "item_id": [1, 2, 3, 1], "kind": ["a", "b", "a", "b"]})
    kinds = {"a": EventType(weight=0), "b": EventType(weight=0, negative=True)}
    ranker = Ranker([], [ITEM], loss="click")
    history = ranker.fit(Dataset(table, Schema(event="kind", events=kinds)), epochs=1)
    assert history.epochs[0]["loss"] == 0


@pytest.mark.parametrize("loss", ["softmax", "lambdaloss", "approx_ndcg", "list_mle", "click", "rating"])
def test_the_settings_survive_a_file(loss: Any):
    ranker = Ranker(
        QUERY, CANDIDATE, scores=["score_a"], dim=5, cross_layers=1, hidden=(7, 3), dropout=0.2, loss=loss
    )
    again = Ranker.from_config(json.loads(json.dumps(ranker.config())))
    assert again.config() == ranker.config()


def test_a_saved_ranker_gives_the_same_scores_bit_for_bit(tmp_path: Path):
    train, _ = parts()
    ranker, lists = Ranker(QUERY, CANDIDATE, scores=["score_a"]), random_lists(train)
    ranker.fit_lists(train, lists, epochs=1)
    save_model(ranker, tmp_path / "ranker")
    loaded = load_model(tmp_path / "ranker", train)
    assert isinstance(loaded, Ranker)
    assert torch.equal(
        loaded.score_candidates(lists.requests, lists.candidates),
        ranker.score_candidates(lists.requests, lists.candidates),
    )


def test_bound_to_other_data_every_item_keeps_its_features_and_its_embedding(tmp_path: Path):
    train, _ = parts()
    earlier, _ = train.split_leave_last_out(count=3)
    assert not train.item_vocabulary.ids.equals(earlier.item_vocabulary.ids)
    ranker = Ranker([USER], CANDIDATE)
    ranker.fit_lists(earlier, random_lists(earlier), epochs=2)
    bound = ranker.bound_to(train)
    users, items = ["u003", "u050"], [["i001", "i040", "i007"], ["i020", "i003", "i011"]]

    def score(model: Ranker, data: Dataset) -> torch.Tensor:
        encoded = torch.tensor([data.item_vocabulary.encode(row).tolist() for row in items])
        lists = Candidates.from_padded(encoded, torch.zeros(2, 3))
        people = torch.from_numpy(data.people.encode(users).copy())
        return model.score_candidates(data.requests_of(people), lists)

    assert torch.equal(score(bound, train), score(ranker, earlier))
    save_model(bound, tmp_path / "bound")
    loaded = load_model(tmp_path / "bound", train)
    assert isinstance(loaded, Ranker)
    assert torch.equal(score(loaded, train), score(bound, train))
    assert ranker.bound_to(earlier) is ranker
    assert bound.bound_to(earlier).space is not bound.space
    assert torch.equal(score(bound.bound_to(earlier), earlier), score(ranker, earlier))


def test_ids_that_were_never_seen_share_one_embedding_after_binding():
    train, _ = parts()
    rare = train.interactions.filter(pl.col("item_id") < "i040")
    earlier = Dataset(rare, train.schema, users=train.users, items=train.items)
    ranker = Ranker([], [ITEM])
    ranker.fit_lists(earlier, random_lists(earlier), epochs=1)
    new = torch.from_numpy(train.item_vocabulary.encode(["i041", "i045"]).copy())
    lists = Candidates.from_padded(new[None], torch.zeros(1, 2))
    one, other = ranker.bound_to(train).score_candidates(planted().requests_of(torch.tensor([1])), lists)
    assert one == other


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(st.floats(-30, 30), st.sampled_from([0.0, 0.0, 1.0, 3.0])), min_size=1, max_size=5
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_softmax_of_lists_is_its_slow_reference(lists: list[list[tuple[float, float]]]):
    losses = []
    for row in lists:
        logits, labels = (np.array(column) for column in zip(*row, strict=True))
        if labels.sum() > 0:
            log_shares = logits - np.log(np.exp(logits).sum())
            losses.append(-(labels / labels.sum() * log_shares).sum())
    flat = Ragged.from_lists([[logit for logit, _ in row] for row in lists], dtype=torch.float64)
    labels = torch.tensor([label for row in lists for _, label in row], dtype=torch.float64)
    expected = np.mean(losses) if losses else 0.0
    loss = ListwiseRanking()(Ragged(flat.values.float(), flat.offsets), labels.float())
    assert loss.item() == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_a_ranker_of_lists_refuses_single_events_and_says_what_to_call():
    with pytest.raises(ConfigError, match=r"rank\.fit"):
        Ranker([], [ITEM]).fit(parts()[0])
    with pytest.raises(ConfigError, match=r"rank\.fit"):
        Ranker([], [ITEM], scores=["score_a"], loss="click").fit(parts()[0])


def test_ratings_are_no_clicks():
    with pytest.raises(DataError, match=r"labels from 1 to 5 are no clicks.*loss='rating'"):
        Ranker([], [ITEM], loss="click").fit(parts()[0])


@pytest.mark.parametrize("loss", ["click", "rating"])
def test_nothing_but_positives_is_nothing_to_learn(loss: Any):
    data = Dataset(pl.DataFrame({"user_id": [1, 2], "item_id": [1, 2]}), Schema())
    with pytest.raises(DataError, match="nothing to tell apart"):
        Ranker([], [ITEM], loss=loss).fit(data)


def test_a_score_that_the_candidates_lack_is_named():
    train, _ = parts()
    with pytest.raises(ConfigError, match="did you mean 'score_a'"):
        Ranker(scores=["score_b"]).fit_lists(train, random_lists(train))


def test_settings_that_mean_nothing_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'softmax'"):
        Ranker([], [ITEM], loss="softmx")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="at least one feature"):
        Ranker()


def test_a_ranker_that_was_not_trained_says_so():
    lists = random_lists(parts()[0])
    with pytest.raises(NotFittedError, match="fit"):
        Ranker([], [ITEM]).score_candidates(lists.requests, lists.candidates)
    with pytest.raises(NotFittedError, match="fit"):
        Ranker([], [ITEM]).bound_to(parts()[0])
