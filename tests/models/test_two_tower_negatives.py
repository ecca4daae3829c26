"""Two towers trained with every kind of negatives, on what was planted and on MovieLens-100K."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from planted import ITEMS, parts, plain_towers

import shortlist as sl
from shortlist.errors import ConfigError
from shortlist.losses import full_softmax, in_batch_softmax
from shortlist.metrics import FactorizedTopK
from shortlist.models import load_model, save_model
from shortlist.tasks import Retrieval

KINDS = {
    "mixed": {"negatives": "mixed", "num_negatives": 20},
    "sampled": {"negatives": "sampled", "num_negatives": 20},
    "gbce": {"negatives": "sampled", "num_negatives": 20, "objective": "gbce"},
    "catalogue": {"negatives": "catalogue"},
    "queue": {"queue_size": 200},
    "mixed queue": {"negatives": "mixed", "num_negatives": 20, "queue_size": 200},
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_of_negatives_learns_what_was_planted(kind: dict[str, Any]) -> None:
    train, test = parts()
    model = plain_towers(task=Retrieval(temperature=0.2, **kind))
    # gBCE is not blind to a shift of all scores, and learns that first.
    model.fit(train, epochs=60 if "objective" in kind else 15, batch_size=128, learning_rate=0.02)
    evaluation = model.evaluate(test, metrics=[FactorizedTopK(ks=(5,))])
    assert evaluation["hit_rate@5"] > 0.7
    assert evaluation.popularity["hit_rate@5"] < 0.4


@pytest.mark.parametrize("kind", ["mixed queue", "catalogue"])
def test_two_fits_with_one_seed_give_the_same_bits(kind: str) -> None:
    train, _ = parts()
    vectors = []
    for _ in range(2):
        model = plain_towers(task=Retrieval(**KINDS[kind]))
        model.fit(train, epochs=2, batch_size=128, seed=3)
        vectors.append(model.item_vectors)
    assert torch.equal(*vectors)


@pytest.mark.parametrize("kind", ["mixed queue", "catalogue"])
def test_a_training_that_is_resumed_makes_the_same_steps(kind: str, tmp_path: Path) -> None:
    train, _ = parts()
    whole, first, second = (plain_towers(task=Retrieval(**KINDS[kind])) for _ in range(3))
    options = {"batch_size": 128, "seed": 3}
    whole.fit(train, epochs=4, **options)
    first.fit(train, epochs=2, checkpoint_dir=str(tmp_path), **options)
    second.fit(train, epochs=4, checkpoint_dir=str(tmp_path), resume=True, **options)
    assert torch.equal(second.item_vectors, whole.item_vectors)


def some_batch(model: sl.TwoTower) -> dict[str, Any]:
    train, _ = parts()
    model.build(train)
    model.data = train
    return model.make_loader(train, batch_size=64, seed=0).batch(torch.arange(64))


def test_the_catalogue_is_every_item_but_the_unknown() -> None:
    model = plain_towers(task=Retrieval(negatives="catalogue", temperature=0.5))
    batch = some_batch(model)
    model.eval()
    loss = model.compute_loss(batch)
    expected = full_softmax(
        model.query(batch), model.embed_items()[1:].clone(), batch["item_index"] - 1, temperature=0.5
    )
    torch.testing.assert_close(loss, expected.mean())
    loss.backward()
    grad = model.candidate.encoders["0"].embedding.weight.grad
    assert bool(grad[1:].any(1).all())  # no item goes without a gradient


def test_mixed_negatives_are_corrected_with_the_chances_of_the_mixture() -> None:
    model = plain_towers(task=Retrieval(negatives="mixed", num_negatives=10, temperature=0.5))
    batch = some_batch(model)
    model.item_probability.copy_(torch.rand(ITEMS + 1))
    torch.manual_seed(7)
    loss = model.compute_loss(batch)
    torch.manual_seed(7)
    ids = torch.cat([batch["item_index"], torch.randint(1, ITEMS + 1, (10,))])
    chance = (64 * model.item_probability[ids] + 10 / ITEMS) / 74
    expected = in_batch_softmax(
        model.query(batch),
        model.embed_items()[ids],
        temperature=0.5,
        candidate_ids=ids,
        sampling_probability=chance,
    )
    torch.testing.assert_close(loss, expected.mean())


@pytest.mark.parametrize("kind", ["mixed", "sampled", "gbce", "catalogue"])
def test_seen_items_can_be_masked_with_any_negatives(kind: str) -> None:
    losses = []
    for mask_seen in (False, True):
        model = plain_towers(task=Retrieval(**KINDS[kind]), mask_seen=mask_seen)
        batch = some_batch(model)
        torch.manual_seed(1)
        losses.append(model.compute_loss(batch).item())
    assert losses[1] < losses[0]  # fewer negatives


def test_seen_items_cannot_be_masked_in_a_queue() -> None:
    with pytest.raises(ConfigError, match="queue of earlier batches"):
        plain_towers(task=Retrieval(queue_size=8), mask_seen=True)


def test_a_saved_model_keeps_its_task_and_leaves_the_queue_behind(tmp_path: Path) -> None:
    train, _ = parts()
    model = plain_towers(task=Retrieval(**KINDS["mixed queue"]))
    model.fit(train, epochs=1, batch_size=128)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model", train)
    assert loaded.task.config() == model.task.config()
    assert len(loaded.task.queue) == 0
    loaded.fit(train, epochs=1, batch_size=128)


@pytest.mark.parametrize("kind", ["mixed", "catalogue"])
def test_movielens_is_learned_end_to_end(data_dir: Path, kind: str) -> None:
    train, test = sl.datasets.movielens("100k", folder=data_dir).split_leave_last_out()
    model = sl.TwoTower(
        query=sl.Tower([sl.Id("user_id"), sl.History("item_id", length=20)], dim=16),
        candidate=sl.Tower([sl.Id("item_id")], dim=16),
        task=Retrieval(**(KINDS[kind] | {"num_negatives": 500, "temperature": 0.1})),
    )
    history = model.fit(train, epochs=2, batch_size=2048, learning_rate=0.02)
    assert history.epochs[1]["loss"] < history.epochs[0]["loss"]
    evaluation = model.evaluate(test, metrics=[FactorizedTopK(ks=(100,))])
    assert evaluation["hit_rate@100"] > evaluation.popularity["hit_rate@100"]
