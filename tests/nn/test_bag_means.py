"""Means of rows, added to what is there already: what the encoders' layers give."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import shortlist as sl
from shortlist.errors import ShapeError
from shortlist.kernels.bag_means import add_bag_means
from shortlist.nn.encoders import HistoryEncoder

ROWS, LONGEST = 40, 9
bags = st.lists(st.lists(st.integers(0, ROWS - 1), max_size=LONGEST), max_size=12)


def encoder(dim: int, *, attention: bool) -> HistoryEncoder:
    made = HistoryEncoder(ROWS, dim, length=LONGEST, attention=attention).eval()
    if attention:
        with torch.no_grad():
            made.item_score.normal_(0, 4)
            made.distance_score.normal_(0, 20)  # some beyond the bounds of the softmax
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=bags, dim=st.sampled_from([1, 7, 16, 33]), column=st.integers(0, 3), attention=st.booleans())
def test_the_means_are_those_of_the_layers(
    instructions: str, rows: list[list[int]], dim: int, column: int, attention: bool
) -> None:
    layers, ragged = encoder(dim, attention=attention), sl.Ragged.from_lists(rows)
    start = torch.randn(len(rows), dim + 3)
    sums = start.clone()
    add_bag_means(
        sums,
        layers.embedding.weight,
        ragged.values,
        ragged.offsets,
        column=column,
        row_scores=layers.item_score if attention else None,
        distance_scores=layers.distance_score if attention else None,
    )
    with torch.no_grad():
        start[:, column : column + dim] += layers(ragged)
    torch.testing.assert_close(sums, start, rtol=1e-5, atol=1e-5)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    random = torch.Generator().manual_seed(0)
    lengths = torch.randint(0, LONGEST + 1, (20_000,), generator=random)
    ids = torch.randint(0, ROWS, (int(lengths.sum()),), generator=random)
    bounds, layers, found = sl.Ragged.from_lengths(ids, lengths).offsets, encoder(64, attention=True), []
    for threads in (1, 2, 3):
        sums = torch.zeros(len(lengths), 64)
        scores = {"row_scores": layers.item_score, "distance_scores": layers.distance_score}
        add_bag_means(sums, layers.embedding.weight, ids, bounds, threads=threads, **scores)
        found.append(sums)
    assert all(torch.equal(each, found[0]) for each in found)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"ids": torch.tensor([1, ROWS])}, "no row of the table"),
        ({"ids": torch.tensor([1, -1])}, "no row of the table"),
        ({"offsets": torch.tensor([0, 1])}, "number of ids"),
        ({"column": 3}, "room"),
        ({"column": -1}, "room"),
        ({"sums": torch.zeros(2, 6)}, "room"),
        ({"row_scores": torch.zeros(ROWS)}, "come together"),
        ({"row_scores": torch.zeros(3), "distance_scores": torch.zeros(9)}, r"\[rows\]"),
        ({"row_scores": torch.zeros(ROWS), "distance_scores": torch.zeros(1)}, "longer than"),
    ],
)
def test_what_does_not_fit_together_is_refused(changed: dict, message: str) -> None:
    given = {"sums": torch.zeros(1, 6), "weight": torch.zeros(ROWS, 4)}
    given |= {"ids": torch.tensor([1, 2]), "offsets": torch.tensor([0, 2])}
    with pytest.raises(ShapeError, match=message):
        add_bag_means(**(given | changed))
