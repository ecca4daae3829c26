"""Where a funnel loses what users wanted: everything lost and found adds up."""

from __future__ import annotations

import sys

import polars as pl
import pytest
import torch
from planted import ITEMS, parts, planted, trained_towers
from reference.fusion import losses as slow_losses

from shortlist.data import Dataset, EventType, Schema
from shortlist.errors import ConfigError, DataError
from shortlist.evaluation import evaluate_lists, funnel_report
from shortlist.funnel import Funnel
from shortlist.funnel.retrieve import Nearest, Popular
from shortlist.models import EASE, Popularity, Recommender
from shortlist.postrank import Boost, Cap, Diversity, Exclude


def funnel(*, k: int = 6, size: int = 3) -> Funnel:
    train, _ = parts()
    return Funnel(
        retrieve=[Nearest(trained_towers(), k, "towers"), Nearest(EASE(l2=20).fit(train), k, "ease")],
        postrank=[
            Exclude(where="price > 40"),
            Boost(where="price < 10"),
            Exclude(where="price < 3"),
            Diversity(0.3),
            Cap("group", 2, fill=False),
        ],
        size=size,
    )


@pytest.mark.parametrize(("k", "size", "exclude_seen"), [(1, 9, True), (20, 1, False), (6, 3, True)])
def test_the_report_is_its_slow_reference_and_adds_up(k: int, size: int, exclude_seen: bool):
    _, test = parts()
    made = funnel(k=k, size=size)
    report = funnel_report(made, test, exclude_seen=exclude_seen)
    targets = [int(test.item_index[row]) for row in test.targets]
    people = [int(test.person_index[row]) for row in test.targets]
    seen = [set(test.seen[person].tolist()) if exclude_seen else set() for person in people]
    possible = [set(range(1, ITEMS + 1)) - each for each in seen]
    stages: list[list[set[int]]] = [possible, *([] for _ in made.stages)]
    for row, person in zip(test.targets, people, strict=True):
        exclude = test.seen.take(torch.tensor([person])) if exclude_seen else None
        trace = made.run(test.requests(torch.tensor([int(row)])), exclude=exclude)
        for lists, (_, candidates) in zip(stages[1:], trace.stages, strict=True):
            lists.append(set(candidates.items.values.tolist()))
    expected = slow_losses(stages, targets)
    assert [stage.stage for stage in report.stages] == ["possible", *made.stages]
    assert report.targets == len(targets)
    for stage, (kept, lost) in zip(report.stages, expected, strict=True):
        assert stage.kept == pytest.approx(kept / len(targets))
        assert stage.lost == pytest.approx(lost / len(targets))
    assert sum(stage.lost for stage in report.stages) + report.stages[-1].kept == pytest.approx(1)
    sizes = [sum(map(len, lists)) / len(targets) for lists in stages[1:]]
    assert [stage.size for stage in report.stages[1:]] == pytest.approx(sizes)


def test_stages_of_one_class_are_reported_apart():
    report = funnel_report(funnel(), parts()[1])
    names = [stage.stage for stage in report.stages]
    assert len(set(names)) == len(names)
    assert "exclude 2" in names
    assert all(0 <= stage.kept <= 1 and -1e-9 <= stage.lost <= 1 for stage in report.stages)


def test_what_the_final_list_keeps_is_its_hit_rate():
    _, test = parts()
    made = funnel(size=4)
    kept = funnel_report(made, test).stages[-1].kept
    assert kept == pytest.approx(evaluate_lists(made, test, ks=[4])["hit_rate@4"])


def test_batches_of_requests_change_nothing(monkeypatch):
    whole = funnel_report(funnel(), parts()[1])
    module = sys.modules["shortlist.evaluation.funnel_report"]  # the package's name is the function's
    monkeypatch.setattr(module, "REQUEST_BATCH", 7)
    again = funnel_report(funnel(), parts()[1])
    for one, other in zip(whole.stages, again.stages, strict=True):
        assert (one.stage, one.size) == (other.stage, pytest.approx(other.size))
        assert one.kept == pytest.approx(other.kept)


def test_the_report_prints_a_line_a_stage():
    lines = str(funnel_report(funnel(), parts()[1])).splitlines()
    assert "of 80 targets" in lines[0]
    assert lines[1].startswith("possible")
    assert lines[-1].startswith("final")


def slow_metrics(model: Recommender | Funnel, k: int, *, exclude_seen: bool) -> dict[str, float]:
    _, test = parts()
    hits, ndcg, mrr, precision, shown = 0.0, 0.0, 0.0, 0.0, set()
    for row in test.targets:
        person = torch.tensor([int(test.person_index[row])])
        exclude = test.seen.take(person) if exclude_seen else None
        items, _ = model.retrieve(test.requests(torch.tensor([int(row)])), k, exclude=exclude)
        ranked = [item for item in items[0].tolist() if item]
        shown |= set(ranked)
        wanted = int(test.item_index[row])
        if wanted in ranked:
            place = ranked.index(wanted) + 1
            hits += 1
            ndcg += 1 / torch.log2(torch.tensor(place + 1.0)).item()
            mrr += 1 / place
            precision += 1 / k
    count = len(test.targets)
    return {
        f"hit_rate@{k}": hits / count,
        f"recall@{k}": hits / count,
        f"ndcg@{k}": ndcg / count,
        f"mrr@{k}": mrr / count,
        f"precision@{k}": precision / count,
        f"coverage@{k}": len(shown) / ITEMS,
    }


@pytest.mark.parametrize("exclude_seen", [True, False])
@pytest.mark.parametrize("kind", ["funnel", "towers", "popularity"])
def test_figures_of_lists_are_their_slow_reference(kind: str, exclude_seen: bool):
    train, test = parts()
    model = {"funnel": funnel(), "towers": trained_towers(), "popularity": Popularity().fit(train)}[kind]
    for k in (3, 8):
        found = evaluate_lists(model, test, ks=[k], exclude_seen=exclude_seen)
        expected = slow_metrics(model, k, exclude_seen=exclude_seen)
        assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)


def test_several_lengths_are_judged_by_one_list():
    train, test = parts()
    found = evaluate_lists(EASE(l2=20).fit(train), test, ks=(2, 9))
    assert found["hit_rate@2"] <= found["hit_rate@9"]
    assert found["hit_rate@9"] == evaluate_lists(EASE(l2=20).fit(train), test, ks=[9])["hit_rate@9"]


def test_an_item_outside_the_catalogue_is_wanted_all_the_same_and_cannot_be_found():
    train, test = parts()
    strange = test.interactions.with_columns(item_id=pl.lit("brand new"))
    unknown = Dataset(strange, train.schema, users=train.users, items=train.items, past=train)
    assert evaluate_lists(funnel(), unknown, ks=[5])["hit_rate@5"] == 0
    report = funnel_report(funnel(), unknown)
    assert (report.stages[0].kept, report.stages[0].lost) == (0, 1)
    assert evaluate_lists(funnel(), test, ks=[5])["hit_rate@5"] > 0


def test_a_test_part_of_other_data_is_refused():
    train, test = parts()
    _, recent = train.split_leave_last_out(count=2)
    for judge in (evaluate_lists, funnel_report):
        with pytest.raises(ConfigError, match="this Funnel was trained on other data"):
            judge(funnel(), recent)
    with pytest.raises(ConfigError, match="this EASE was trained on other data"):
        evaluate_lists(EASE().fit(planted()), test)


def test_a_part_without_positive_events_is_refused():
    kinds = {"like": EventType(), "dislike": EventType(negative=True)}
    table = pl.DataFrame({"user_id": [1, 2, 1], "item_id": [1, 2, 2], "kind": ["like", "like", "dislike"]})
    train, test = Dataset(table, Schema(event="kind", events=kinds)).split_at(
        torch.tensor([False, False, True]).numpy()
    )
    for judge in (evaluate_lists, funnel_report):
        with pytest.raises(DataError, match="no positive event"):
            judge(Funnel(retrieve=[Popular()], data=train), test)
