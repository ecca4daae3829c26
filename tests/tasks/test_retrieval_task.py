"""The retrieval task: its defaults, what it passes on, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import in_batch_softmax
from shortlist.metrics import InBatchTopK
from shortlist.tasks import Retrieval

IDS = torch.tensor([3, 5, 3, 8, 9])
CHANCE = torch.tensor([0.5, 0.1, 0.5, 0.2, 0.01])


def embeddings(rows: int = 5, seed: int = 0) -> Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))


def plain(**settings: Any) -> Retrieval:
    return Retrieval(temperature=1.0, correct_sampling_bias=False, remove_accidental_hits=False, **settings)


def test_by_default_the_bias_is_corrected_and_accidental_hits_are_removed() -> None:
    queries, candidates = embeddings(), embeddings(seed=1)
    loss = Retrieval()(queries, candidates, candidate_ids=IDS, sampling_probability=CHANCE)
    expected = in_batch_softmax(
        queries, candidates, temperature=0.2, candidate_ids=IDS, sampling_probability=CHANCE
    )
    torch.testing.assert_close(loss, expected.mean())


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 5), min_size=5, max_size=5))
def test_the_loss_is_the_weighted_mean_of_the_rows(weights: list[float]) -> None:
    queries, candidates, weight = embeddings(), embeddings(seed=1), torch.tensor(weights)
    losses = in_batch_softmax(queries, candidates)
    expected = (losses * weight).sum() / weight.sum() if weight.sum() > 0 else torch.tensor(0.0)
    torch.testing.assert_close(plain()(queries, candidates, sample_weight=weight), expected)


def test_a_loss_of_ones_own_sees_scores_and_one_hot_labels() -> None:
    seen: list[Tensor] = []

    def margin(scores: Tensor, labels: Tensor) -> Tensor:
        seen.extend([scores, labels])
        return (scores * (1 - labels)).amax(1) - (scores * labels).sum(1)

    queries, candidates = embeddings(), embeddings(7, seed=1)
    loss = plain(loss=margin)(queries, candidates)
    torch.testing.assert_close(seen[0], queries @ candidates.T)
    assert torch.equal(seen[1], torch.eye(5, 7))
    torch.testing.assert_close(loss, margin(queries @ candidates.T, torch.eye(5, 7)).mean())


def test_a_loss_that_is_not_one_a_row_is_refused() -> None:
    with pytest.raises(ShapeError, match="one loss a row"):
        plain(loss=lambda scores, labels: scores.mean())(embeddings(), embeddings())


def test_batch_metrics_see_every_call_and_leave_the_loss_alone() -> None:
    metric = InBatchTopK(ks=(1,))
    queries = functional.one_hot(torch.arange(4)).float()
    task = plain(batch_metrics=[metric])
    torch.testing.assert_close(task(queries, queries), plain()(queries, queries))
    assert metric.compute() == {"in_batch_hit_rate@1": 1.0}
    task(queries, queries.flip(0))
    assert metric.compute() == {"in_batch_hit_rate@1": 0.5}


def test_probabilities_that_are_given_are_used_and_nothing_is_estimated() -> None:
    task = Retrieval(remove_accidental_hits=False)
    task(embeddings(), embeddings(), candidate_ids=IDS, sampling_probability=CHANCE)
    assert int(task.sampling_probability.step) == 0


def test_without_probabilities_they_are_estimated_in_training_only() -> None:
    task = Retrieval(temperature=1.0, remove_accidental_hits=False)
    queries, candidates = embeddings(), embeddings(seed=1)
    for _ in range(3):
        task(queries, candidates, candidate_ids=IDS)
    task.eval()
    loss = task(queries, candidates, candidate_ids=IDS)
    assert int(task.sampling_probability.step) == 3
    expected = in_batch_softmax(queries, candidates, sampling_probability=task.sampling_probability(IDS))
    torch.testing.assert_close(loss, expected.mean())


def test_a_correction_that_is_switched_off_ignores_the_probabilities() -> None:
    queries, candidates = embeddings(), embeddings(seed=1)
    loss = plain()(queries, candidates, sampling_probability=CHANCE)
    torch.testing.assert_close(loss, in_batch_softmax(queries, candidates).mean())


def test_settings_that_need_ids_say_so() -> None:
    with pytest.raises(ConfigError, match="remove_accidental_hits"):
        Retrieval()(embeddings(), embeddings(), sampling_probability=CHANCE)
    with pytest.raises(ConfigError, match="correct_sampling_bias"):
        Retrieval(remove_accidental_hits=False)(embeddings(), embeddings())


def test_the_settings_survive_a_file() -> None:
    task = Retrieval(temperature=0.3, num_hard_negatives=7, correct_sampling_bias=False, sampling_buckets=99)
    again = Retrieval(**json.loads(json.dumps(task.config())))
    assert again.config() == task.config()
    assert repr(again) == repr(task)
    assert "temperature=0.3" in repr(again)
    with pytest.raises(ConfigError, match="can't be written"):
        plain(loss=lambda scores, labels: scores[:, 0]).config()


@pytest.mark.parametrize(
    "settings", [{"temperature": 0}, {"num_hard_negatives": 0}, {"sampling_buckets": 0}], ids=str
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Retrieval(**settings)
