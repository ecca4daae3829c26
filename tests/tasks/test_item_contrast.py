"""Self-supervision of item towers: what the views hide, what the loss is, and that it helps."""

from __future__ import annotations

import math

import pytest
import torch
from planted import parts

import shortlist as sl
from shortlist.data.feature_space import FeatureSpace
from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import in_batch_softmax
from shortlist.tasks import ItemContrast, mutual_information

FEATURES = [sl.Id("item_id"), sl.Tags("colours"), sl.Category("group"), sl.Number("price")]
NAMES = [feature.name for feature in FEATURES]


def tower_and_items(dim: int = 8) -> tuple[sl.Tower, FeatureSpace, dict]:
    train, _ = parts()
    space = FeatureSpace.fit(train, [], FEATURES)
    torch.manual_seed(0)
    tower = sl.Tower(FEATURES, dim=dim).build(space)
    return tower, space, space.candidate_batch(torch.arange(1, space.num_items))


def hidden(batch: dict, names: set[str]) -> dict:
    """Slowly: the entries of items of which these features are unknown."""
    shown = {}
    for name, value in batch.items():
        if name not in names:
            shown[name] = value
        elif isinstance(value, sl.Ragged):
            shown[name] = sl.Ragged.from_lists([[] for _ in range(len(value))])
        else:
            shown[name] = value * 0
    return shown


@pytest.mark.parametrize("seed", range(5))
def test_the_loss_tells_each_items_view_from_those_of_the_others(seed: int):
    tower, _, batch = tower_and_items()
    task = ItemContrast(temperature=0.5, dropout=0.0)
    torch.manual_seed(seed)
    found = task(tower, batch)
    possible = []
    for first in range(len(NAMES)):
        for second in range(first):
            half = {NAMES[first], NAMES[second]}
            views = [tower(hidden(batch, part)) for part in (half, set(NAMES) - half)]
            for one, other in (views, views[::-1]):
                possible.append(in_batch_softmax(one, other, temperature=0.5).mean())
    assert any(torch.allclose(found, each, atol=1e-6) for each in possible)


def test_the_features_most_related_to_the_drawn_one_are_hidden_with_it():
    relation = torch.zeros(4, 4)
    relation[0, 3] = relation[3, 0] = relation[1, 2] = relation[2, 1] = 1.0
    task = ItemContrast(relation=relation)
    torch.manual_seed(0)
    halves = {frozenset(task._half(NAMES)) for _ in range(40)}
    assert halves == {frozenset({NAMES[0], NAMES[3]}), frozenset({NAMES[1], NAMES[2]})}


def test_mutual_information_is_that_of_the_joint_counts():
    _, space, _ = tower_and_items()
    table = mutual_information(space.item_columns, NAMES)
    assert torch.equal(table, table.T)
    groups = table[NAMES.index("group"), NAMES.index("colours")].item()
    # Four groups of 12 and the unknown item; the colours say the group.
    expected = -(4 * 12 / 49 * math.log(12 / 49) + 1 / 49 * math.log(1 / 49))
    assert groups == pytest.approx(expected, rel=1e-5)
    own = table[0, 0].item()
    assert own == pytest.approx(math.log(49), rel=1e-5)  # an id tells all
    assert (table[0] <= own + 1e-6).all()


def test_training_with_it_brings_views_of_one_item_together():
    tower, _, batch = tower_and_items(dim=16)
    task = ItemContrast(temperature=0.2)
    optimizer = torch.optim.Adam(tower.parameters(), lr=0.02)
    torch.manual_seed(0)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = task(tower, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-15:]) < 0.75 * sum(losses[:15])


def test_other_views_of_the_same_item_are_no_negatives():
    tower, _, batch = tower_and_items()
    twice = {
        name: value.take(torch.tensor([0, 0])) if isinstance(value, sl.Ragged) else value[[0, 0]]
        for name, value in batch.items()
    }
    task = ItemContrast(dropout=0.0)
    assert task(tower, twice, item_ids=torch.tensor([5, 5])).item() == pytest.approx(0, abs=1e-6)
    assert task(tower, twice).item() == pytest.approx(math.log(2), rel=1e-4)


def test_what_does_not_fit_is_refused():
    tower, space, batch = tower_and_items()
    with pytest.raises(ShapeError, match="relation is"):
        ItemContrast(relation=torch.zeros(2, 2))(tower, batch)
    alone = sl.Tower([FEATURES[0]], dim=4).build(space)
    with pytest.raises(ConfigError, match="nothing to compare"):
        ItemContrast()(alone, batch)
    with pytest.raises(ConfigError, match="temperature must be positive"):
        ItemContrast(temperature=0)
    with pytest.raises(ConfigError, match="dropout must be"):
        ItemContrast(dropout=1.0)
