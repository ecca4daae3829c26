"""A ranker that learns likes and stars at once, from a table with two columns of labels; in a funnel."""

from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import torch

import shortlist as sl
from shortlist import metrics
from shortlist.evaluation import evaluate_ranker
from shortlist.models import Objectives, predict_objectives, score_events
from shortlist.nn import PLE, MMoE

# Everybody gave stars; who also pressed "like" is known of some events only. A missing label is no label.
films = sl.datasets.synthetic(users=200, items=200, events=6_000)
table = films.interactions.with_columns(
    stars=pl.col("item_id").hash(seed=1) % 3 + 2 + pl.col("user_id").hash(seed=2) % 2,
    like=pl.when(pl.int_range(pl.len()) % 3 > 0).then(pl.col("item_id").hash(seed=1) % 3 == 2),
)
data = sl.Dataset(table, films.schema, users=films.users, items=films.items)
train, test = data.split_random(0.2)

for sharing, balance in {"shared_bottom": None, "mmoe": "uncertainty", "ple": "pcgrad"}.items():
    objectives = Objectives(
        {"like": "click", "stars": "rating"},
        sharing=sharing,
        experts=2,
        balance=balance,
        score={"like": 1.0, "stars": 0.2},  # what the funnel orders by
    )
    ranker = sl.Ranker(
        [sl.Id("user_id")], [sl.Id("item_id"), sl.Tags("genres")], hidden=(32,), objectives=objectives
    )
    ranker.fit(train, epochs=4, batch_size=128)
    predicted, truth = predict_objectives(ranker, test), objectives.labels(test)
    known = ~truth[:, 0].isnan()
    area = metrics.auc(predicted["like"][known], truth[known, 0])
    error = (predicted["stars"] - truth[:, 1]).square().mean().sqrt()
    print(f"{sharing:13} {balance!s:11} AUC of likes {area:.3f}  RMSE of stars {error:.3f}")

print("scores:", score_events(ranker, test)[:4])
funnel = sl.Funnel(retrieve=[sl.retrieve.Popular(k=100)], rank=sl.rank.Scored(ranker), data=train)
funnel.save(Path(mkdtemp()) / "bundle")
print(funnel.recommend("u042", k=3).frame.select("rank", "title", "score"))
for label, figures in evaluate_ranker(funnel, test).items():
    print(label, {name: round(value, 3) for name, value in figures.items()})

# The layers by themselves, for a model of your own; the gates tell which expert serves which task.
inputs = torch.randn(5, 8)
experts = MMoE(8, (16,), tasks=2, experts=3)
print(experts(inputs).shape, experts.gate_weights(inputs)[0])
print(PLE(8, (16,), tasks=2)(inputs).shape)
