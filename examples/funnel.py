"""The whole funnel: retrievers merged, ranked, post-ranked, explained, reported and saved."""

import tempfile
from pathlib import Path

import polars as pl

import shortlist as sl
from shortlist.funnel import Explanation, Trace, load_bundle, save_bundle

data = sl.datasets.synthetic(users=300, items=400, events=15_000)
train, test = data.split_leave_last_out()

# Two ways to find candidates; `explain` and the ranker see which of them found what.
towers = sl.TwoTower(
    sl.Tower([sl.Id("user_id"), sl.History("item_id")], dim=32),
    sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=32),
)
towers.fit(train, epochs=3, batch_size=256)
funnel = sl.Funnel(
    retrieve=[sl.retrieve.Nearest(towers, k=100), sl.retrieve.Popular(k=50, half_life="90d")],
    postrank=[sl.postrank.Diversity(0.2), sl.postrank.Cap("genres", 3)],
    size=6,
)
answer = funnel.recommend("u042")
print(answer.frame.select("rank", "title", "score", "why"))
print("recent ones:", funnel.recommend("u042", k=3, where=pl.col("year") >= 2022).items)

# The list after every stage, with the scores so far.
explanation: Explanation = funnel.explain("u042")
print(explanation)
print(explanation.stages["retrieve"].head(3))

# The same for many requests at once, in index space.
trace: Trace = funnel.run(test.requests(test.targets))
print({name: float(found.lengths.float().mean()) for name, found in trace.stages})

# Which stage loses what the users wanted.
print(sl.evaluation.funnel_report(funnel, test))

# A bundle is one folder, whole or absent, and answers with the same bits.
path = Path(tempfile.mkdtemp()) / "bundle"
save_bundle(funnel, path, metrics=dict(towers.evaluate(test)))
again = load_bundle(path)
print(sorted(file.name for file in path.iterdir()), again.recommend("u042").items == answer.items)
