"""Every error says what was wrong, where, and what to do; all of them are sl.Error."""

import tempfile
from collections.abc import Callable

import polars as pl
import torch

import shortlist as sl
from shortlist import errors
from shortlist.serving.stores import open_store

events = pl.DataFrame({"user_id": [1, 2], "item_id": [5, 6]})
data = sl.Dataset(events, sl.Schema())
tower = sl.Tower([sl.Id("user_id")], dim=8)

mistakes: dict[type[sl.Error], Callable[[], object]] = {
    errors.DataError: lambda: sl.datasets.from_files("nowhere.parquet"),
    errors.SchemaError: lambda: sl.Dataset(events, sl.Schema(item_id="itemid")),
    errors.ShapeError: lambda: sl.TwoTower(tower, sl.Tower([sl.Id("item_id")], dim=16)),
    errors.ConfigError: lambda: sl.Ranker([sl.Id("user_id")], loss="softmx"),
    errors.UnknownIdError: lambda: data.item_vocabulary.index_of(7),
    errors.BundleError: lambda: sl.Funnel.load(tempfile.mkdtemp()),
    errors.NotFittedError: lambda: tower({"user_id": torch.tensor([1])}),
    errors.StoreError: lambda: open_store("sqlite:////nowhere/store.db"),
}
for kind, mistake in mistakes.items():
    try:
        mistake()
    except kind as error:
        print(f"{kind.__name__}: {error}\n  what: {error.what}\n  remedy: {error.remedy}")


class Diverging(torch.nn.Linear):
    """A model whose loss is not a number."""

    def compute_loss(self, batch):
        """Never finite."""
        return self(batch["x"]).sum() * float("nan")


class OneBatch:
    """A loader of a single batch."""

    def __len__(self) -> int:
        return 1

    def epoch(self, number: int, *, start: int = 0):
        """The batch."""
        yield {"x": torch.ones(4, 1)}


try:
    sl.training.fit(Diverging(1, 1), OneBatch(), epochs=1)
except errors.TrainingError as error:
    print(f"TrainingError: {error}")

# The remedies suggest the nearest right name.
print(errors.did_you_mean("titel", ["title", "genres", "year"]))
assert issubclass(errors.DataError, errors.Error)
