"""The streaming estimate of how likely a batch is to hold an item."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.errors import ConfigError
from shortlist.tasks import SamplingProbability

STREAMS = st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=1, max_size=30)


def slow_estimate(stream: list[list[int]], item: int, rate: float) -> float:
    """Mean gap between the batches with the item, the newest weighing at least `rate`."""
    interval, seen, last = 0.0, 0, 0
    for step, batch in enumerate(stream, 1):
        if item in batch:
            seen += 1
            interval += max(1 / seen, rate) * (step - last - interval)
            last = step
    return 1 / max(interval, 1) if seen else 1 / (len(stream) + 1)


@settings(max_examples=60, deadline=None)
@given(STREAMS, st.sampled_from([0.02, 0.3, 1.0]), st.integers(1, 4))
def test_the_estimate_is_one_over_the_mean_gap(stream: list[list[int]], rate: float, hashes: int) -> None:
    estimate = SamplingProbability(num_buckets=1 << 12, num_hashes=hashes, rate=rate)
    for batch in stream:
        estimate.observe(torch.tensor(batch))
    expected = [slow_estimate(stream, item, rate) for item in range(10)]
    np.testing.assert_allclose(estimate(torch.arange(10)).numpy(), expected, rtol=1e-5)


def test_it_finds_the_frequencies_of_a_long_stream() -> None:
    chance = torch.tensor([1.0, 0.5, 0.1, 0.05])  # the first is in every batch, so none is empty
    draw, estimate = torch.Generator().manual_seed(0), SamplingProbability(num_buckets=64, rate=0.005)
    for _ in range(2000):
        estimate.observe((torch.rand(4, generator=draw) < chance).nonzero().flatten())
    torch.testing.assert_close(estimate(torch.arange(4)), chance, rtol=0.3, atol=0)


def test_it_follows_a_popularity_that_drifts() -> None:
    estimate = SamplingProbability(num_buckets=64, rate=0.2)
    for step in range(400):
        estimate.observe(torch.tensor([1] if step < 200 or step % 10 == 0 else [2]))
    once, now = 1.0, float(estimate(torch.tensor([1])))
    assert now < 0.2 * once


def test_a_collision_of_one_hash_is_mended_by_another() -> None:
    one, two = (SamplingProbability(num_buckets=16, num_hashes=number) for number in (1, 2))
    rare, frequent = torch.tensor([3]), torch.tensor([3 + 16])  # the first hash takes the remainder
    for step in range(100):
        for estimate in (one, two):
            estimate.observe(rare if step == 50 else frequent)
    assert float(one(rare)) > 0.9
    assert float(two(rare)) < 0.1


def test_before_the_first_batch_everything_is_certain_and_takes_no_room() -> None:
    estimate = SamplingProbability()
    assert estimate(torch.arange(3)).tolist() == [1.0] * 3
    assert sum(buffer.numel() for buffer in estimate.buffers()) == 1  # the step


@pytest.mark.parametrize("batches", [0, 5])
def test_the_state_goes_through_a_file_whether_or_not_a_batch_was_seen(batches: int) -> None:
    estimate, other = SamplingProbability(num_buckets=32), SamplingProbability(num_buckets=32)
    for step in range(batches):
        estimate.observe(torch.tensor([step % 3]))
    other.observe(torch.tensor([7]))
    other.load_state_dict(estimate.state_dict())
    assert torch.equal(other(torch.arange(9)), estimate(torch.arange(9)))
    with pytest.raises(RuntimeError, match="size mismatch"):
        SamplingProbability(num_buckets=8).load_state_dict(estimate_with_a_batch().state_dict())


def estimate_with_a_batch() -> SamplingProbability:
    estimate = SamplingProbability(num_buckets=32)
    estimate.observe(torch.tensor([1]))
    return estimate


@pytest.mark.parametrize(
    "arguments",
    [{"num_buckets": 0}, {"num_hashes": 0}, {"num_hashes": 5}, {"rate": 0}, {"rate": 1.1}],
    ids=str,
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="num_buckets"):
        SamplingProbability(**arguments)
