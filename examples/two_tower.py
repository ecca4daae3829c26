"""Retrieval with two towers: train, evaluate beside popularity, recommend."""

import polars as pl

import shortlist as sl

data = sl.datasets.synthetic(users=300, items=400, events=15_000)
train, test = data.split_leave_last_out()

retriever = sl.TwoTower(
    query=sl.Tower([sl.Id("user_id"), sl.History("item_id", length=50)], dim=32),
    candidate=sl.Tower([sl.Id("item_id"), sl.Text("title"), sl.Tags("genres")], dim=32),
    # These are the defaults, but for the temperature.
    task=sl.tasks.Retrieval(temperature=0.1, correct_sampling_bias=True, remove_accidental_hits=True),
)
history = retriever.fit(train, epochs=3, batch_size=256)
print("loss:", [round(row["loss"], 3) for row in history.epochs])

# Every test event among the whole catalogue, seen items excluded, and popularity beside it.
print(retriever.evaluate(test, metrics=[sl.metrics.FactorizedTopK(ks=(10, 100))]))

# Outside ids in, outside ids out; a filter is part of the search, so five come back when five exist.
recent = retriever.recommend(["u001", "u002"], k=5, where=pl.col("year") >= 2021)
print(recent.frame.select("user_id", "rank", "title", "score"))
print("somebody new:", retriever.recommend("nobody", k=3).items)
