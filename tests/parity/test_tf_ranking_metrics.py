"""Every metric that TensorFlow Ranking 0.5.5 recorded, with its cut-offs and weights, against ours.

Theirs counts a list without relevant items as a metric of 0, ours leaves it out: the means are compared after
the share of such lists is made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ranking_goldens import GoldenLists, RankingGoldens, difference, load
from torch import Tensor

from shortlist.data.ragged import Ragged
from shortlist.metrics import ScoredLists, alpha_dcg, precision_ia

TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "identity": lambda labels: labels,
    "log1p": torch.log1p,
    "log1p(label)": torch.log1p,
    "1/rank": lambda ranks: 1 / ranks,
}
METHODS: dict[str, str] = {
    "NDCGMetric": "ndcg",
    "DCGMetric": "dcg",
    "MRRMetric": "reciprocal_rank",
    "HitsMetric": "hit_rate",
    "PrecisionMetric": "precision",
    "RecallMetric": "recall",
    "MeanAveragePrecisionMetric": "average_precision",
    "ARPMetric": "average_relevance_position",
    "OPAMetric": "ordered_pair_accuracy",
    "BPrefMetric": "bpref",
    "PWAMetric": "position_weighted_average",
}
DIVERSE = {"AlphaDCGMetric": alpha_dcg, "PrecisionIAMetric": precision_ia}
GAINS = ("NDCGMetric", "DCGMetric")


@pytest.fixture(scope="module")
def goldens(goldens_dir: Path) -> RankingGoldens:
    return load(goldens_dir)


@pytest.mark.parametrize("cls", sorted([*METHODS, *DIVERSE]))
def test_every_recording_of_a_metric_is_matched(cls: str, goldens: RankingGoldens) -> None:
    checked, wrong = 0, []
    for name, entry in goldens.of("metric", cls):
        worst = compare(goldens, name, entry, cls)
        checked += 1
        if worst > 1:
            wrong.append(f"{name}: {worst:.3g}")
    assert checked
    assert not wrong, "\n".join(wrong)


def compare(goldens: RankingGoldens, name: str, entry: dict[str, Any], cls: str) -> float:
    lists = GoldenLists(goldens, entry)
    item_weights = item_weights_of(lists)
    found = run(lists, entry, cls, item_weights)
    weights = list_weights(lists, entry, cls, item_weights)
    if cls in ("DCGMetric", "AlphaDCGMetric"):
        found = found / weights  # theirs divides by the list's weight
    theirs, kind = goldens.arrays[name].double(), name.rsplit("/", 1)[1]
    defined = ~found.isnan()
    if kind == "per_list_w":
        return difference(weights[defined], theirs.reshape(-1)[defined])
    if kind == "per_list":
        return difference(found[defined], theirs.reshape(-1)[defined])
    mean = (found[defined] * weights[defined]).sum() / weights[defined].sum()
    if cls not in ("ARPMetric", "OPAMetric"):
        mean = mean * defined.sum() / len(lists.lengths)
    return difference(mean, theirs.reshape(()))


def run(lists: GoldenLists, entry: dict[str, Any], cls: str, item_weights: Tensor) -> Tensor:
    options = {key: value for key, value in entry["kwargs"].items() if key not in ("topn", "seed")}
    if cls not in ("ARPMetric", "OPAMetric"):
        options["k"] = entry["kwargs"].get("topn")
    for theirs, ours in (("gain_fn", "gain"), ("rank_discount_fn", "discount"), ("use_trec_version", "trec")):
        if theirs in options:
            value = options.pop(theirs)
            options[ours] = TRANSFORMS[value] if isinstance(value, str) else value
    scores = lists.ragged(lists.flat("scores"))
    if cls in DIVERSE:
        return DIVERSE[cls](scores, lists.labels.clamp(min=0), item_weights=item_weights, **options)
    return getattr(ScoredLists(scores, lists.labels, item_weights=item_weights), METHODS[cls])(**options)


def item_weights_of(lists: GoldenLists) -> Tensor:
    weights = lists.weights()
    if "list_weights" in weights:
        return weights["list_weights"].repeat_interleave(lists.lengths).double()
    return weights.get("item_weights", torch.ones(len(lists.labels))).double()


def list_weights(lists: GoldenLists, entry: dict[str, Any], cls: str, item_weights: Tensor) -> Tensor:
    labels = lists.labels.double()
    if cls == "OPAMetric":
        parts = (part.split(lists.lengths.tolist()) for part in (labels, item_weights))
        return torch.stack([((y[:, None] > y) * w[:, None]).sum() for y, w in zip(*parts, strict=True)])
    if cls == "PWAMetric":
        return sums(lists, item_weights) / lists.lengths
    if cls == "ARPMetric":
        return sums(lists, item_weights * labels)
    if cls in DIVERSE:
        relevance = (labels >= 1).any(dim=1).double()
    elif cls in GAINS:
        gain = entry["kwargs"].get("gain_fn")
        relevance = torch.exp2(labels) - 1 if gain is None else TRANSFORMS[gain](labels)
    else:
        relevance = (labels >= 1).double()
    return sums(lists, item_weights * relevance) / sums(lists, relevance)


def sums(lists: GoldenLists, values: Tensor) -> Tensor:
    rows = lists.ragged(values).row_ids()
    return torch.zeros(len(lists.lengths), dtype=torch.float64).index_add_(0, rows, values.double())


def test_no_recording_of_a_metric_is_left_out(goldens: RankingGoldens) -> None:
    recorded = {name.split("/")[1] for name in goldens.entries if name.startswith("metric/")}
    assert recorded == {*METHODS, *DIVERSE}


def test_high_labels_have_an_ndcg() -> None:
    lists = Ragged.from_lengths(torch.tensor([3.0, 2.0, 1.0]), torch.tensor([3]))
    assert ScoredLists(lists, torch.tensor([999.0, 5.0, 0.0])).ndcg().item() == pytest.approx(1)
