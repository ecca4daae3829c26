"""A small model with dropout, and a loader over random rows, that train in milliseconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.data.feature_space import Batch
from shortlist.data.ragged import Ragged

ROWS, ITEMS, WIDTH = 96, 30, 8


class SmallModel(nn.Module):
    """An item's embedding, the mean of a history's and two numbers predict a rating."""

    def __init__(self, *, sparse: bool = False, dropout: float = 0.3, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.items = nn.Embedding(ITEMS, WIDTH, sparse=sparse)
            self.history = nn.EmbeddingBag(ITEMS, WIDTH, mode="mean", sparse=sparse)
            self.layers = nn.Sequential(
                nn.Linear(2 * WIDTH + 2, 16),
                nn.BatchNorm1d(16),
                nn.ReLU(),
                nn.Dropout(dropout),
                nn.Linear(16, 1),
            )

    def forward(self, batch: Batch) -> Tensor:
        history, item, numbers = batch["history"], batch["item"], batch["numbers"]
        past = self.history(history.values, history.offsets[:-1])
        return self.layers(torch.cat([self.items(item), past, numbers], 1)).squeeze(1)

    def compute_loss(self, batch: Batch) -> Tensor:
        return functional.mse_loss(self(batch).float(), batch["rating"])


class SmallLoader:
    """Rows in memory, shuffled anew each epoch by (seed, epoch)."""

    def __init__(self, *, batch_size: int = 16, seed: int = 0, rows: int = ROWS) -> None:
        draw = torch.Generator().manual_seed(7)
        self.item = torch.randint(ITEMS, (rows,), generator=draw)
        lengths = torch.randint(1, 5, (rows,), generator=draw)
        history = torch.randint(ITEMS, (int(lengths.sum()),), generator=draw)
        self.history = Ragged.from_lengths(history, lengths)
        self.numbers = torch.randn(rows, 2, generator=draw)
        self.rating = self.item % 5 + self.numbers[:, 0]
        self.batch_size, self.seed = batch_size, seed

    def __len__(self) -> int:
        return -(-len(self.item) // self.batch_size)

    def epoch(self, number: int, *, start: int = 0) -> Iterator[Batch]:
        draw = torch.Generator().manual_seed(1_000 * self.seed + number)
        order = torch.randperm(len(self.item), generator=draw)
        for rows in order.split(self.batch_size)[start:]:
            yield {
                "item": self.item[rows],
                "history": self.history.take(rows),
                "numbers": self.numbers[rows],
                "rating": self.rating[rows],
            }


@pytest.fixture
def loader() -> SmallLoader:
    return SmallLoader()


@pytest.fixture
def make_model() -> type[SmallModel]:
    return SmallModel


@pytest.fixture
def make_loader() -> type[SmallLoader]:
    return SmallLoader


def assert_same_weights(one: nn.Module, other: nn.Module) -> None:
    expected = other.state_dict()
    for name, value in one.state_dict().items():
        assert torch.equal(value, expected[name]), name


@pytest.fixture
def same_weights():
    return assert_same_weights
