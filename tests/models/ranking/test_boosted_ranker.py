"""Boosted trees in the place of a ranker: what they learn, what they refuse, and how they are kept."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest
import torch
from planted import parts
from test_ranker import accuracy, random_lists

from shortlist.data import Category, History, Id, Number, Tags, Text, Timestamp, Vector
from shortlist.data.candidates import Candidates
from shortlist.errors import BundleError, ConfigError, DataError, Error, NotFittedError
from shortlist.models import BoostedRanker, RankingLists, load_model, save_model
from shortlist.models.ranking.trees import read_trees

QUERY = (Id("user_id"), Number("age", buckets=4), Timestamp("time"), Category("device"))
CANDIDATE = (Id("item_id"), Tags("colours"), Category("group"), Number("price"), Vector("picture"))
SMALL = {"trees": 30, "num_leaves": 7, "min_data_in_leaf": 5, "learning_rate": 0.2}


def fitted(lists: RankingLists | None = None, **settings) -> BoostedRanker:
    train, _ = parts()
    ranker = BoostedRanker(**{"scores": ["score_a"], **SMALL, **settings})
    ranker.fit_lists(train, random_lists(train, rows=300) if lists is None else lists)
    return ranker


def test_it_learns_from_lists_what_no_retriever_score_alone_could_say():
    train, _ = parts()
    assert accuracy(fitted(), random_lists(train, rows=100, seed=1)) > 0.8
    assert accuracy(fitted(loss="xe_ndcg"), random_lists(train, rows=100, seed=1)) > 0.6


def test_it_reads_every_kind_of_column_and_says_which_ones_counted():
    train, _ = parts()
    lists = random_lists(train, rows=300)
    groups = train.items["group"].to_numpy()[train.items["item_id"].to_numpy().searchsorted(
        train.item_vocabulary.ids.to_numpy()[lists.candidates.items.values.numpy() - 1]
    )]  # fmt: skip
    wanted = torch.from_numpy(groups == "red").float()
    ranker = fitted(
        RankingLists(lists.requests, lists.candidates, wanted), query=QUERY, candidate=CANDIDATE, scores=()
    )
    scores = ranker.score_candidates(lists.requests, lists.candidates)
    assert scores[wanted == 1].min() > scores[wanted == 0].max()
    importances = ranker.importances()
    assert {next(iter(importances))} <= {"group", "item_id", *(f"colours[{place}]" for place in range(9))}
    assert list(importances.values()) == sorted(importances.values(), reverse=True)
    assert {"age", "time[0]", "device", "picture[2]", "price[0]"} <= set(importances)


def test_lists_that_were_held_out_say_how_many_trees_are_kept():
    train, _ = parts()
    ranker = BoostedRanker(scores=["score_a"], **(SMALL | {"trees": 200}))
    history = ranker.fit_lists(train, random_lists(train, rows=300), patience=5)
    best = max(row["ndcg@10"] for row in history.epochs)
    assert history.epochs[history.best_epoch - 1]["ndcg@10"] == pytest.approx(best, abs=1e-6)
    assert ranker.trees_text().count("\nTree=") == history.best_epoch < len(history.epochs) < 200
    everything = BoostedRanker(scores=["score_a"], **SMALL)
    assert everything.fit_lists(train, random_lists(train), validation_share=0).epochs == []
    assert everything.trees_text().count("\nTree=") == 30


def test_a_request_is_scored_alike_alone_and_among_others(monkeypatch):
    train, _ = parts()
    ranker, lists = fitted(candidate=CANDIDATE), random_lists(train)
    together = ranker.score_candidates(lists.requests, lists.candidates)
    monkeypatch.setattr("shortlist.models.ranking.boosted_ranker.REQUEST_BATCH", 1)
    assert torch.equal(ranker.score_candidates(lists.requests, lists.candidates), together)
    monkeypatch.undo()
    nobody = lists.take(torch.zeros(0, dtype=torch.int64))
    assert ranker.score_candidates(nobody.requests, nobody.candidates).shape == (0,)
    nothing = lists.candidates.keep(torch.zeros(len(lists.labels), dtype=torch.bool))
    assert ranker.score_candidates(lists.requests, nothing).shape == (0,)


def test_two_fits_with_one_seed_give_the_same_trees():
    train, _ = parts()
    texts = []
    for seed in (1, 1, 2):
        ranker = BoostedRanker(scores=["score_a"], **SMALL)
        ranker.fit_lists(train, random_lists(train, rows=100), seed=seed)
        texts.append(ranker.trees_text())
    assert texts[0] == texts[1] != texts[2]


def test_a_saved_ranker_gives_the_same_scores_bit_for_bit(tmp_path: Path):
    train, _ = parts()
    ranker, lists = fitted(query=QUERY, candidate=CANDIDATE), random_lists(train)
    save_model(ranker, tmp_path / "ranker")
    assert {file.name for file in (tmp_path / "ranker").iterdir()} > {"model.json", "trees.txt"}
    loaded = load_model(tmp_path / "ranker", train)
    assert isinstance(loaded, BoostedRanker)
    assert loaded.config() == ranker.config()
    assert torch.equal(
        loaded.score_candidates(lists.requests, lists.candidates),
        ranker.score_candidates(lists.requests, lists.candidates),
    )
    save_model(loaded, tmp_path / "again")
    again = load_model(tmp_path / "again", train)
    assert torch.equal(
        again.score_candidates(lists.requests, lists.candidates),
        ranker.score_candidates(lists.requests, lists.candidates),
    )


def test_bound_to_other_data_every_item_keeps_its_score():
    train, _ = parts()
    earlier, _ = train.split_leave_last_out(count=3)
    ranker = BoostedRanker([Id("user_id")], [Id("item_id"), Number("price")], **SMALL)
    ranker.fit_lists(earlier, random_lists(earlier, rows=300))
    bound = ranker.bound_to(train)
    items = ["i001", "i040", "i007", "i020"]

    def score(model: BoostedRanker, data) -> torch.Tensor:
        encoded = torch.from_numpy(data.item_vocabulary.encode(items).copy())
        lists = Candidates.from_padded(encoded[None], torch.zeros(1, 4))
        return model.score_candidates(
            data.requests_of(torch.from_numpy(data.people.encode(["u003"]).copy())), lists
        )

    assert torch.equal(score(bound, train), score(ranker, earlier))
    assert ranker.bound_to(earlier) is ranker


def test_without_lightgbm_it_says_what_to_install(monkeypatch, tmp_path: Path):
    save_model(fitted(), tmp_path / "ranker")
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ConfigError, match=r"need LightGBM.*pip install 'shortlist\[lightgbm\]'"):
        BoostedRanker(scores=["score_a"])
    with pytest.raises(BundleError, match=r"need LightGBM.*pip install 'shortlist\[lightgbm\]'"):
        load_model(tmp_path / "ranker", parts()[0])


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({}, "needs at least one feature"),
        ({"scores": ["a"], "loss": "lambdaloss"}, "loss 'lambdaloss' is unknown.*did you mean 'lambdarank'"),
        ({"scores": ["a"], "trees": 0}, "trees is 0"),
        ({"scores": ["a"], "num_leaves": 1}, "num_leaves is 1; pass at least 2|num_leaves is 1"),
        ({"scores": ["a"], "min_data_in_leaf": 0.5}, "min_data_in_leaf is 0.5"),
        ({"scores": ["a"], "learning_rate": 0}, "learning_rate is 0"),
        ({"query": [History("item_id")]}, "trees cannot read the history 'item_id_history'"),
    ],
)
def test_settings_out_of_range_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        BoostedRanker(**settings)


def test_a_bag_of_too_many_values_is_refused_when_it_is_fitted():
    with pytest.raises(ConfigError, match=r"'title' has 3,0.. values, and trees can use 256"):
        fitted(candidate=[Text("title", buckets=3000)])


@pytest.mark.parametrize(
    ("wrong", "match"),
    [(0.5, "a label is 0.5"), (-1, "a label is -1"), (31, "label is 31"), (torch.nan, "a label is nan")],
)
def test_labels_that_are_no_grades_are_refused(wrong, match):
    lists = random_lists(parts()[0])
    lists.labels[3] = wrong
    with pytest.raises(DataError, match=match):
        fitted(lists)


def test_lists_in_which_nothing_was_wanted_are_nothing_to_learn_from():
    lists = random_lists(parts()[0])
    lists.labels.zero_()
    with pytest.raises(DataError, match="nothing to learn"):
        fitted(lists)


def test_a_list_longer_than_lightgbm_takes_is_refused():
    train, _ = parts()
    items = torch.ones(1, 10_001, dtype=torch.int64)
    candidates = Candidates.from_padded(items, torch.zeros(1, 10_001))
    candidates = candidates.with_scores(candidates.scores, score_a=candidates.scores)
    lists = RankingLists(train.requests_of(torch.tensor([1])), candidates, torch.ones(10_001))
    with pytest.raises(DataError, match="a list has 10,001 candidates"):
        fitted(lists)


def test_empty_lists_lists_of_one_and_lists_of_equal_labels_teach_nothing():
    train, _ = parts()
    lists = random_lists(train, rows=100)
    lists.labels[:8] = 1
    one = lists.candidates.keep((lists.candidates.row_ids() != 1) & (lists.candidates.row_ids() != 2))
    first = one.items.positions() == 0
    odd = RankingLists(lists.requests, one, lists.labels[:0].new_zeros(len(one.scores)).masked_fill(first, 1))
    ranker = fitted(odd)
    assert ranker.score_candidates(odd.requests, odd.candidates).isfinite().all()


def test_a_ranker_that_was_not_trained_is_refused(tmp_path: Path):
    ranker, lists = BoostedRanker(scores=["score_a"]), random_lists(parts()[0])
    for use in (
        lambda: ranker.score_candidates(lists.requests, lists.candidates),
        lambda: ranker.bound_to(parts()[0]),
        lambda: ranker.importances(),
        lambda: save_model(ranker, tmp_path / "ranker"),
    ):
        with pytest.raises(NotFittedError, match="BoostedRanker is not trained"):
            use()


def test_training_on_other_data_is_refused():
    train, _ = parts()
    ranker, (earlier, _) = fitted(), train.split_leave_last_out(count=3)
    with pytest.raises(ConfigError, match="was trained on other data"):
        ranker.fit_lists(earlier, random_lists(earlier))
    with pytest.raises(ConfigError, match="validation_share is 1"):
        ranker.fit_lists(train, random_lists(train), validation_share=1)


@pytest.fixture(scope="module")
def text() -> str:
    """Trees with splits of numbers and of categories."""
    return fitted(candidate=CANDIDATE, query=QUERY).trees_text()


def columns_of(text: str) -> int:
    line = next(line for line in text.split("\n") if line.startswith("max_feature_idx="))
    return int(line.partition("=")[2]) + 1


FORGERIES = {
    "split_feature=": ("9999", "-1", "x"),
    "left_child=": ("0", "900000", "-900000"),
    "right_child=": ("0", "900000", "-900000"),
    "threshold=": ("", "1e400", "nan"),
    "leaf_value=": ("", "x"),
    "decision_type=": ("", "x", "1 2 3"),
    "num_leaves=": ("100000", "-3", "0", "x"),
    "num_cat=": ("7", "-1"),
    "cat_boundaries=": ("0 900000", "0 0"),
    "cat_threshold=": ("", "-1"),
    "is_linear=": ("1",),
    "version=": ("v9",),
    "num_class=": ("2",),
    "max_feature_idx=": ("2",),
    "num_tree_per_iteration=": ("3",),
}


@pytest.mark.parametrize("line", FORGERIES)
def test_trees_whose_numbers_lead_nowhere_are_refused(text: str, line: str):
    lines = text.split("\n")
    places = [number for number, each in enumerate(lines) if each.startswith(line)]
    assert places, f"the trees of this test have no {line}"
    for forged in FORGERIES[line]:
        first, *rest = lines[places[0]].partition("=")[2].split(" ")
        for value in {forged, " ".join([forged, *rest])}:
            if not rest and value != forged:
                continue
            changed = [*lines]
            changed[places[0]] = line + value
            with pytest.raises(BundleError, match="not LightGBM's trees"):
                read_trees("\n".join(changed), columns=columns_of(text))
        assert first != forged


def test_damaged_trees_are_refused_or_score(text: str):
    """A line of every hundred is cut, doubled or filled with another number."""
    draw, columns = random.Random(0), columns_of(text)
    table = parts()[0]
    assert len(table)
    for _ in range(60):
        lines = text.split("\n")
        for _ in range(draw.choice([1, 1, 3])):
            place = draw.randrange(len(lines))
            words = lines[place].split(" ")
            words[draw.randrange(len(words))] = draw.choice(
                ["", "0", "-1", "7", "1e9", "nan", "inf", "x", "-"]
            )
            lines[place] = draw.choice(["", lines[place] * 2, " ".join(words), " ".join(words)])
        try:
            booster = read_trees("\n".join(lines), columns=columns)
        except Error:
            continue
        assert len(booster.predict(torch.zeros(3, columns).numpy(), num_threads=1)) == 3


def test_trees_of_other_columns_are_refused_when_they_are_loaded(tmp_path: Path):
    save_model(fitted(), tmp_path / "ranker")
    described = json.loads((tmp_path / "ranker" / "model.json").read_text())
    described["config"]["scores"] = ["score_a", "score_b"]
    (tmp_path / "ranker" / "model.json").write_text(json.dumps(described))
    with pytest.raises(BundleError, match="trees are not over 6 columns"):
        load_model(tmp_path / "ranker", parts()[0])


def test_missing_trees_are_refused(tmp_path: Path):
    save_model(fitted(), tmp_path / "ranker")
    (tmp_path / "ranker" / "trees.txt").unlink()
    with pytest.raises(BundleError, match="not a saved model"):
        load_model(tmp_path / "ranker", parts()[0])
