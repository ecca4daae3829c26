"""How much each position is looked at: estimates that are exact where the clicks are as expected."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist import losses
from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.losses import harvested_propensities, inverse_propensity_weights, randomised_propensities

SHARES = st.floats(0.05, 1.0)


@settings(max_examples=30, deadline=None)
@given(st.lists(SHARES, min_size=2, max_size=8), st.lists(SHARES, min_size=2, max_size=9), st.integers(0, 99))
def test_items_that_moved_give_the_planted_propensities(chances, attractions, seed):
    looked_at = torch.tensor(chances, dtype=torch.float64)
    attraction = torch.tensor(attractions, dtype=torch.float64)
    generator = torch.Generator().manual_seed(seed)
    # Every item once at every position would be too easy: the one half at random, and one item everywhere.
    positions = torch.arange(len(chances)).repeat(len(attractions))
    items = torch.arange(len(attractions)).repeat_interleave(len(chances))
    kept = (torch.rand(len(items), generator=generator) < 0.5) | (items == 0)
    positions, items = positions[kept].repeat(2), items[kept].repeat(2)
    clicks = looked_at[positions] * attraction[items]
    found = harvested_propensities(clicks, positions, 7 * items - 3)
    torch.testing.assert_close(found, (looked_at / looked_at[0]).float(), rtol=1e-3, atol=1e-5)


def test_clicks_that_are_drawn_give_nearly_the_planted_ones():
    generator = torch.Generator().manual_seed(0)
    looked_at, attraction = torch.tensor([0.9, 0.5, 0.3, 0.1]), torch.rand(3000, generator=generator)
    # Few impressions of each item, each at two positions.
    items = torch.arange(3000).repeat(12)
    positions = (items + torch.randint(2, (36_000,), generator=generator)) % 4
    clicks = (torch.rand(36_000, generator=generator) < looked_at[positions] * attraction[items]).float()
    found = harvested_propensities(clicks, positions, items)
    torch.testing.assert_close(found, looked_at / looked_at[0], rtol=0.1, atol=0)


def test_shares_of_clicks_at_random_are_the_propensities():
    positions = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    clicks = torch.tensor([1.0, 0, 0, 1, 1, 0.5, 0, 0])
    expected = torch.tensor([2 / 3, 1 / 3, 0.25]) / (2 / 3)
    torch.testing.assert_close(randomised_propensities(clicks, positions), expected)


def test_weights_undo_the_propensities_up_to_the_most():
    propensities = torch.tensor([0.8, 0.4, 0.01])
    weights = inverse_propensity_weights(torch.tensor([1, 0, 2]), propensities, most=10)
    assert weights.tolist() == [2.0, 1.0, 10.0]
    assert weights.dtype == torch.float32
    assert inverse_propensity_weights(torch.zeros(0, dtype=torch.int64), propensities).shape == (0,)


def test_weighted_clicks_have_in_the_mean_the_loss_of_relevance():
    """The point of it: what is expected of the weighted clicks is the relevance itself."""
    propensities, relevance = torch.tensor([1.0, 0.5, 0.2]), torch.tensor([0.3, 0.9, 0.6])
    scores = Ragged.from_lists([[0.1, -0.4, 0.8]], dtype=torch.float32)
    weights = inverse_propensity_weights(torch.arange(3), propensities)
    found = losses.softmax(scores, propensities * relevance, item_weights=weights)
    expected = losses.softmax(scores, relevance)
    torch.testing.assert_close(found.total(), expected.total())


POSITIONS = torch.tensor([0, 1, 0, 1])
CLICKS = torch.tensor([1.0, 0, 0, 1])
ITEMS = torch.tensor([5, 5, 6, 6])


@pytest.mark.parametrize(
    ("clicks", "positions", "match"),
    [
        (CLICKS[:0], POSITIONS[:0], "there is no impression"),
        (torch.tensor([1.0, -1, 0, 0]), POSITIONS, "a click is -1"),
        (torch.tensor([1.0, torch.nan, 0, 0]), POSITIONS, "a click is nan"),
        (CLICKS, POSITIONS - 1, "position -1 has no propensity.*from 0"),
        (CLICKS, 2 * POSITIONS, "position 1 was never shown"),
    ],
)
def test_a_log_that_says_nothing_is_refused(clicks, positions, match):
    with pytest.raises(DataError, match=match):
        randomised_propensities(clicks, positions)
    with pytest.raises(DataError, match=match):
        harvested_propensities(clicks, positions, torch.zeros(len(clicks), dtype=torch.int64))


def test_a_first_position_without_a_click_is_no_measure():
    with pytest.raises(DataError, match="no item at the first position was clicked"):
        randomised_propensities(torch.tensor([0.0, 1, 0, 1]), POSITIONS)


def test_positions_that_no_item_links_are_refused():
    with pytest.raises(DataError, match="position 1 cannot be compared with the first"):
        harvested_propensities(CLICKS, POSITIONS, torch.tensor([5, 6, 5, 6]))
    with pytest.raises(DataError, match="position 1 cannot be compared with the first"):
        harvested_propensities(torch.zeros(4), POSITIONS, ITEMS)  # linked, but by items that nobody clicked


def test_a_position_where_nothing_that_moved_was_clicked_is_refused():
    with pytest.raises(DataError, match="clicked at position 1"):
        harvested_propensities(torch.tensor([1.0, 0, 1, 0]), POSITIONS, ITEMS)


@pytest.mark.parametrize("positions", [POSITIONS[:3], POSITIONS.float()])
def test_one_whole_position_a_click_is_needed(positions):
    with pytest.raises(ShapeError, match="positions"):
        randomised_propensities(CLICKS, positions)
    with pytest.raises(ShapeError, match=r"items are|positions"):
        harvested_propensities(CLICKS, POSITIONS, positions)


@pytest.mark.parametrize("wrong", [0.0, -0.1, torch.nan, torch.inf])
def test_a_propensity_that_is_not_positive_is_refused(wrong):
    with pytest.raises(DataError, match="pass a vector of positive numbers"):
        inverse_propensity_weights(POSITIONS, torch.tensor([1.0, wrong]))


def test_weights_for_a_position_without_propensity_are_refused():
    with pytest.raises(DataError, match="position 1 has no propensity"):
        inverse_propensity_weights(POSITIONS, torch.ones(1))
    with pytest.raises(ConfigError, match=r"most is 0\.5"):
        inverse_propensity_weights(POSITIONS, torch.ones(2), most=0.5)
