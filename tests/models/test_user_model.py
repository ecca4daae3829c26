"""A model of a user's own: a subclass with a loss and nothing else."""

from __future__ import annotations

import pytest
import torch
from planted import parts

import shortlist as sl
from shortlist.data.feature_space import Batch, dense
from shortlist.errors import ConfigError, NotFittedError


class MyModel(sl.Model):
    """The example of the documentation, and a second task on the ratings."""

    def __init__(self) -> None:
        super().__init__()
        self.query = sl.Tower([sl.Id("user_id"), sl.Category("device")], dim=6)
        self.candidate = sl.Tower([sl.Id("item_id"), sl.Tags("colours")], dim=6)
        self.head = torch.nn.Linear(6, 1)
        self.tasks = sl.tasks.MultiTask(
            {
                "retrieval": sl.tasks.Retrieval(correct_sampling_bias=False),
                "rating": sl.tasks.Ranking(loss=sl.losses.squared_error),
            },
            weights={"rating": 0.1},
        )

    def compute_loss(self, batch: Batch) -> torch.Tensor:
        query, candidate = self.query(batch), self.candidate(batch)
        ratings = self.head(query * candidate).squeeze(1)
        retrieval = {
            "query_embeddings": query,
            "candidate_embeddings": candidate,
            "candidate_ids": batch["item_index"],
        }
        return self.tasks(
            {"retrieval": retrieval, "rating": {"predictions": ratings, "labels": dense(batch, "label")}}
        )


def test_a_subclass_needs_a_loss_and_nothing_else():
    train, test = parts()
    model = MyModel()
    history = model.fit(train, epochs=8, batch_size=64, learning_rate=0.02, validation=test)
    losses = [row["loss"] for row in history.epochs]
    assert losses[-1] < 0.8 * losses[0]
    assert history.epochs[-1]["validation_loss"] < history.epochs[0]["validation_loss"]


def test_its_towers_are_told_apart_by_what_they_read():
    train, _ = parts()
    query, candidate = MyModel().features(train)
    assert [feature.column for feature in query] == ["user_id", "device"]
    assert [feature.column for feature in candidate] == ["item_id", "colours"]


def test_two_fits_with_one_seed_give_the_same_loss_to_the_last_bit():
    train, _ = parts()
    torch.manual_seed(0)
    one, two = MyModel(), MyModel()
    two.head.load_state_dict(one.head.state_dict())  # what __init__ draws is the caller's own
    assert (
        one.fit(train, epochs=2, seed=7).epochs[-1]["loss"]
        == two.fit(train, epochs=2, seed=7).epochs[-1]["loss"]
    )


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path):
    train, _ = parts()
    torch.manual_seed(0)
    whole, broken = MyModel(), MyModel()
    broken.head.load_state_dict(whole.head.state_dict())
    resumed = MyModel()
    whole.fit(train, epochs=4, batch_size=100)
    broken.fit(train, epochs=2, batch_size=100, checkpoint_dir=str(tmp_path))
    resumed.fit(train, epochs=4, batch_size=100, checkpoint_dir=str(tmp_path), resume=True)
    ours, theirs = resumed.state_dict(), whole.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_loop_of_ones_own_can_take_the_place_of_fit():
    train, _ = parts()
    model = MyModel()
    model.build(train)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for epoch in range(4):
        for batch in model.make_loader(train, batch_size=64, seed=0).epoch(epoch):
            optimizer.zero_grad()
            loss = model.compute_loss(batch)
            loss.backward()
            optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0]


def test_a_model_without_a_loss_says_what_to_write():
    class Empty(sl.Model):
        def __init__(self) -> None:
            super().__init__()
            self.query = sl.Tower([sl.Id("user_id")], dim=4)

    with pytest.raises(NotImplementedError, match="Empty must define compute_loss"):
        Empty().fit(parts()[0], epochs=1)


def test_a_model_that_was_not_fitted_cannot_validate():
    with pytest.raises(NotFittedError, match="MyModel is not trained"):
        MyModel().validate(parts()[1])


def test_a_model_of_ones_own_cannot_be_saved_as_one_of_ours(tmp_path):
    from shortlist.models import save_model

    model = MyModel()
    model.build(parts()[0])
    with pytest.raises(ConfigError, match="class 'MyModel' cannot be saved"):
        save_model(model, tmp_path / "model")  # type: ignore[arg-type]
    assert not (tmp_path / "model").exists()
