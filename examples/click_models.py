"""Click models: one ranker with each body, decay of the tables alone, and optimizers of their own."""

import polars as pl
import torch

import shortlist as sl
from shortlist.nn import bodies
from shortlist.training import Adagrad, CompositeOptimizer

# A rating of 4 or 5 counts as a click, a lower one as none.
rated = sl.datasets.synthetic(users=200, items=200, events=6_000)
events = rated.interactions.with_columns(clicked=(pl.col("rating") >= 4).cast(pl.Float64)).drop("rating")
clicks = sl.Dataset(
    events, sl.Schema(timestamp="timestamp", label="clicked"), users=rated.users, items=rated.items
)
train, test = clicks.split_random(0.2)

query = [sl.Id("user_id"), sl.Category("gender"), sl.Number("age"), sl.Timestamp("timestamp")]
candidate = [sl.Id("item_id"), sl.Tags("genres")]
every = [
    bodies.LR(),
    bodies.FM(),
    bodies.WideDeep(hidden=(32,)),
    bodies.DeepFM(hidden=(32,)),
    bodies.DCN(hidden=(32,), structure="parallel"),
    bodies.DCN(hidden=(32,), projection_dim=8, num_experts=2),
    bodies.XDeepFM(maps=(8, 8), hidden=(32,)),
    bodies.AutoInt(layers=1),
    bodies.FinalMLP(hidden_query=(32,), hidden_candidate=(32,)),
    bodies.MaskNet(hidden=(32,)),
]
for body in every:
    ranker = sl.Ranker(query, candidate, body=body, dim=8, embedding_scale=0.01, loss="click")
    ranker.fit(train, epochs=2, batch_size=256)
    print(f"{type(body).__name__:9} AUC {ranker.validate(test)['auc']:.3f}")

# DIN weighs the events of the history anew for every candidate.
history = sl.History("item_id", length=20, pooling="target")
ranker = sl.Ranker([history], candidate, body=bodies.DIN(hidden=(32,)), dim=8, loss="click")
ranker.fit(train, epochs=2, batch_size=256)
print(f"DIN       AUC {ranker.validate(test)['auc']:.3f}")

# What regularises click models most is weight decay on the tables alone.
ranker = sl.Ranker(query, candidate, body=bodies.DeepFM(batch_norm=True), dim=8, loss="click")
fitted = ranker.fit(train, epochs=4, embedding_decay=1e-4, schedule="cosine", validation=test, monitor="auc")
print("the best epoch was", fitted.best_epoch)

# Tables and layers can have optimizers of their own.
ranker = sl.Ranker(query, candidate, body=bodies.DeepFM(batch_norm=True), dim=8, loss="click")
ranker.build(train)
tables = [*ranker.fields.parameters(), *ranker.first_order.parameters()]
optimizer = CompositeOptimizer(
    [Adagrad(tables, lr=0.05), torch.optim.Adam(ranker.network.parameters(), lr=3e-3)],
    cover=ranker.parameters(),
)
ranker.fit(train, epochs=2, optimizer=optimizer, learning_rate=None)
print(f"AUC {ranker.validate(test)['auc']:.3f}")

# A body is a value: what the bundle's JSON and shortlist.toml hold.
print(bodies.body_from_dict(ranker.body.to_dict()) == ranker.body)
