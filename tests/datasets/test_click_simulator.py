"""Made-up clicks: each model of users clicks as often as its formula says."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shortlist.data import Ragged
from shortlist.datasets import CascadeClicks, PositionBasedClicks, RankingTable, simulate_clicks
from shortlist.errors import ConfigError, DataError, ShapeError

SESSIONS = 20_000


def judged(lengths: list[int], seed: int = 0) -> RankingTable:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 4, (sum(lengths),), generator=generator).float()
    if len(labels):
        labels[0] = 3
    features = torch.arange(len(labels)).float()[:, None]
    offsets = torch.tensor([0, *torch.tensor(lengths).cumsum(0).tolist()])
    return RankingTable(features, labels, offsets, tuple(f"q{row}" for row in range(len(lengths))), ("x",))


def rates(user, attraction: list[float]) -> torch.Tensor:
    """The share of sessions with a click at each position."""
    rows = Ragged.from_lists([attraction] * SESSIONS, dtype=torch.float32)
    clicks = user.clicks(rows, generator=torch.Generator().manual_seed(0))
    return clicks.view(SESSIONS, -1).float().mean(0)


def close(found: torch.Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=0.015)


def test_by_position_a_click_is_a_look_and_an_attraction():
    user = PositionBasedClicks((1.0, 0.5, 0.2))
    close(rates(user, [0.8, 0.6, 1.0, 1.0]), [0.8, 0.3, 0.2, 0.0])


def test_attention_falls_with_a_power_of_the_position():
    assert PositionBasedClicks.falling(3, power=2).examination == pytest.approx((1, 1 / 4, 1 / 9))


def test_a_satisfied_reader_clicks_once():
    close(rates(CascadeClicks(), [0.5, 0.6, 1.0, 1.0]), [0.5, 0.3, 0.2, 0.0])


def test_a_reader_may_go_on_after_a_click_and_lose_patience_without_one():
    user, (first, second) = CascadeClicks(satisfaction=0.6, patience=0.5), (0.5, 0.4)
    goes_on = first * 0.4 + (1 - first) * 0.5
    close(rates(user, [first, second]), [first, goes_on * second])


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=6),
    st.integers(1, 9),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.integers(0, 99),
)
def test_a_session_shows_the_best_of_a_query_from_the_top(lengths, shown, randomised, seed):
    table = judged([*lengths, 3], seed)
    scores = torch.rand(len(table.labels), generator=torch.Generator().manual_seed(seed)).round(decimals=1)
    found = simulate_clicks(
        table, scores, user=CascadeClicks(), sessions=30, shown=shown, randomised=randomised, seed=seed
    )
    log = found.table
    assert len(log) == 30
    assert log.columns == table.columns
    assert torch.equal(log.features, table.features[found.documents])
    assert torch.equal(log.positions, Ragged(log.features, log.offsets).positions())
    assert ((log.labels == 0) | (log.labels == 1)).all()
    for row, name in enumerate(log.queries):
        query = int(name[1:])
        documents = range(int(table.offsets[query]), int(table.offsets[query + 1]))
        best = sorted(documents, key=lambda document: (-float(scores[document]), document))[:shown]
        seen = found.documents[int(log.offsets[row]) : int(log.offsets[row + 1])].tolist()
        assert best
        assert (seen == best) if randomised == 0 else (sorted(seen) == sorted(best))


def test_random_orders_put_every_item_everywhere():
    table = judged([4])
    found = simulate_clicks(table, torch.arange(4.0), user=CascadeClicks(), sessions=8000, randomised=1.0)
    counts = torch.bincount(4 * found.documents + found.table.positions, minlength=16)
    assert (counts - 2000).abs().max() < 200


def test_grades_make_attraction():
    table = RankingTable(torch.zeros(3, 1), torch.tensor([0.0, 1, 3]), torch.tensor([0, 3]), ("q",))
    user = PositionBasedClicks((1.0, 1.0, 1.0))
    found = simulate_clicks(table, torch.zeros(3), user=user, sessions=SESSIONS, noise=0.2)
    close(found.table.labels.view(SESSIONS, 3).mean(0), [0.2, 0.2 + 0.8 / 7, 1.0])


def test_the_seed_decides_the_log():
    table = judged([5, 6])
    logs = [
        simulate_clicks(table, table.labels, user=CascadeClicks(), sessions=50, seed=seed).table
        for seed in (1, 1, 2)
    ]
    assert torch.equal(logs[0].labels, logs[1].labels)
    assert logs[0].queries == logs[1].queries
    assert logs[0].queries != logs[2].queries


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"sessions": 0}, "sessions is 0"),
        ({"shown": 0}, "shown 0"),
        ({"noise": 1.5}, "noise is 1.5"),
        ({"randomised": -0.1}, "randomised is -0.1"),
    ],
)
def test_numbers_out_of_range_are_refused(settings, match):
    table = judged([3])
    with pytest.raises(ConfigError, match=match):
        simulate_clicks(table, table.labels, user=CascadeClicks(), **{"sessions": 9, **settings})


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: PositionBasedClicks(()), "examination is empty"),
        (lambda: PositionBasedClicks((0.5, 1.2)), "an examination is 1.2"),
        (lambda: CascadeClicks(satisfaction=2), "satisfaction is 2"),
        (lambda: CascadeClicks(patience=-1), "patience is -1"),
    ],
)
def test_chances_are_from_0_to_1(make, match):
    with pytest.raises(ConfigError, match=match):
        make()


@pytest.mark.parametrize(
    ("labels", "scores", "match"),
    [
        ([0.0, 0.0], [1.0, 2.0], "no document has a label above 0"),
        ([0.0, -1.0], [1.0, 2.0], "a label is negative"),
        ([0.0, torch.nan], [1.0, 2.0], "a label is negative or not a number"),
        ([0.0, 1.0], [1.0, torch.nan], "a score is not a finite number"),
    ],
)
def test_labels_and_scores_that_are_no_numbers_are_refused(labels, scores, match):
    table = RankingTable(torch.zeros(2, 1), torch.tensor(labels), torch.tensor([0, 2]), ("q",))
    with pytest.raises(DataError, match=match):
        simulate_clicks(table, torch.tensor(scores), user=CascadeClicks(), sessions=3)


def test_one_score_a_document_is_needed():
    with pytest.raises(ShapeError, match=r"scores are \(2,\) for 3 documents"):
        simulate_clicks(judged([3]), torch.zeros(2), user=CascadeClicks(), sessions=3)
