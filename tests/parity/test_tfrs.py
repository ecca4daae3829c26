"""Every recorded output of TensorFlow Recommenders 0.7.7, against ours.

The recordings hold sums of losses where ours are means, so ours are multiplied back by the weights' sum.
Differences that are on purpose stand at the end, each with the right answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import _shared_folder
from torch import Tensor
from torch.nn import functional

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError
from shortlist.losses import (
    MASKED_SCORE,
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    in_batch_scores,
    squared_error,
)
from shortlist.metrics import AUC, FactorizedTopK, InBatchTopK
from shortlist.nn.cross import Cross, CrossNetwork
from shortlist.nn.interaction import DotInteraction
from shortlist.tasks import Ranking, Retrieval
from shortlist.training.optimizers import Adagrad, ClippyAdagrad

RELATIVE = 1e-5
# Recorded arrays that the JSON does not describe; "#" marks the gradients of an entry.
UNDESCRIBED = (
    "retrieval/batch_metrics_top5_auc",
    "layer/RemoveAccidentalHits",
    "layer/SamplingProbablityCorrection",
    "layer/HardNegativeMining5_logits_sorted",
    "layer/HardNegativeMining5_positive",
    "topk/bf_scores",
    "topk/bf_ids",
    "topk/stream_scores",
    "topk/stream_ids",
    "topk/excl_scores",
    "topk/excl_ids",
    "dot/self=False,skip_gather=False",
    "dot/self=False,skip_gather=True",
    "dot/self=True,skip_gather=False",
    "dot/self=True,skip_gather=True",
)


class Goldens:
    def __init__(self, folder: Path) -> None:
        self.entries: dict[str, Any] = json.loads((folder / "golden_tfrs.json").read_text())["entries"]
        with np.load(folder / "golden_tfrs.npz") as arrays:
            self.arrays = {name: torch.from_numpy(arrays[name]) for name in arrays.files}

    def input(self, name: str) -> Tensor:
        return self.arrays[f"in/{name}"]

    def check(self, name: str, ours: Tensor) -> None:
        """Within 1e-5 of the largest number of the recorded array, the unit that float32 rounds in."""
        theirs = self.arrays[name]
        assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
        bound = RELATIVE * max(float(theirs.abs().max()), 1e-3)
        torch.testing.assert_close(ours.detach().to(theirs.dtype), theirs, rtol=RELATIVE, atol=bound)


@cache
def load(folder: Path) -> Goldens:
    return Goldens(folder)


@pytest.fixture(scope="module")
def goldens(goldens_dir: Path) -> Goldens:
    return load(goldens_dir)


def entry_names() -> list[str]:
    try:
        folder = _shared_folder("SHORTLIST_GOLDENS", "goldens")
    except pytest.skip.Exception:
        return []
    return list(load(folder).entries)


ENTRIES = entry_names()


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_of_the_recordings_is_matched(name: str, goldens: Goldens) -> None:
    CHECKS[name.split("/")[0]](goldens, name)


def test_no_recording_is_left_out(goldens: Goldens) -> None:
    assert set(ENTRIES) == set(goldens.entries)
    assert {name.split("/")[0] for name in ENTRIES} <= set(CHECKS)
    described = {name for name in goldens.arrays if name.split("#")[0] in goldens.entries}
    inputs = {name for name in goldens.arrays if name.startswith("in/")}
    assert set(goldens.arrays) == described | inputs | set(UNDESCRIBED)


# --- losses ----------------------------------------------------------------------------------------------


def check_retrieval(goldens: Goldens, name: str) -> None:
    entry = goldens.entries[name]
    queries = goldens.input("qh" if "multihead" in name else "q").clone().requires_grad_()
    extra = entry.get("candidates") == "extra"
    own = goldens.input("c").clone().requires_grad_()
    candidates = torch.cat([own, goldens.input("extra")]) if extra else own
    if extra:
        candidates = candidates.detach().requires_grad_()
    ids, probability = (goldens.input(f"{key}_x" if extra else key) for key in ("ids", "p"))
    settings = retrieval_settings(name, entry)
    asked = entry.get("call") if isinstance(entry.get("call"), dict) else {}
    weight = goldens.input("w") if asked.get("sample_weight") else None
    loss = Retrieval(**settings)(
        queries,
        candidates,
        candidate_ids=ids,
        sampling_probability=probability if asked.get("sampling_prob") else None,
        sample_weight=weight,
        score_mask=goldens.input("mask") if "mask" in name else None,
    )
    total = loss if name.endswith("loss=mean") else loss * (len(queries) if weight is None else weight.sum())
    goldens.check(name, total)
    gradients = torch.autograd.grad(total, (queries, candidates))
    for number, gradient in enumerate(gradients):
        goldens.check(f"{name}#grad{number}", gradient)


def retrieval_settings(name: str, entry: dict[str, Any]) -> dict[str, Any]:
    init = entry.get("init", {})
    asked = entry.get("call") if isinstance(entry.get("call"), dict) else {}
    settings = {
        "temperature": init.get("temperature") or 1.0,
        "num_hard_negatives": init.get("num_hard_negatives"),
        "remove_accidental_hits": init.get("remove_accidental_hits", False),
        "correct_sampling_bias": asked.get("sampling_prob", False),
    }
    if name == "retrieval/multihead_rah_T":
        settings |= {"temperature": 0.1, "remove_accidental_hits": True}
    settings["loss"] = {"smooth.1_sum": smoothed, "hinge_sum": hinge}.get(entry.get("loss"))
    return settings


def smoothed(scores: Tensor, labels: Tensor) -> Tensor:
    return functional.cross_entropy(scores, labels * 0.9 + 0.1 / scores.shape[1], reduction="none")


def hinge(scores: Tensor, labels: Tensor) -> Tensor:
    positive = (labels * scores).sum(dim=1)
    negative = ((1 - labels) * scores).amax(dim=1)
    return (negative - positive + 1).clamp(min=0)


def check_ranking(goldens: Goldens, name: str) -> None:
    labels, predictions = goldens.input("rank_y"), goldens.input("rank_p").clone().requires_grad_()
    losses = {
        "default_bce": binary_cross_entropy,
        "mse": squared_error,
        "bce_logits": binary_cross_entropy_with_logits,
    }
    weight = goldens.input("w") if name.endswith("sw=True") else None
    loss = Ranking(loss=losses[goldens.entries[name]["loss"]])(predictions, labels, sample_weight=weight)
    # Keras divides the weighted sum by the number of examples, not by the sum of their weights.
    mean = loss if weight is None else loss * weight.sum() / len(weight)
    goldens.check(name, mean)
    goldens.check(f"{name}#grad0", torch.autograd.grad(mean, predictions)[0])


# --- metrics ---------------------------------------------------------------------------------------------


def check_factorized_top_k(goldens: Goldens, name: str) -> None:
    corpus, rows = goldens.input("corpus"), goldens.input("true_ix")
    by_id = "byid=True" in name
    ids = goldens.input("corpus_ids") if by_id else torch.arange(1, len(corpus) + 1)
    metric = FactorizedTopK(corpus, ids, ks=goldens.entries[name]["ks"])
    weight = goldens.input("w") if name.endswith("sw=True") else None
    metric.update(goldens.input("q"), ids[rows], sample_weight=weight)
    figures = metric.compute()
    goldens.check(name, torch.tensor([figures[f"hit_rate@{k}"] for k in goldens.entries[name]["ks"]]))


def test_accuracy_in_the_batch_is_matched(goldens: Goldens) -> None:
    task = plain_task(batch_metrics=[InBatchTopK(ks=(5,)), KerasAUC()])
    task(goldens.input("q"), goldens.input("c"))
    top, area = (metric.compute() for metric in task.batch_metrics)
    goldens.check("retrieval/batch_metrics_top5_auc", torch.tensor([top["in_batch_hit_rate@5"], area["auc"]]))


class KerasAUC(AUC):
    """Keras sorts probabilities into 199 bins first; over those bins its area is exact."""

    def update(self, scores: Tensor, labels: Tensor, *, sample_weight: Tensor | None = None) -> None:
        bounds = torch.arange(1, 199, dtype=torch.float64) / 199
        bins = torch.bucketize(torch.sigmoid(scores).double(), bounds)
        super().update(bins.float(), labels, sample_weight=sample_weight)


# --- layers ----------------------------------------------------------------------------------------------


def check_cross(goldens: Goldens, name: str) -> None:
    options = dict(part.split("=") for part in name.removeprefix("cross/").split(","))
    low_rank, bias = options["pd"] != "None", options["bias"] == "True"
    layer = Cross(
        12,
        projection_dim=int(options["pd"]) if low_rank else None,
        diag_scale=float(options["diag"]),
        preactivation=None if options["act"] == "None" else options["act"],
        bias=bias,
    )
    # Keras keeps kernels as [in, out], PyTorch as [out, in].
    kernels = {"down.weight": "U", "kernel.weight": "V"} if low_rank else {"kernel.weight": "W"}
    state = {key: goldens.input(kernel).T for key, kernel in kernels.items()}
    layer.load_state_dict(state | ({"bias": goldens.input("b")} if bias else {}))
    second = goldens.input("x1") if options["two"] == "True" else None
    goldens.check(name, layer(goldens.input("x0"), second))


def check_cross_network(goldens: Goldens, name: str) -> None:
    entry = goldens.entries[name]
    network = CrossNetwork(12, entry["num_layers"], projection_dim=entry["projection_dim"])
    state = {}
    for layer in range(3):
        kernel, bias = goldens.input(f"mldcn_w{3 + 2 * layer}"), goldens.input(f"mldcn_w{4 + 2 * layer}")
        state[f"layers.{layer}.down.weight"] = goldens.input(f"mldcn_w{layer}").T
        state[f"layers.{layer}.kernel.weight"], state[f"layers.{layer}.bias"] = kernel.T, bias
    network.load_state_dict(state)
    goldens.check(name, network(goldens.input("x0")))


@pytest.mark.parametrize("skip_gather", [False, True])
@pytest.mark.parametrize("self_interaction", [False, True])
def test_the_dot_interaction_is_matched(self_interaction: bool, skip_gather: bool, goldens: Goldens) -> None:
    layer = DotInteraction(self_interaction=self_interaction, skip_gather=skip_gather)
    features = goldens.input("dot_feats")
    name = f"dot/self={self_interaction},skip_gather={skip_gather}"
    goldens.check(name, layer(features))
    goldens.check(name, layer(list(features.unbind(dim=1))))
    assert layer.out_features(5) == goldens.arrays[name].shape[1]


def test_accidental_hits_are_masked_as_by_their_layer(goldens: Goldens) -> None:
    queries, candidates, ids = (goldens.input(name) for name in ("q", "c", "ids"))
    scores, _ = in_batch_scores(queries, candidates, candidate_ids=ids)
    theirs = goldens.arrays["layer/RemoveAccidentalHits"]
    masked = theirs < -1e30
    torch.testing.assert_close(scores[~masked], theirs[~masked], rtol=RELATIVE, atol=1e-5)
    assert bool((scores[masked] == MASKED_SCORE).all())
    assert bool((scores[~masked] > -1e30).all())


def test_the_logq_correction_is_their_layers(goldens: Goldens) -> None:
    queries, candidates, probability = (goldens.input(name) for name in ("q", "c", "p"))
    scores, _ = in_batch_scores(queries, candidates, sampling_probability=probability)
    goldens.check("layer/SamplingProbablityCorrection", scores)


def test_hard_negatives_are_their_layers(goldens: Goldens) -> None:
    queries, candidates = goldens.input("q"), goldens.input("c")
    scores, targets = in_batch_scores(queries, candidates, num_hard_negatives=5)
    goldens.check("layer/HardNegativeMining5_logits_sorted", scores.sort(dim=1).values)
    goldens.check("layer/HardNegativeMining5_positive", scores.gather(1, targets[:, None])[:, 0])


# --- exact search ----------------------------------------------------------------------------------------


def test_the_metric_ranks_as_their_search_does(goldens: Goldens) -> None:
    corpus, ids, queries = (goldens.input(name) for name in ("corpus", "corpus_ids", "q"))
    for kind in ("bf", "stream"):
        found = goldens.arrays[f"topk/{kind}_ids"]
        scores = torch.einsum("qd,qkd->qk", queries, corpus[row_of(ids, found)])
        goldens.check(f"topk/{kind}_scores", scores)
        for place in range(found.shape[1]):
            assert mean_rank(corpus, ids, queries, found[:, place], None) == pytest.approx(place + 1)


def test_the_metric_leaves_out_what_their_search_leaves_out(goldens: Goldens) -> None:
    corpus, ids, queries = (goldens.input(name) for name in ("corpus", "corpus_ids", "q"))
    found, scores = goldens.arrays["topk/excl_ids"], goldens.arrays["topk/excl_scores"]
    exclusions = goldens.input("exclusions")
    exclude = Ragged.from_lengths(exclusions.reshape(-1), torch.full((len(queries),), exclusions.shape[1]))
    torch.testing.assert_close(torch.einsum("qd,qkd->qk", queries, corpus[row_of(ids, found)]), scores)
    for place in range(found.shape[1]):
        assert mean_rank(corpus, ids, queries, found[:, place], exclude) == pytest.approx(place + 1)


def row_of(ids: Tensor, wanted: Tensor) -> Tensor:
    order = ids.argsort()
    return order[torch.searchsorted(ids[order], wanted)]


def mean_rank(corpus: Tensor, ids: Tensor, queries: Tensor, true: Tensor, exclude: Ragged | None) -> float:
    # Harmonic, which is exact here because all ranks are equal.
    metric = FactorizedTopK(corpus, ids, ks=(1,))
    metric.update(queries, true, exclude=exclude)
    return 1 / metric.compute()["mrr"]


# --- optimizers ------------------------------------------------------------------------------------------


def check_optimizer(goldens: Goldens, name: str) -> None:
    _, kind, gradient = name.split("/")
    weight = torch.nn.Parameter(goldens.input("opt_w0").clone())
    optimizers: dict[str, Callable[[], torch.optim.Optimizer]] = {
        "adagrad_0.1": lambda: Adagrad([weight], lr=0.1),
        "adagrad_legacy_0.1": lambda: Adagrad([weight], lr=0.1),
        "clippy_default": lambda: ClippyAdagrad([weight], lr=0.1),
        "clippy_noref": lambda: ClippyAdagrad([weight], lr=0.1, use_standard_accumulator_update=True),
        "clippy_l.3": lambda: ClippyAdagrad(
            [weight], lr=0.1, variable_relative_threshold=0.3, accumulator_relative_threshold=0.3
        ),
    }
    optimizer = optimizers[kind]()
    steps = []
    for step in range(goldens.entries[name]["steps"]):
        if gradient == "dense":
            weight.grad = goldens.input("opt_g")[step].clone()
        else:
            rows, values = goldens.input("opt_sparse_ix")[step], goldens.input("opt_sparse_g")[step]
            weight.grad = torch.sparse_coo_tensor(rows[None], values, weight.shape, check_invariants=True)
        optimizer.step()
        steps.append(weight.detach().clone())
    goldens.check(name, torch.stack(steps))


CHECKS: dict[str, Callable[[Goldens, str], None]] = {
    "retrieval": check_retrieval,
    "ranking": check_ranking,
    "factk": check_factorized_top_k,
    "cross": check_cross,
    "mldcn": check_cross_network,
    "opt": check_optimizer,
}


# --- where theirs is wrong -------------------------------------------------------------------------------


def plain_task(**settings: Any) -> Retrieval:
    return Retrieval(temperature=1.0, correct_sampling_bias=False, remove_accidental_hits=False, **settings)


def test_no_hard_negatives_is_an_error_and_not_a_loss_of_zero() -> None:
    for count in (0, -1):
        with pytest.raises(ConfigError, match="num_hard_negatives"):
            Retrieval(num_hard_negatives=count)


def test_scores_that_all_tie_are_worth_k_of_n_and_not_one() -> None:
    metric = FactorizedTopK(torch.ones(201, 4), ks=(1, 10))
    metric.update(torch.ones(3, 4), torch.tensor([1, 100, 200]))
    figures = metric.compute()
    assert figures["hit_rate@1"] == pytest.approx(1 / 200)
    assert figures["hit_rate@10"] == pytest.approx(10 / 200)


def test_more_places_than_candidates_are_all_candidates() -> None:
    metric = FactorizedTopK(torch.randn(6, 4), ks=(5, 100))
    metric.update(torch.randn(8, 4), torch.arange(8) % 5 + 1)
    assert metric.compute()["hit_rate@5"] == metric.compute()["hit_rate@100"] == 1.0


def test_a_gap_of_a_million_between_scores_does_not_bring_an_excluded_item_back() -> None:
    metric = FactorizedTopK(torch.tensor([[0.0], [1e6], [0.5], [-1e6]]), ks=(1,))
    metric.update(torch.ones(1, 1), torch.tensor([2]), exclude=Ragged.from_lists([[1]]))
    assert metric.compute()["hit_rate@1"] == 1.0


def test_further_negatives_and_ids_go_together(goldens: Goldens) -> None:
    candidates = torch.cat([goldens.input("c"), goldens.input("extra")])
    task = plain_task(batch_metrics=[InBatchTopK(ks=(5,))])
    loss = task(goldens.input("q"), candidates, candidate_ids=goldens.input("ids_x"))
    assert bool(loss.isfinite())


def test_the_loss_does_not_grow_with_the_batch(goldens: Goldens) -> None:
    queries, candidates = goldens.input("q"), goldens.input("c")
    once = plain_task(num_hard_negatives=5)(queries, candidates)
    weight = torch.full((len(queries),), 7.0)
    assert plain_task(num_hard_negatives=5)(queries, candidates, sample_weight=weight) == pytest.approx(
        float(once), rel=1e-6
    )
