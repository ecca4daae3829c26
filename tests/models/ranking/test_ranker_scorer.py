"""A ranker that was made ready gives the scores of its layers, and knows when it is out of date."""

from __future__ import annotations

import copy
from typing import Any

import polars as pl
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted import CANDIDATE, ITEMS, QUERY, parts
from torch import Tensor, nn

from shortlist.data import History, Tags
from shortlist.data.candidates import Candidates
from shortlist.data.feature_space import Batch
from shortlist.data.growth import with_items
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.models import Ranker
from shortlist.models.ranking.list_loader import list_batch
from shortlist.models.ranking.ranker_scorer import Scorer
from shortlist.nn import MLP, Cross

SEEN = History("item_id", name="seen", length=9, pooling="target")
SETTINGS: dict[str, dict[str, Any]] = {
    "every feature": {"query": QUERY, "candidate": CANDIDATE, "scores": ("score_a", "score_b")},
    "a history in the light of each candidate": {
        "query": (*QUERY[:2], SEEN, *QUERY[2:]),
        "candidate": CANDIDATE,
        "scores": ("score_a",),
    },
    "that alone": {"query": (SEEN,)},
    "items alone": {"candidate": CANDIDATE},
    "users alone": {"query": QUERY},
    "scores alone": {"scores": ("score_b",)},
    "no crosses": {"candidate": CANDIDATE, "scores": ("score_a",), "cross_layers": 0, "hidden": (40, 9)},
    "no layers": {"query": QUERY, "candidate": CANDIDATE, "cross_layers": 0, "hidden": ()},
}


def untrained(**settings: Any) -> Ranker:
    """A ranker with weights as they are drawn, which makes for scores that differ."""
    ranker = Ranker(**settings)
    ranker.build(parts()[0], seed=1)
    return ranker.eval()


def asked(lengths: list[int], *, seed: int = 0) -> tuple[Requests, Candidates]:
    draw = torch.Generator().manual_seed(seed)
    people = torch.randint(0, len(parts()[0].people), (len(lengths),), generator=draw)
    items = torch.randint(1, ITEMS + 1, (sum(lengths),), generator=draw)
    a, b = torch.randn(2, len(items), generator=draw)
    candidates = Candidates(
        Ragged.from_lengths(items, torch.tensor(lengths)),
        a,
        torch.ones_like(items),
        {"score_a": a, "score_b": b},
    )
    return parts()[0].requests_of(people), candidates


@torch.inference_mode()
def plain(ranker: Ranker, requests: Requests, candidates: Candidates) -> Tensor:
    """The scores by the layers themselves."""
    return ranker(list_batch(requests, candidates, ranker.fitted_space(), ranker.scores))


@pytest.mark.usefixtures("instructions")
@pytest.mark.parametrize("table_bytes", [1 << 28, 0], ids=["table", "no table"])
@pytest.mark.parametrize("name", SETTINGS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.sampled_from([0, 1, 3, 32, 70]), min_size=1, max_size=4), seed=st.integers(0, 99))
def test_the_scores_are_those_of_the_layers(
    name: str, table_bytes: int, lengths: list[int], seed: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shortlist.models.ranking.ranker_scorer.TABLE_BYTES", table_bytes)
        ranker = untrained(**SETTINGS[name])
        scorer = Scorer.of(ranker)
        assert scorer is not None
        assert (scorer.table is None) == (table_bytes == 0 and "candidate" in SETTINGS[name])
        requests, candidates = asked(lengths, seed=seed)
        with torch.inference_mode():
            found = scorer.score(requests, candidates)
        torch.testing.assert_close(found, plain(ranker, requests, candidates), rtol=1e-5, atol=1e-5)
        assert torch.equal(ranker.score_candidates(requests, candidates), found)


def test_crosses_of_low_rank_and_with_a_scaled_diagonal_are_the_same_too() -> None:
    ranker = untrained(candidate=CANDIDATE, scores=("score_a",))
    width = ranker.network.deep.in_features
    ranker.network.crosses = nn.ModuleList(
        [Cross(width, projection_dim=5, bias=False), Cross(width, diag_scale=0.3)]
    )
    assert Scorer.of(ranker) is not None
    requests, candidates = asked([50, 3])
    found = ranker.score_candidates(requests, candidates)
    torch.testing.assert_close(found, plain(ranker, requests, candidates), rtol=1e-5, atol=1e-5)


def test_other_weights_give_other_scores_at_once() -> None:
    ranker, (requests, candidates) = untrained(candidate=CANDIDATE), asked([20])

    def check() -> None:
        found = ranker.score_candidates(requests, candidates)
        torch.testing.assert_close(found, plain(ranker, requests, candidates), rtol=1e-5, atol=1e-5)

    check()
    with torch.no_grad():
        ranker.fields.candidate[0].embedding.weight.mul_(3)
    check()
    ranker.load_state_dict({name: -weight for name, weight in ranker.state_dict().items()})
    check()
    ranker.network.deep = MLP(ranker.network.deep.in_features, (5, 1)).eval()
    check()
    ranker.build(parts()[0], seed=2)
    check()


def test_what_is_not_asked_for_anew_is_made_once() -> None:
    ranker, (requests, candidates) = untrained(candidate=CANDIDATE), asked([20])
    ranker.score_candidates(requests, candidates)
    first = ranker._scorer
    ranker.score_candidates(requests, candidates)
    assert first is not None
    assert ranker._scorer is first


class Doubled(Ranker):
    """Gives twice the logits."""

    def forward(self, batch: Batch) -> Tensor:
        """Twice what a ranker gives."""
        return 2 * super().forward(batch)


def change_activation(ranker: Ranker) -> None:
    ranker.network.deep = MLP(ranker.network.deep.in_features, (8, 1), activation="gelu").eval()


def change_norms(ranker: Ranker) -> None:
    ranker.network.deep = MLP(ranker.network.deep.in_features, (8, 1), layer_norm=True).eval()


def change_end(ranker: Ranker) -> None:
    ranker.network.deep = MLP(ranker.network.deep.in_features, (8, 1), final_activation="sigmoid").eval()


def change_form(ranker: Ranker) -> None:
    ranker.network.crosses = nn.ModuleList([Cross(ranker.network.deep.in_features, form="vector")])


def change_preactivation(ranker: Ranker) -> None:
    ranker.network.crosses = nn.ModuleList([Cross(ranker.network.deep.in_features, preactivation="relu")])


@pytest.mark.parametrize(
    "change", [change_activation, change_norms, change_end, change_form, change_preactivation]
)
def test_layers_that_the_kernels_do_not_know_are_run_as_they_are(change: Any) -> None:
    ranker, (requests, candidates) = untrained(candidate=CANDIDATE), asked([20])
    change(ranker)
    assert Scorer.of(ranker) is None
    assert torch.equal(ranker.score_candidates(requests, candidates), plain(ranker, requests, candidates))


def test_a_forward_of_ones_own_is_run_as_it_is() -> None:
    ranker = Doubled(candidate=CANDIDATE)
    ranker.build(parts()[0], seed=1)
    ranker.eval()
    requests, candidates = asked([20])
    assert torch.equal(ranker.score_candidates(requests, candidates), plain(ranker, requests, candidates))


def test_double_precision_stays_double() -> None:
    assert Scorer.of(untrained(candidate=[Tags("colours")]).double()) is None


def test_a_copy_goes_its_own_way() -> None:
    ranker, (requests, candidates) = untrained(query=QUERY, candidate=CANDIDATE), asked([20])
    before = ranker.score_candidates(requests, candidates)
    other = copy.deepcopy(ranker)
    with torch.no_grad():
        other.network.deep.linears[-1].weight.mul_(2)
        other.network.deep.linears[-1].bias.mul_(2)
    torch.testing.assert_close(other.score_candidates(requests, candidates), 2 * before)
    assert torch.equal(ranker.score_candidates(requests, candidates), before)


@pytest.mark.parametrize("table_bytes", [1 << 28, 0], ids=["table", "no table"])
def test_new_items_are_scored_at_once(table_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shortlist.models.ranking.ranker_scorer.TABLE_BYTES", table_bytes)
    ranker, (requests, candidates) = untrained(query=QUERY, candidate=CANDIDATE), asked([20])
    before = ranker.score_candidates(requests, candidates)
    items = pl.DataFrame({"item_id": ["i900", "i003", "i901"], "group": ["red", "blue", None]})
    data, rows = with_items(parts()[0], items)
    grown = ranker.with_items(data, rows)
    asked_for = Candidates.from_padded(rows[None], torch.zeros(1, 3))
    found = grown.score_candidates(requests, asked_for)
    assert grown._scorer is not None
    torch.testing.assert_close(found, plain(grown, requests, asked_for), rtol=1e-5, atol=1e-5)
    assert torch.equal(ranker.score_candidates(requests, candidates), before)
