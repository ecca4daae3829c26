"""Sequence blocks: equal to the papers' formulas, causal, and the same in every batch."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import sequence as slow

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError, ShapeError
from shortlist.nn import GRUBlock, HSTUBlock, SequenceEncoder, SequenceLayout, TransformerBlock
from shortlist.nn.sequence.dropout import dropout
from shortlist.nn.sequence.time_gaps import gap_buckets

DIM, LENGTH = 6, 12
BLOCKS = ("transformer", "hstu", "gru")
every_block = pytest.mark.parametrize("block", BLOCKS)
lengths_of_rows = st.lists(st.integers(0, LENGTH), min_size=1, max_size=9)


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def randomised(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """The module in double precision with all weights drawn, so that none is hidden by being zero or one."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.double().parameters():
        parameter.data = 0.5 * torch.randn(parameter.shape, dtype=torch.float64, generator=generator)
    return module.eval()


def encoder(block: str, **options) -> SequenceEncoder:
    return randomised(SequenceEncoder(DIM, block=block, length=LENGTH, **options))  # type: ignore[return-value]


def batch(lengths: list[int], seed: int = 0) -> tuple[Ragged, Ragged]:
    total = sum(lengths)
    sizes = torch.tensor(lengths)
    generator = torch.Generator().manual_seed(seed)
    gaps = torch.randint(0, 100_000, (total,), generator=generator)
    return Ragged.from_lengths(drawn(total, DIM, seed=seed), sizes), Ragged.from_lengths(
        gaps.cumsum(0), sizes
    )


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("name", ["transformer", "hstu", "hstu with times", "gru"])
def test_a_block_is_what_its_paper_says(name: str, heads: int):
    block = randomised(
        {
            "transformer": lambda: TransformerBlock(DIM, heads=heads),
            "hstu": lambda: HSTUBlock(DIM, heads=heads, length=LENGTH),
            "hstu with times": lambda: HSTUBlock(DIM, heads=heads, length=LENGTH, time_gaps=True),
            "gru": lambda: GRUBlock(DIM),
        }[name]()
    )
    weights = block.state_dict()
    rows, times = batch([7, 5, 5, 3, 1])
    found = Ragged(block(rows.values, SequenceLayout(rows.offsets, times.values)).detach(), rows.offsets)
    for i in range(len(rows)):
        expected = {
            "transformer": lambda i=i: slow.transformer(weights, rows[i], heads=heads),
            "hstu": lambda i=i: slow.hstu(weights, rows[i], times[i].tolist(), heads=heads, length=LENGTH),
            "gru": lambda i=i: slow.gru(weights, rows[i]),
        }[name.split()[0]]()
        torch.testing.assert_close(found[i], expected)


@every_block
def test_a_later_event_changes_no_earlier_output(block: str):
    model = encoder(block, time_gaps=True)
    rows, times = batch([9, 9, 6])
    before = model(rows, times)
    for row, event in ((0, 4), (1, 8), (2, 0)):
        at = int(rows.offsets[row]) + event
        changed, later = rows.values.clone(), times.values.clone()
        changed[at, 0] += 1
        later[at:] += 3_600
        after = model(Ragged(changed, rows.offsets), Ragged(later, rows.offsets))
        same = torch.ones(len(before), dtype=torch.bool)
        same[at : int(rows.offsets[row + 1])] = False
        others = same & (torch.arange(len(before)) < at)
        assert torch.equal(before[others], after[others])
        assert not torch.allclose(before[at], after[at])


@every_block
@given(lengths=lengths_of_rows, seed=st.integers(0, 3))
@settings(max_examples=25, deadline=None)
def test_a_sequence_is_encoded_alike_in_every_batch_and_order(block: str, lengths: list[int], seed: int):
    model = encoder(block, time_gaps=True)
    rows, times = batch(lengths, seed)
    together = Ragged(model(rows, times), rows.offsets)
    for i in range(len(rows)):
        offsets = torch.tensor([0, lengths[i]])
        alone = model(Ragged(rows[i], offsets), Ragged(times[i], offsets))
        torch.testing.assert_close(together[i], alone)


@every_block
@given(lengths=lengths_of_rows)
@settings(max_examples=15, deadline=None)
def test_the_gradient_of_a_batch_is_the_sum_of_its_sequences_gradients(block: str, lengths: list[int]):
    model = encoder(block)
    rows, _ = batch(lengths)
    weight = drawn(len(rows.values), DIM, seed=5)

    def gradients(parts: list[Ragged], weights: list[torch.Tensor]) -> list[torch.Tensor]:
        model.zero_grad()
        for part, each in zip(parts, weights, strict=True):
            if len(part.values):
                (model(part) * each).sum().backward()
        return [torch.zeros(1) if p.grad is None else p.grad.clone() for p in model.parameters()]

    alone = [Ragged(rows[i], torch.tensor([0, lengths[i]])) for i in range(len(rows))]
    bounds = rows.offsets.tolist()
    shares = [weight[start:end] for start, end in pairwise(bounds)]
    for one, other in zip(gradients([rows], [weight]), gradients(alone, shares), strict=True):
        torch.testing.assert_close(one, other)


@given(lengths=lengths_of_rows)
@settings(max_examples=40, deadline=None)
def test_groups_hold_every_event_once_and_little_padding(lengths: list[int]):
    ordered = sorted(lengths, reverse=True)
    layout = SequenceLayout(Ragged.from_lengths(torch.zeros(sum(ordered)), torch.tensor(ordered)).offsets)
    events = torch.arange(sum(ordered), dtype=torch.float64)[:, None]
    if len(events):
        assert torch.equal(layout.by_group(events, lambda padded, group: padded), events)
        assert torch.equal(layout.by_step(events, lambda packed: packed), events)
    assert sum(group.events for group in layout.groups) == sum(ordered)
    for group in layout.groups:
        assert group.rows * group.length <= 1.15 * group.events


@every_block
def test_training_hides_at_random_and_evaluation_does_not(block: str):
    model = encoder(block, dropout=0.5)
    rows, _ = batch([5, 4])
    assert torch.equal(model(rows), model(rows))
    model.train()
    assert not torch.equal(model(rows), model(rows))


def test_dropout_hides_its_share_and_keeps_the_expectation():
    values = torch.ones(300, 333, requires_grad=True)
    torch.manual_seed(0)
    kept = dropout(values, 0.3, True)
    assert (kept == 0).float().mean().item() == pytest.approx(77 / 256, abs=0.005)  # 0.3 in steps of 1/256
    assert kept.mean().item() == pytest.approx(1, abs=0.01)
    assert len(kept.unique()) == 2
    kept.sum().backward()
    assert torch.equal(values.grad, kept.detach())
    for column in range(8):  # each byte of a random number is as random as the others
        share = (kept.flatten()[column::8] == 0).float().mean().item()
        assert share == pytest.approx(77 / 256, abs=0.02)
    assert dropout(values, 0.3, False) is values


@pytest.mark.parametrize("block", ["transformer", "hstu"])
def test_the_order_of_events_matters(block: str):
    model = encoder(block)
    rows, _ = batch([4])
    turned = Ragged(rows.values[[1, 0, 2, 3]], rows.offsets)
    assert not torch.allclose(model(rows)[-1], model(turned)[-1])


def test_time_gaps_double_from_bucket_to_bucket():
    seconds = [-5, 0, 1, 2, 3, 4, 7, 8, 3_600, 86_400, 10**12]
    assert gap_buckets(torch.tensor(seconds)).tolist() == [slow.gap_bucket(each) for each in seconds]


def test_nothing_and_empty_rows_are_encoded_as_nothing():
    model = encoder("transformer")
    assert model(Ragged(torch.zeros(0, DIM).double(), torch.zeros(4, dtype=torch.int64))).shape == (0, DIM)
    rows, _ = batch([0, 3, 0])
    assert model(rows).shape == (3, DIM)


def test_what_does_not_fit_is_refused():
    model = SequenceEncoder(DIM, length=3, time_gaps=True)
    rows, times = batch([4])
    with pytest.raises(ShapeError, match="4 events, more than length=3"):
        model.double()(rows, times)
    rows, _ = batch([2])
    with pytest.raises(ConfigError, match="times are missing"):
        model(rows)
    with pytest.raises(ShapeError, match="from long to short"):
        SequenceLayout(torch.tensor([0, 1, 3]))
    with pytest.raises(ConfigError, match="4 heads cannot share a width of 6"):
        TransformerBlock(DIM, heads=4)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"block": "lstm"}, "block 'lstm' is unknown"),
        ({"num_blocks": 0}, "num_blocks must be at least 1"),
        ({"length": 0}, "length must be at least 1"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
        ({"heads": 5}, "5 heads cannot share"),
    ],
)
def test_settings_out_of_range_are_refused(options: dict, match: str):
    with pytest.raises(ConfigError, match=match):
        SequenceEncoder(DIM, **options)
