"""Target attention: a history weighed for each candidate, in the layer and in a ranker."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import shortlist as sl
from shortlist.errors import ConfigError, ShapeError
from shortlist.models import Ranker, load_model, save_model
from shortlist.nn import TargetAttention
from shortlist.nn.target_attention import TargetHistoryEncoder

DIM = 3


def slow_pool(layer: TargetAttention, events: torch.Tensor, candidate: torch.Tensor) -> torch.Tensor:
    """One candidate and its history: the network over (event, candidate, product) weighs each event."""
    first = torch.cat([layer.of_event.weight, layer.of_candidate.weight, layer.of_product.weight], dim=1)
    total = torch.zeros(DIM, dtype=events.dtype)
    for event in events:
        inner = first @ torch.cat([event, candidate, event * candidate]) + layer.of_event.bias
        inner = torch.where(inner > 0, inner, layer.activation.weight * inner)
        total += (layer.weight.weight[0] @ inner + layer.weight.bias[0]) * event
    return total


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=5),
    st.lists(st.integers(0, 4), min_size=1, max_size=8),
    st.integers(0, 3),
)
@settings(max_examples=40, deadline=None)
def test_each_candidate_weighs_the_history_of_its_own_request(lengths, rows, seed):
    torch.manual_seed(seed)
    layer = TargetAttention(DIM, hidden=5).double()
    events = sl.Ragged.from_lengths(torch.randn(sum(lengths), DIM).double(), torch.tensor(lengths))
    chosen = torch.tensor([row % len(lengths) for row in rows])
    candidates = torch.randn(len(rows), DIM).double()
    found = layer(events, candidates, chosen)
    for i, row in enumerate(chosen.tolist()):
        torch.testing.assert_close(found[i], slow_pool(layer, events[row], candidates[i]))


def test_unknown_events_and_hidden_events_count_nothing():
    encoder = TargetHistoryEncoder(6, DIM).eval()
    rows, candidates = torch.tensor([0]), torch.tensor([3])
    with_unknown = encoder(sl.Ragged.from_lists([[0, 2, 0, 5]]), candidates, rows)
    torch.testing.assert_close(with_unknown, encoder(sl.Ragged.from_lists([[2, 5]]), candidates, rows))
    hidden = TargetHistoryEncoder(6, DIM, dropout=0.999)
    assert hidden(sl.Ragged.from_lists([[2, 5]]), candidates, rows).abs().sum() == 0


def test_rows_and_candidates_must_be_as_many():
    with pytest.raises(ShapeError, match="2 candidates, but rows is"):
        TargetAttention(DIM)(sl.Ragged.from_lists([[1]]), torch.zeros(2, DIM), torch.tensor([0]))


def test_a_tower_refuses_it_since_it_knows_no_candidate():
    with pytest.raises(ConfigError, match=r"before any candidate is known.*pooling=.attention."):
        sl.Tower([sl.History("item_id", pooling="target")])


def mirrored() -> sl.Dataset:
    """Whether a user clicks an item depends on nothing but whether its twin is in the history."""
    generator = torch.Generator().manual_seed(0)
    rows = []
    for user in range(150):
        taken = torch.randperm(10, generator=generator)[:4].tolist()
        rows += [(user, item, time, 1.0) for time, item in enumerate(taken)]
        for item in range(10):
            rows.append((user, 10 + item, 100, float(item in taken)))
    frame = pl.DataFrame(rows, schema=["user_id", "item_id", "time", "click"], orient="row")
    frame = frame.with_columns(
        event=pl.when(pl.col("time") < 100).then(pl.lit("seen")).otherwise(pl.lit("asked"))
    )
    events = {"seen": sl.EventType(label=False), "asked": sl.EventType(history=False)}
    return sl.Dataset(frame, sl.Schema(timestamp="time", label="click", event="event", events=events))


def fitted(pooling: str) -> Ranker:
    ranker = Ranker(
        [sl.History("item_id", length=10, pooling=pooling, dropout=0.0)],  # type: ignore[arg-type]
        [sl.Id("item_id")],
        loss="click",
        dim=8,
        cross_layers=0,
        hidden=(),
        dropout=0.0,
    )
    ranker.fit(mirrored(), epochs=25, batch_size=64, learning_rate=0.02)
    return ranker


def test_a_ranker_learns_what_only_the_candidate_and_the_history_together_tell():
    data = mirrored()
    losses = {pooling: fitted(pooling).validate(data)["validation_loss"] for pooling in ("target", "mean")}
    assert losses["target"] < 0.15
    assert losses["mean"] > 0.5  # without crosses, nothing joins a mean and a candidate


def test_a_ranker_of_lists_scores_each_candidate_and_comes_back_from_disk(tmp_path: Path):
    data = sl.datasets.synthetic(users=60, items=100, events=1200)
    earlier, recent = data.split_leave_last_out(count=2)
    retrievers = [sl.retrieve.Popular(k=30)]
    ranker = Ranker([sl.History("item_id", length=10, pooling="target")], scores=["score_popular"], dim=8)
    sl.rank.fit(ranker, retrievers, recent, epochs=1)
    save_model(ranker, tmp_path / "ranker")
    loaded = load_model(tmp_path / "ranker", earlier)
    assert isinstance(loaded, Ranker)
    lists = sl.rank.ranking_lists(retrievers, recent)
    ours, theirs = (each.score_candidates(lists.requests, lists.candidates) for each in (ranker, loaded))
    assert torch.equal(ours, theirs)
