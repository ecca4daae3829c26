"""Training on more events than fit in memory: Parquet files, read by row groups into a buffer."""

import tempfile
from pathlib import Path

import shortlist as sl

folder = Path(tempfile.mkdtemp())
films = sl.datasets.synthetic(users=200, items=300, events=8000)
films.items.write_parquet(folder / "films.parquet")
# Sorted by user, with all of a user in one row group, since a feature reads histories.
events = films.interactions.sort("user_id", "timestamp")
events.write_parquet(folder / "events.parquet", row_group_size=2000)

# What fits in memory decides the schema, the vocabularies and what the features learn.
sample = sl.datasets.from_files(
    folder / "events.parquet", items=folder / "films.parquet", schema=films.schema
)
model = sl.TwoTower(
    sl.Tower([sl.Id("user_id"), sl.History("item_id", length=20)], dim=16),
    sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=16),
)
space = model.build(sample)
loader = sl.datasets.ParquetLoader(folder / "events.parquet", sample, space, batch_size=256, buffer_rows=4000)
print(len(loader), "batches an epoch")

history = model.fit(sample, loader=loader, epochs=2)
print("loss:", [round(row["loss"], 3) for row in history.epochs])
print(model.recommend("u042", k=3).frame.select("rank", "title"))
