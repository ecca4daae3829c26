"""What building an approximate index takes and tells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.clustered import clustered

from shortlist.index import Approximate

DIM, ITEMS = 16, 6000


def test_a_compact_index_takes_at_most_eighty_bytes_an_item_of_64_dimensions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("shortlist.index.leaves.SMALLEST_LEAF", 250)  # as leaves of a million are
    vectors = clustered(9900, 64, 1)
    used = Approximate(64, compact=True).fit(np.arange(9900), vectors).memory()
    assert used["codes"] / 9900 <= 80


def test_memory_counts_the_arrays_that_a_search_reads() -> None:
    index = Approximate(DIM).fit(np.arange(ITEMS), clustered(ITEMS, DIM, 1))
    used = index.memory()
    assert used["vectors"] == ITEMS * DIM * 4
    assert used["codes"] >= ITEMS * (DIM + 4 + 4)
    assert used["leaves"] > 0
    assert used["total"] == used["codes"] + used["leaves"] + used["vectors"]
    index.add([-1], clustered(1, DIM, 1))
    assert index.memory()["vectors"] == (ITEMS + 1) * DIM * 4


def test_progress_is_told_in_ascending_shares_that_end_at_one() -> None:
    told: list[tuple[str, float]] = []
    vectors = clustered(ITEMS, DIM, 1)

    def progress(*news: Any) -> None:
        told.append(news)

    Approximate(DIM).fit(np.arange(ITEMS), vectors, progress=progress)
    shares = [share for _, share in told]
    assert len(told) > 2
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[-1] == 1
    assert all(isinstance(what, str) and what for what, _ in told)
    told.clear()
    Approximate(DIM).fit(np.arange(100), vectors[:100], progress=progress)
    assert [share for _, share in told][-1:] == [1]
