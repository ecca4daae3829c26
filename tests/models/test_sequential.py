"""Sequences: what they learn, what they answer, and that training can stop anywhere and go on."""

from __future__ import annotations

import json
import signal
import warnings
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from planted import parts
from reference import sequence as slow

from shortlist.data import Dataset, Ragged, Requests, Schema
from shortlist.errors import ConfigError, NotFittedError, SchemaError
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest
from shortlist.metrics import FactorizedTopK
from shortlist.models import LosesToPopularity, Model, Sequential, load_model, save_model
from shortlist.training import Callback

ITEMS, STEP = 30, 7
SMALL = {"dim": 16, "length": 8, "dropout": 0.1}


@cache
def circle() -> tuple[Dataset, Dataset]:
    """Users who walk round a circle of items, `STEP` at a time; only the order tells what is next."""
    random = np.random.default_rng(0)
    rows = [
        (user, (start + STEP * turn) % ITEMS, turn)
        for user, start in enumerate(random.integers(0, ITEMS, 120))
        for turn in range(random.integers(2, 14))
    ]
    columns = dict(zip(("user_id", "item_id", "time"), zip(*rows, strict=True), strict=True))
    items = pl.DataFrame({"item_id": range(ITEMS)})
    return Dataset(pl.DataFrame(columns), Schema(timestamp="time"), items=items).split_leave_last_out()


def fitted(epochs: int = 12, batch_size: int = 32, learning_rate: float = 0.02, **settings) -> Sequential:
    model = Sequential(**{**SMALL, **settings})
    model.fit(circle()[0], epochs=epochs, batch_size=batch_size, learning_rate=learning_rate)
    return model


@cache
def walker() -> Sequential:
    """A transformer that has learned the circle; not to be trained further."""
    return fitted()


def same_state(one: Model, other: Model) -> bool:
    ours, theirs = one.state_dict(), other.state_dict()
    return set(ours) == set(theirs) and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"block": "hstu", "heads": 2, "time_gaps": True},
        {"block": "gru", "num_blocks": 1},
        {"loss": "sampled", "negatives": 12, "epochs": 60, "batch_size": 16, "learning_rate": 0.01},
        {"loss": "in_batch"},
        {"loss": "in_batch", "sparse": True},
    ],
    ids=lambda settings: "-".join(map(str, settings.values())) or "default",
)
def test_every_block_and_every_loss_learns_what_comes_next(settings: dict):
    with warnings.catch_warnings():
        warnings.simplefilter("error", LosesToPopularity)
        evaluation = fitted(**settings).evaluate(circle()[1], metrics=[FactorizedTopK(ks=(1,))])
    assert evaluation["hit_rate@1"] > 0.9
    assert evaluation.popularity["hit_rate@1"] < 0.3


def test_a_session_is_answered_by_its_last_item():
    sessions = Requests.from_history(Ragged.from_lists([[5], [5, 12], [12, 5], []]))
    items, _ = walker().retrieve(sessions, 1)
    ids = walker().data.item_vocabulary.decode(items[:, 0].numpy())
    last = walker().data.item_vocabulary.decode(np.array([5, 12, 5]))
    assert ids[:3].to_list() == [(item + STEP) % ITEMS for item in last]


def test_a_session_in_outside_ids_gets_recommendations():
    found = walker().recommend_after([3, 10, 17], k=5)
    assert found.items[0] == 24
    assert len(found) == 5
    assert not {3, 10, 17} & set(found.items)
    assert walker().recommend_after([10, 17], k=1, exclude_seen=False).items == [24]
    assert walker().recommend_after([999, 17], k=1).items == [24]
    assert len(walker().recommend_after([], k=4)) == 4
    with pytest.raises(ConfigError, match="k must be at least 1"):
        walker().recommend_after([3], k=0)


def test_a_user_is_answered_from_the_own_history_and_somebody_unknown_by_what_most_begin_with():
    train, _ = circle()
    last = train.interactions.filter(pl.col("user_id") == 7).sort("time")["item_id"][-1]
    found = walker().recommend(7, k=3, exclude_seen=False)
    assert found.items[0] == (last + STEP) % ITEMS
    unknown = walker().recommend("nobody", k=3)
    nothing = walker().retrieve(Requests.from_history(Ragged.empty(1)), 3)[0][0]
    assert unknown.items == walker().data.item_vocabulary.decode(nothing.numpy()).to_list()


def test_a_query_is_the_same_alone_and_among_others_and_only_the_latest_events_count():
    lists = [[1, 2, 3], [], [4], [9] * 20 + [1, 2, 3, 4, 5, 6, 7, 8], [0, 5, 0], [1, 2, 3, 4, 5, 6, 7, 8]]
    together = walker().embed_queries(Requests.from_history(Ragged.from_lists(lists)))
    for row, history in zip(together, lists, strict=True):
        alone = walker().embed_queries(Requests.from_history(Ragged.from_lists([history])))
        torch.testing.assert_close(row, alone[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(together[3], together[5], rtol=1e-4, atol=1e-5)  # length is 8
    torch.testing.assert_close(
        together[4], walker().embed_queries(Requests.from_history(Ragged.from_lists([[5]])))[0]
    )


def test_many_requests_are_encoded_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    train, _ = circle()
    requests = train.requests_of(torch.arange(len(train.people)))
    whole = walker().embed_queries(requests)
    monkeypatch.setattr("shortlist.models.sequential.ENCODED_EVENTS", 9)
    torch.testing.assert_close(walker().embed_queries(requests), whole, rtol=1e-4, atol=1e-5)


def test_the_list_is_the_scores_of_the_catalogue_in_order_without_what_is_excluded():
    train, _ = circle()
    people = torch.arange(1, 9)
    requests, seen = train.requests_of(people), train.seen.take(people)
    where = torch.arange(ITEMS + 1) % 2 == 0
    items, scores = walker().retrieve(requests, 4, exclude=seen, where=where)
    assert where[items].all()
    for row, taken in zip(items.tolist(), seen.to_lists(), strict=True):
        assert not set(row) & set(taken)
    torch.testing.assert_close(scores, walker().score(requests, items))


def test_two_fits_with_one_seed_give_the_same_bits_and_another_seed_others():
    models = [Sequential(**SMALL) for _ in range(3)]
    for model, seed in zip(models, (3, 3, 4), strict=True):
        model.fit(circle()[0], epochs=2, batch_size=16, seed=seed)
    assert same_state(models[0], models[1])
    assert not same_state(models[0], models[2])


class Interrupt(Callback):
    """Presses Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, state):
        if state.step == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("loss", ["full", "in_batch"])
def test_products_in_bfloat16_give_nearly_the_same_loss(loss: str):
    losses = []
    for precision in ("float32", "bfloat16"):
        model = Sequential(**SMALL, loss=loss, precision=precision)  # type: ignore[arg-type]
        model.build(circle()[0])
        batch = next(model.make_loader(circle()[0], batch_size=9, seed=0).epoch(0))
        losses.append(model.eval().compute_loss(batch).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


@pytest.mark.parametrize("loss", ["sampled", "in_batch"])
def test_sparse_gradients_are_those_of_the_rows_of_the_batch(loss: str):
    models = [Sequential(**SMALL, loss=loss, sparse=sparse) for sparse in (True, False)]  # type: ignore[arg-type]
    for model in models:
        model.build(circle()[0])
        torch.manual_seed(0)
        model.compute_loss(next(model.make_loader(circle()[0], batch_size=9, seed=0).epoch(0))).backward()
    ours, theirs = (model.items.weight.grad for model in models)
    assert ours.is_sparse
    torch.testing.assert_close(ours.to_dense(), theirs)


@pytest.mark.parametrize("loss", ["full", "sampled"])
def test_an_interrupted_training_goes_on_in_mid_epoch_to_the_identical_weights(loss: str, tmp_path: Path):
    options = {"epochs": 2, "batch_size": 8, "seed": 1}
    expected = Sequential(**SMALL, loss=loss)  # type: ignore[arg-type]
    expected.fit(circle()[0], **options)
    interrupted = Sequential(**SMALL, loss=loss)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(circle()[0], **options, checkpoint_dir=str(tmp_path), callbacks=[Interrupt(6)])
    resumed = Sequential(**SMALL, loss=loss)  # type: ignore[arg-type]
    resumed.fit(circle()[0], **options, checkpoint_dir=str(tmp_path), resume=True)
    assert same_state(resumed, expected)


@pytest.mark.parametrize(
    "settings", [{}, {"block": "gru", "loss": "in_batch"}, {"block": "hstu", "time_gaps": True, "heads": 4}]
)
def test_a_saved_model_has_the_same_bits(settings: dict, tmp_path: Path):
    train, test = circle()
    model = fitted(epochs=1, **settings)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", train)
    assert isinstance(loaded, Sequential)
    assert loaded.config() == json.loads(json.dumps(model.config()))
    assert same_state(model, loaded)
    rows = torch.from_numpy(test.targets)
    for ours, theirs in zip(
        model.retrieve(test.requests(rows), 10), loaded.retrieve(test.requests(rows), 10), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_a_funnel_retrieves_with_it_and_keeps_it_in_its_bundle(tmp_path: Path):
    train, _ = parts()
    model = Sequential(**SMALL)
    model.fit(train, epochs=2)
    funnel = Funnel(retrieve=[Nearest(model, k=20)], size=5, data=train)
    funnel.save(tmp_path / "bundle")
    assert Funnel.load(tmp_path / "bundle").recommend("u003").items == funnel.recommend("u003").items
    assert funnel.catalogue.vectors is not None


def test_a_validation_part_stops_the_training_and_the_best_epoch_is_kept():
    earlier, recent = circle()[0].split_leave_last_out()
    model = Sequential(**SMALL)
    history = model.fit(
        earlier,
        epochs=30,
        batch_size=32,
        learning_rate=0.02,
        validation=recent,
        monitor="ndcg@10",
        patience=2,
    )
    assert len(history.epochs) < 30
    assert model.evaluate(recent)["ndcg@10"] == max(row["ndcg@10"] for row in history.epochs)


def test_items_that_nobody_took_stand_below_those_that_come_next():
    frame = pl.DataFrame(
        {"user_id": np.repeat(range(40), 5), "item_id": [1, 2, 3, 4, 5] * 40, "time": range(200)}
    )
    data = Dataset(frame, Schema(timestamp="time"), items=pl.DataFrame({"item_id": range(1, 31)}))
    model = Sequential(**SMALL)
    model.fit(data, epochs=10, batch_size=8, learning_rate=0.01)
    assert set(model.recommend_after([1, 2], k=3, exclude_seen=False).items) <= {2, 3, 4, 5}


def positions(model: Sequential) -> tuple[dict, torch.Tensor]:
    """A batch, and the model's query at every position that has a target."""
    batch = next(model.make_loader(circle()[0], batch_size=8, seed=0).epoch(0))
    encoded = torch.cat([model.encode(batch["sequence"], batch["sequence_times"]), model.start[None]])
    return batch, encoded[batch["target_place"]]


def test_the_full_loss_is_the_cross_entropy_over_every_known_item():
    model = fitted(epochs=1)
    batch, queries = positions(model)
    scores = queries @ model.items.weight[1:].T
    expected = torch.nn.functional.cross_entropy(scores, batch["target"] - 1)
    torch.testing.assert_close(model.compute_loss(batch), expected)


def test_the_sampled_loss_is_the_papers():
    model = fitted(epochs=1, loss="sampled", negatives=5, calibration=0.5)
    batch, queries = positions(model)
    torch.manual_seed(2)
    found = model.compute_loss(batch)
    torch.manual_seed(2)
    drawn = torch.randint(1, ITEMS + 1, (5,)).tolist()
    targets = batch["target"].tolist()
    table = model.items.weight.detach()
    losses = slow.generalised_binary(queries.detach(), table, targets, drawn, 0.5)
    assert found.item() == pytest.approx(np.mean(losses) / 6, rel=1e-5)


def test_the_batch_loss_corrects_for_how_often_an_item_is_a_target():
    model = fitted(epochs=1, loss="in_batch")
    batch, queries = positions(model)
    targets = batch["target"]
    corrected = queries @ model.items.weight[targets].T - model.item_probability[targets].log()
    same = targets[:, None] == targets
    others = corrected.masked_fill(same, -torch.inf)
    own = corrected.diagonal()
    losses = torch.logaddexp(own, others.logsumexp(1)) - own
    assert model.compute_loss(batch).item() == pytest.approx(losses.mean().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"loss": "fully"}, "loss 'fully' is unknown.*did you mean 'full'"),
        ({"block": "bert"}, "block 'bert' is unknown"),
        ({"negatives": 0}, "negatives must be at least 1"),
        ({"calibration": 1.5}, "calibration must be from 0 to 1"),
        ({"sparse": True}, "cannot be sparse"),
        ({"precision": "int8"}, "precision is 'int8'"),
        ({"dim": 10, "heads": 3}, "3 heads cannot share a width of 10"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, match: str):
    with pytest.raises(ConfigError, match=match):
        Sequential(**settings)


def test_it_says_what_it_lacks():
    model = Sequential(**SMALL)
    for use in (lambda: model.recommend(1), model.embed_items, lambda: model.evaluate(circle()[1])):
        with pytest.raises(NotFittedError, match="fit"):
            use()
    unordered = Dataset(pl.DataFrame({"user_id": [1, 1], "item_id": [1, 2]}), Schema())
    with pytest.raises(SchemaError, match="need the order of the events"):
        model.fit(unordered)
    other = fitted(epochs=1)
    with pytest.raises(ConfigError, match="trained on other data"):
        other.fit(parts()[0])
