"""Where a retrieval task's negatives come from: drawn, kept from earlier batches, or the whole catalogue."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import (
    full_softmax,
    generalised_binary_cross_entropy,
    in_batch_softmax,
    sampled_scores,
    sampled_softmax,
)
from shortlist.metrics import InBatchTopK
from shortlist.tasks import NegativeQueue, NegativeSampler, Retrieval


def embeddings(rows: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))


IDS = torch.tensor([3, 5, 3, 8, 9, 5, 2])  # four of the batch, three drawn


def test_the_whole_catalogue_is_scored_where_targets_are_given() -> None:
    queries, table, targets = embeddings(4), embeddings(20, 1), torch.tensor([3, 0, 19, 3])
    weight, mask = torch.tensor([1.0, 2, 0, 1]), torch.rand(4, 20) < 0.5
    loss = Retrieval(negatives="catalogue", temperature=0.5)(
        queries, table, targets=targets, sample_weight=weight, score_mask=mask
    )
    losses = full_softmax(queries, table, targets, temperature=0.5, score_mask=mask)
    torch.testing.assert_close(loss, (losses * weight).sum() / weight.sum())


def test_drawn_negatives_alone_are_a_sampled_softmax() -> None:
    queries, candidates = embeddings(4), embeddings(7, 1)
    loss = Retrieval(negatives="sampled", temperature=0.5)(queries, candidates, candidate_ids=IDS)
    losses = sampled_softmax(
        queries,
        candidates[:4],
        candidates[4:],
        temperature=0.5,
        positive_ids=IDS[:4],
        negative_ids=IDS[4:],
    )
    torch.testing.assert_close(loss, losses.mean())


def test_gbce_takes_the_scores_of_drawn_negatives() -> None:
    queries, candidates = embeddings(4), embeddings(7, 1)
    mask = torch.ones(4, 7, dtype=torch.bool)
    mask[1, 6] = False
    task = Retrieval(negatives="sampled", objective="gbce", calibration=0.5, temperature=1.0)
    loss = task(queries, candidates, candidate_ids=IDS, num_items=50, score_mask=mask)
    scores = sampled_scores(
        queries,
        candidates[:4],
        candidates[4:],
        positive_ids=IDS[:4],
        negative_ids=IDS[4:],
        score_mask=mask[:, 4:],
    )
    expected = generalised_binary_cross_entropy(*scores, num_items=50, calibration=0.5)
    torch.testing.assert_close(loss, expected.mean())
    with pytest.raises(ConfigError, match="needs num_items"):
        task(queries, candidates, candidate_ids=IDS)


def test_drawn_items_are_of_the_catalogue_and_as_many_as_the_task_says() -> None:
    assert len(Retrieval().draw_negatives(9)) == 0
    assert len(Retrieval(negatives="catalogue").draw_negatives(9)) == 0
    drawn = Retrieval(negatives="mixed", num_negatives=4000).draw_negatives(9)
    counts = torch.bincount(drawn, minlength=10)
    assert counts[0] == 0
    assert len(counts) == 10
    assert int(counts[1:].min()) > 350


def test_mixed_chances_are_the_expected_numbers_of_both_sources() -> None:
    task = Retrieval(negatives="mixed", temperature=1.0)
    queries, candidates = embeddings(4), embeddings(7, 1)
    loss = task(queries, candidates, candidate_ids=IDS, num_items=30)
    assert int(task.sampling_probability.step) == 1
    assert float(task.sampling_probability(torch.tensor([2]))) == 0.5  # drawn, and so not seen in a batch
    chance = (task.sampling_probability(IDS) + 3 / 30) / (1 + 3 / 30)
    expected = in_batch_softmax(queries, candidates, candidate_ids=IDS, sampling_probability=chance)
    torch.testing.assert_close(loss, expected.mean())
    with pytest.raises(ConfigError, match="num_items"):
        task(queries, candidates, candidate_ids=IDS)


def test_the_queue_adds_the_candidates_of_earlier_batches() -> None:
    task = Retrieval(queue_size=6, temperature=1.0)
    chance = torch.rand(4) * 0.1
    batches = [(embeddings(4, 2 * step), embeddings(4, 2 * step + 1)) for step in range(4)]
    ids = [torch.arange(4) * 3 + step for step in range(4)]
    held: list[Tensor] = []
    for (queries, candidates), own in zip(batches, ids, strict=True):
        new = [candidates.requires_grad_(), own, chance]
        whole = [torch.cat(pair) for pair in zip(new, held, strict=True)] if held else new
        loss = task(queries, candidates, candidate_ids=own, sampling_probability=chance)
        expected = in_batch_softmax(queries, whole[0], candidate_ids=whole[1], sampling_probability=whole[2])
        torch.testing.assert_close(loss, expected.mean())
        loss.backward()
        assert candidates.grad is not None
        kept = [torch.cat(pair) for pair in zip(held, new, strict=True)] if held else new
        held = [each[-6:].detach() for each in kept]
    assert torch.equal(task.queue.embeddings, held[0])
    assert torch.equal(task.queue.ids, held[1])


def test_the_queue_is_neither_read_nor_filled_outside_of_training() -> None:
    task = Retrieval(queue_size=6, temperature=1.0)
    chance = torch.full((4,), 0.1)
    for seed in (1, 3):
        task(embeddings(4), embeddings(4, seed), candidate_ids=torch.arange(4), sampling_probability=chance)
    task.eval()
    before = len(task.queue)
    pair = embeddings(4), embeddings(4, 5)
    loss = task(*pair, candidate_ids=torch.arange(4), sampling_probability=chance)
    torch.testing.assert_close(loss, in_batch_softmax(*pair, candidate_ids=torch.arange(4)).mean())
    assert len(task.queue) == before


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 9), st.lists(st.integers(0, 7), max_size=6))
def test_a_queue_holds_the_newest_in_order_and_survives_a_file(size: int, batches: list[int]) -> None:
    queue, seen = NegativeQueue(size), []
    for count in batches:
        ids = torch.arange(len(seen), len(seen) + count)
        queue.push(ids[:, None].float() * torch.ones(3), ids, ids / 100)
        seen += ids.tolist()
    assert queue.ids.tolist() == seen[max(len(seen) - size, 0) :]
    assert [row[0] for row in queue.embeddings.tolist()] == queue.ids.tolist()
    torch.testing.assert_close(queue.probability, queue.ids / 100)
    other = NegativeQueue(size)
    other.load_state_dict(queue.state_dict())
    for name, value in queue.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
    queue.clear()
    assert len(queue) == 0


def test_a_queue_refuses_what_does_not_fit() -> None:
    queue = NegativeQueue(4)
    with pytest.raises(ShapeError, match="do not go with"):
        queue.push(torch.zeros(2, 3), torch.zeros(1, dtype=torch.int64), torch.zeros(2))
    queue.push(torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), torch.zeros(2))
    with pytest.raises(ShapeError, match="3 wide, not 5"):
        queue.push(torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64), torch.zeros(2))
    with pytest.raises(ConfigError, match="size is -1"):
        NegativeQueue(-1)
    with pytest.raises(RuntimeError, match="size mismatch"):
        NegativeQueue(1).load_state_dict(queue.state_dict())


def test_a_sampler_draws_each_item_as_often_as_its_weight_says() -> None:
    torch.manual_seed(0)
    weights = torch.tensor([0.0, 4.0, 0.0, 1.0, 5.0])
    sampler = NegativeSampler(weights)
    counts = torch.bincount(sampler.draw(100, 200).flatten(), minlength=5)
    torch.testing.assert_close(counts / 20_000, weights / 10, atol=0.02, rtol=0)
    assert counts[0] == counts[2] == 0
    torch.testing.assert_close(sampler.probability(torch.arange(5)), weights / 10)
    uniform = NegativeSampler.uniform(3)
    np.testing.assert_allclose(uniform.probability(torch.arange(4)), [0, 1 / 3, 1 / 3, 1 / 3], rtol=1e-6)


@pytest.mark.parametrize("weights", [[-1.0, 2.0], [0.0, 0.0], [float("nan")], [float("inf")], [[1.0]]])
def test_weights_that_are_none_are_refused(weights: list[Any]) -> None:
    with pytest.raises(ConfigError, match="weights of a sampler"):
        NegativeSampler(torch.tensor(weights))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"negatives": "hard"}, "negatives is 'hard'"),
        ({"objective": "bce"}, "objective is 'bce'"),
        ({"num_negatives": 0}, "num_negatives is 0"),
        ({"queue_size": -1}, "queue_size is -1"),
        ({"calibration": 1.5}, "calibration is 1.5"),
        ({"negatives": "sampled", "queue_size": 5}, "not of batches"),
        ({"negatives": "catalogue", "num_hard_negatives": 5}, "need the batch's scores"),
        ({"negatives": "sampled", "batch_metrics": [InBatchTopK()]}, "need the batch's scores"),
        ({"negatives": "mixed", "objective": "gbce"}, "for drawn negatives"),
    ],
    ids=lambda each: each if isinstance(each, str) else "-".join(each),
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        Retrieval(**settings)


def test_targets_belong_to_the_catalogue() -> None:
    with pytest.raises(ConfigError, match="there are no targets"):
        Retrieval(negatives="catalogue")(embeddings(2), embeddings(9))
    with pytest.raises(ConfigError, match="there are targets"):
        Retrieval()(embeddings(2), embeddings(9), targets=torch.tensor([1, 2]))


def test_the_settings_of_negatives_survive_a_file() -> None:
    task = Retrieval(negatives="sampled", num_negatives=9, objective="gbce", calibration=0.25)
    again = Retrieval(**json.loads(json.dumps(task.config())))
    assert again.config() == task.config()
    assert Retrieval(**json.loads(json.dumps(Retrieval(queue_size=7).config()))).queue.size == 7
    assert "negatives='sampled', num_negatives=9" in repr(task)


def test_a_task_without_a_queue_leaves_nothing_of_one_in_a_file():
    assert not any("queue" in name for name in Retrieval().state_dict())
    assert any("queue" in name for name in Retrieval(queue_size=8).state_dict())
