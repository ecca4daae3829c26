"""From MovieLens-100K's file to a calibrated, explained ranker: what docs/tutorials/ranking.md walks through.

`python examples/ranking_movielens.py docs/tutorials` draws the tutorial's pictures anew.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import polars as pl
import torch

import shortlist as sl
from shortlist import calibration, metrics
from shortlist.models import score_events


def bars(values: dict[str, float], title: str) -> str:
    """Horizontal bars as SVG."""
    longest, height = max(*values.values(), 1e-9), 24 * len(values) + 48
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="520" height="{height}" viewBox="0 0 520 {height}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="520" height="{height}" fill="white"/><text x="12" y="22">{title}</text>',
    ]
    for place, (name, value) in enumerate(values.items()):
        y, width = 40 + 24 * place, 300 * max(value, 0) / longest
        parts.append(f'<text x="132" y="{y + 13}" text-anchor="end">{name}</text>')
        parts.append(f'<rect x="140" y="{y}" width="{width:.1f}" height="18" fill="#4c72b0"/>')
        parts.append(f'<text x="{146 + width:.1f}" y="{y + 13}">{value:.4f}</text>')
    return "\n".join([*parts, "</svg>\n"])


def lines(series: dict[str, list[float]], title: str) -> str:
    """Lines over the epochs as SVG."""
    every = [value for values in series.values() for value in values]
    low, high, longest = min(every), max(every), max(map(len, series.values()))
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" width="520" height="280" viewBox="0 0 520 280" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="520" height="280" fill="white"/><text x="12" y="22">{title}</text>',
        '<path d="M60 40 V240 H500" fill="none" stroke="#888"/>',
        f'<text x="52" y="44" text-anchor="end">{high:.3f}</text>',
        f'<text x="52" y="244" text-anchor="end">{low:.3f}</text>',
        '<text x="280" y="268" text-anchor="middle">epoch</text>',
    ]
    for place, (name, values) in enumerate(series.items()):
        colour = ("#4c72b0", "#c44e52")[place % 2]
        points = [
            (60 + 440 * number / max(longest - 1, 1), 240 - 200 * (value - low) / max(high - low, 1e-9))
            for number, value in enumerate(values)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="360" y="{60 + 18 * place}" fill="{colour}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(mkdtemp())

# The file: 100,000 ratings. A film that was given four stars or five was liked.
films = sl.datasets.movielens("100k")
table = films.interactions.with_columns(liked=(pl.col("rating") >= 4).cast(pl.Float32)).drop("rating")
schema = sl.Schema(timestamp="timestamp", label="liked")
data = sl.Dataset(table, schema, users=films.users, items=films.items, name="ml-100k likes")

# Three parts: to learn from, to decide and calibrate on, to judge by.
rest, test = data.split_random(0.1, seed=0)
train, held_out = rest.split_random(0.1, seed=0)
print(train, held_out, test, sep="\n")

ranker = sl.Ranker(
    [sl.Id("user_id"), sl.Number("age", buckets=8), sl.Category("gender"), sl.Category("occupation")],
    [sl.Id("item_id"), sl.Tags("genres"), sl.Number("year", buckets=10)],
    dim=8,
    loss="click",
)
history = ranker.fit(
    train, epochs=8, batch_size=1024, validation=held_out, monitor="validation_loss", patience=2
)
curves = {
    "training": [row["loss"] for row in history.epochs],
    "held out": [row["validation_loss"] for row in history.epochs],
}
(folder / "ranking-loss.svg").write_text(lines(curves, "log loss"))


def figures(scores: torch.Tensor, probabilities: torch.Tensor) -> str:
    """AUC overall and within users, and the log loss, on the test part."""
    loss = metrics.LogLoss()
    loss.update(probabilities, labels)
    within = metrics.grouped_auc(scores, labels, torch.from_numpy(test.person_index))
    return (
        f"AUC {metrics.auc(scores, labels):.4f}  within users {within:.4f}"
        f"  log loss {loss.compute()['log_loss']:.4f}"
    )


# The baseline: how often each film was liked, with two likes and two dislikes more.
labels = torch.from_numpy(test.labels)
liked = torch.zeros(len(rest.item_vocabulary)).index_add_(
    0, torch.from_numpy(rest.item_index), torch.from_numpy(rest.labels)
)
shown = torch.bincount(torch.from_numpy(rest.item_index), minlength=len(liked))
share = ((liked + 2) / (shown + 4))[torch.from_numpy(test.item_index)]
print("film's share of likes ", figures(share, share))

# The ranker, then its scores as true probabilities.
scores = score_events(ranker, test)
print("ranker                ", figures(scores, torch.sigmoid(scores)))
known = torch.from_numpy(held_out.labels)
chances = calibration.Spline().fit(score_events(ranker, held_out), known)
print("ranker, calibrated    ", figures(scores, chances(scores)))
diagrams = {
    "as trained": calibration.reliability(torch.sigmoid(scores), labels, bins=12),
    "calibrated": calibration.reliability(chances(scores), labels, bins=12),
}
(folder / "ranking-reliability.svg").write_text(calibration.reliability_diagram(diagrams))

# What it looks at: how much the AUC falls when a feature's values are dealt out among the events anew.
space = ranker.bound_to(test).fitted_space()
requests = test.requests(torch.arange(len(test)), length=space.history_length)
batch = {**space.query_batch(requests), **space.candidate_batch(torch.from_numpy(test.item_index))}
places = torch.randperm(len(test), generator=torch.Generator().manual_seed(0))
whole, falls = metrics.auc(scores, labels), {}
for name, column in batch.items():
    dealt = column.take(places) if isinstance(column, sl.Ragged) else column[places]
    with torch.inference_mode():
        falls[name] = whole - metrics.auc(ranker({**batch, name: dealt}), labels)
falls = dict(sorted(falls.items(), key=lambda pair: -pair[1]))
print("AUC lost without", {name: round(fall, 4) for name, fall in falls.items()})
(folder / "ranking-features.svg").write_text(bars(falls, "AUC lost when a feature is dealt out anew"))

# In a funnel: the most popular films, in the order of the chance that this user likes them.
funnel = sl.Funnel(
    retrieve=[sl.retrieve.Popular(k=200)],
    rank=sl.rank.Scored(ranker, calibration=chances),
    data=rest,
)
stages = funnel.explain(42, k=5).stages
print(stages["final"].select("title", "score", "score_popular", "score_ranker"))
funnel.save(Path(mkdtemp()) / "bundle")
