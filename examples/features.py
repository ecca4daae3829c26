"""Every kind of feature, in a tower for the user and one for the item."""

import numpy as np
import polars as pl

import shortlist as sl
from shortlist.nn import BagEncoder, DenseEncoder, Embedding, HistoryEncoder, IndexEncoder

films = sl.datasets.synthetic(users=200, items=300, events=8000)
# Two further columns: the device of each event, and a ready-made vector of each item.
events = films.interactions.with_columns(device=pl.lit("phone"))
vectors = np.random.default_rng(0).normal(size=(len(films.items), 4)).astype(np.float32)
data = sl.Dataset(
    events, films.schema, users=films.users, items=films.items.with_columns(look=pl.Series(vectors))
)

query: list[sl.Feature] = [
    sl.Id("user_id"),
    sl.Category("occupation"),
    sl.Category("device", buckets=16),  # a column of the events: part of the request, the context
    sl.Number("age", buckets=8),
    sl.Timestamp("timestamp"),  # the moment of the request
    sl.History("item_id", length=20),
    sl.History("year", pooling="mean"),
]
candidate: list[sl.Feature] = [
    sl.Id("item_id"),
    sl.Text("title", buckets=1024),
    sl.Tags("genres"),
    sl.Number("year"),
    sl.Vector("look"),
]
model = sl.TwoTower(sl.Tower(query, dim=16), sl.Tower(candidate, dim=16))
space = model.build(data)

# What the features learned from the data, and how a batch looks to the towers.
requests = data.requests(data.targets[:3], length=space.history_length)
for name, value in space.query_batch(requests).items():
    print(f"{name:16} {value if isinstance(value, sl.Ragged) else list(value.shape)}")

# Each feature has an encoder; all of them are plain torch modules.
kinds = (IndexEncoder, BagEncoder, DenseEncoder, HistoryEncoder)
for tower in (model.query, model.candidate):
    for feature, encoder in zip(tower.features, tower.encoders.values(), strict=True):
        assert isinstance(encoder, kinds)
        print(f"{feature.name:16} {type(encoder).__name__}")
print("row 0 of an embedding is the unknown:", Embedding(3, 2).weight[0].tolist())
