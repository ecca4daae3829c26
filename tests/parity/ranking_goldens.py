"""The recorded outputs of TensorFlow Ranking 0.5.5, as lists without padding."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shortlist.data.ragged import Ragged

RELATIVE = 1e-4


class RankingGoldens:
    def __init__(self, folder: Path) -> None:
        recorded = json.loads((folder / "golden_ranking.json").read_text())
        self.entries: dict[str, dict[str, Any]] = recorded["entries"]
        self.errors: dict[str, str] = recorded["errors"]
        with np.load(folder / "golden_ranking.npz") as arrays:
            self.arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}

    def of(self, kind: str, cls: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """The entries of a class that TensorFlow Ranking answered."""
        for name, entry in self.entries.items():
            if name.startswith(f"{kind}/{cls}/") and name not in self.errors:
                yield name, entry


class GoldenLists:
    """The lists of an entry; a label of -1 stands for padding, which is left out."""

    def __init__(self, goldens: RankingGoldens, entry: dict[str, Any]) -> None:
        self.goldens, self.entry = goldens, entry
        name, _, first = entry["labels"].rstrip(":]").partition("[")
        self.rows = slice(int(first or 0), None)
        labels = self._input(name)
        self.valid = labels >= 0 if labels.ndim == 2 else (labels >= 0).any(dim=2)
        self.lengths = self.valid.sum(dim=1)
        self.labels = labels[self.valid]
        self.width = int(self.lengths.max()) if entry.get("ragged") else labels.shape[1]

    def _input(self, name: str) -> Tensor:
        return self.goldens.arrays[f"in/{name}"][self.rows]

    def flat(self, name: str) -> Tensor:
        """The items of all lists, one list after another."""
        return self._input(name)[self.valid]

    def ragged(self, values: Tensor) -> Ragged:
        return Ragged.from_lengths(values, self.lengths)

    def noise(self) -> Tensor:
        """`[samples, total]`."""
        return self._input("gumbel").transpose(0, 1)[:, self.valid]

    def weights(self) -> dict[str, Tensor]:
        kind = self.entry.get("weights", "none")
        if kind == "item":
            return {"item_weights": self.flat("item_weights")}
        return {"list_weights": self._input("list_weights")[:, 0]} if kind == "list" else {}


@cache
def load(folder: Path) -> RankingGoldens:
    return RankingGoldens(folder)


def difference(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference in units of what is allowed: at most 1 is a match."""
    ours, theirs = ours.detach().double(), theirs.double()
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    if theirs.numel() == 0:
        return 0.0
    # Relative to the largest number of the array, in units of which float32 rounds.
    allowed = RELATIVE * torch.maximum(theirs.abs(), theirs.abs().max() / 10).clamp(min=1e-4)
    return float(((ours - theirs).abs() / allowed).nan_to_num(nan=1e9).max())
