"""What a device recommends, beside a slow reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from device_cases import DAY, HISTORY, NEAREST, NOW, POPULAR, RANK, Case, make_case, model_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper
from reference import device as slow

from shortlist.errors import ConfigError, SchemaError, UnknownIdError
from shortlist.export import Device
from shortlist.export.manifest import DeviceInput
from shortlist.export.tables import decode_table, encode_table

ITEMS = 40
UNKNOWN = 999


def expected(
    case: Case, history: list[int], size: int, *, hidden: set[int], signs: dict[int, int] | None = None
) -> list[tuple[int, float]]:
    """Rows and scores of the whole way, post-rankers left out."""
    vectors, popularity = case.tables["vectors"], case.tables["popularity"][:, 0]
    query = slow.mean_query(vectors, case.weights, history, HISTORY.length or 0)
    every = {"towers": slow.adapted(vectors, query, signs or {}), "popular": popularity.astype(float)}
    scores = [every[each.name] for each in case.retrieve]
    lists = [
        slow.retrieved(some, max(each.k, size), lambda row: row not in hidden)
        for each, some in zip(case.retrieve, scores, strict=True)
    ]
    pairs = slow.merged(lists, scores)
    if case.rank is not None:
        known = case.tables["rank_items"].astype(float).sum(1)
        ranked = {row: known[row] + sum(every[name][row] for name in case.rank.scores) for row, _ in pairs}
        pairs = sorted(ranked.items(), key=lambda pair: (-pair[1], pair[0]))[: max(case.rank.keep, size)]
        if case.rank.calibrated:
            pairs = [(row, 1 / (1 + np.exp(-score))) for row, score in pairs]
    return pairs[:size]


CASES = {
    "fused": make_case(),
    "towers alone": make_case(retrieve=(NEAREST,)),
    "popular alone": make_case(retrieve=(POPULAR,), inputs=()),
    "ranked": make_case(rank=RANK),
    "calibrated": make_case(rank=replace(RANK, calibrated=True)),
    "history allowed": make_case(exclude_history=False),
}


@pytest.fixture(scope="module")
def devices(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Device]:
    """Each case, written and read."""
    return {
        name: Device.load(case.write(tmp_path_factory.mktemp("exports") / f"export-{number}"))
        for number, (name, case) in enumerate(CASES.items())
    }


@pytest.fixture(scope="module")
def device(devices: dict[str, Device]) -> Device:
    return devices["fused"]


ROWS = st.integers(1, ITEMS)


@settings(max_examples=100, deadline=None)
@given(
    which=st.sampled_from(list(CASES)),
    history=st.lists(st.one_of(ROWS, st.just(UNKNOWN)), max_size=14),
    exclude=st.sets(ROWS, max_size=6),
    size=st.integers(1, ITEMS + 3),
)
def test_it_recommends_what_the_reference_does(devices, which, history, exclude, size):
    case = CASES[which]
    known = [row for row in history if row != UNKNOWN]
    hidden = exclude | (set(known) if case.exclude_history else set())
    wanted = expected(case, known, size, hidden=hidden)
    answer = devices[which].recommend(
        [100 + row for row in history], k=size, exclude=[100 + row for row in exclude]
    )
    assert answer.items == [100 + row for row, _ in wanted]
    np.testing.assert_allclose(answer.scores, [score for _, score in wanted], rtol=2e-4, atol=2e-5)


def test_the_length_is_the_exports_own_unless_it_is_asked_for(device):
    assert len(device.recommend([101])) == 6
    assert len(device.recommend([101], k=3)) == 3


def test_a_list_is_as_long_as_there_are_items_that_may_come(device):
    assert len(device.recommend([101, 102], k=500)) == ITEMS - 2


def test_somebody_without_a_history_gets_a_list(device):
    assert device.recommend([]).items == [
        100 + row for row, _ in expected(CASES["fused"], [], 6, hidden=set())
    ]


def test_ids_are_understood_as_text_and_as_pairs_with_a_time(device):
    plain = device.recommend([101, 107]).items
    assert device.recommend(["101", "107"]).items == plain
    assert device.recommend([(101, NOW), (107, NOW + 5)]).items == plain
    assert device.recommend(np.array([101, 107])).items == plain


def test_ids_that_are_texts_come_back_as_texts(tmp_path):
    device = Device.load(make_case(text_ids=True).write(tmp_path / "export"))
    answer = device.recommend(["i101"])
    assert all(isinstance(each, str) for each in answer.items)
    assert "i101" in device
    assert 101 not in device
    assert "i101" not in answer.items


def test_the_columns_belong_to_the_items(device):
    columns = CASES["fused"].columns
    answer = device.recommend([103])
    for shown in answer:
        place = int(shown["item"]) - 101
        assert {name: shown[name] for name in columns} == {name: columns[name][place] for name in columns}
    assert [each["score"] for each in answer] == answer.scores
    assert set(answer.columns) == set(columns)


@pytest.mark.parametrize(
    ("where", "meets"),
    [
        ({"genres": "a"}, lambda item: "a" in item["genres"]),
        ({"genres": ["a", "c"]}, lambda item: {"a", "c"} & set(item["genres"])),
        ({"year": 1991, "genres": ["b"]}, lambda item: item["year"] == 1991 and "b" in item["genres"]),
        ({"adult": False}, lambda item: item["adult"] is False),
        ({"year": []}, lambda item: False),
        ({"year": None}, lambda item: False),
        ({"year": [[1991]]}, lambda item: False),
        ({}, lambda item: True),
    ],
)
def test_where_keeps_what_has_one_of_the_values_in_every_column(device, where, meets):
    columns = CASES["fused"].columns
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    allowed = {100 + row for row, item in enumerate(rows, start=1) if meets(item)}
    assert set(device.recommend([], k=ITEMS, where=where).items) == allowed


def test_equal_scores_come_in_the_order_of_the_items(tmp_path):
    same = np.ones((ITEMS + 1, 6), np.float32)
    case = make_case(retrieve=(NEAREST,), tables={"vectors": same})
    answer = Device.load(case.write(tmp_path / "export")).recommend([101, 105], k=5)
    assert answer.items == [102, 103, 104, 106, 107]


def test_the_same_question_gets_the_same_answer(device):
    assert device.recommend([104, 109]) == device.recommend([104, 109])


@pytest.mark.parametrize("encoding", ["float16", "int8", "int4"])
def test_quantised_tables_answer_as_the_numbers_that_they_stand_for(tmp_path, encoding):
    case = make_case()
    vectors = case.tables["vectors"]
    shape = {"rows": vectors.shape[0], "dim": vectors.shape[1]}
    decoded = decode_table(encode_table(vectors, encoding), encoding, **shape)
    stored = replace(case, encodings={"vectors": encoding}).write(tmp_path / "stored")
    plain = replace(case, tables={**case.tables, "vectors": decoded}).write(tmp_path / "plain")
    assert Device.load(stored).recommend([101, 110]) == Device.load(plain).recommend([101, 110])


@pytest.mark.parametrize("k", [0, -1, True, 2.0])
def test_a_length_that_is_none_is_refused(device, k):
    with pytest.raises(ConfigError, match="k must be at least 1"):
        device.recommend([], k=k)


def test_a_column_that_is_not_there_is_refused_with_the_nearest(device):
    with pytest.raises(SchemaError, match="no column 'genre'; did you mean 'genres'"):
        device.recommend([], where={"genre": "a"})
    with pytest.raises(ConfigError, match="where is 'genres'"):
        device.recommend([], where="genres")


def test_a_context_that_no_model_reads_is_refused(device):
    with pytest.raises(ConfigError, match=r"no model reads 'device' \(context\)"):
        device.recommend([], context={"device": "phone"})
    with pytest.raises(ConfigError, match="now is 'today'"):
        device.recommend([], context={"now": "today"})


CONTEXT = (
    DeviceInput("phone", "category", column="device", values=("desk", "phone")),
    DeviceInput("age", "number", column="age"),
    DeviceInput("moment", "timestamp", column="time", now=True),
    DeviceInput("past", "timestamp", column="since"),
    DeviceInput("history_times", "history_times", length=3),
)


def context_case() -> Case:
    """A query of one number that is computed from everything but the history."""
    whole = ("phone", "moment", "past", "history_times")
    axes = {"both": np.array([0, 1], np.int64), "one": np.array([1], np.int64)}
    nodes = [helper.make_node("Cast", [name], [f"{name}_float"], to=1) for name in whole]
    nodes += [
        helper.make_node("ReduceSum", [f"{name}_float", "one"], [f"{name}_sum"], keepdims=0)
        for name in ("moment", "past", "history_times")
    ]
    nodes.append(helper.make_node("IsNaN", ["age"], ["ageless"]))
    nodes.append(helper.make_node("Cast", ["ageless"], ["ageless_float"], to=1))
    nodes.append(helper.make_node("Where", ["ageless", "ageless_float", "age"], ["age_known"]))
    parts = ["phone_float", "age_known", "moment_sum", "past_sum", "history_times_sum"]
    nodes += [helper.make_node("Unsqueeze", [part, "one"], [f"{part}_1"]) for part in parts]
    nodes.append(helper.make_node("Concat", [f"{part}_1" for part in parts], ["query"], axis=1))
    inputs: dict[str, list[Any]] = {"phone": ["batch"], "age": ["batch"]}
    inputs |= {"moment": ["batch", 2], "past": ["batch", 2], "history_times": ["batch", "n"]}
    model = model_bytes(nodes, inputs, {"query": ["batch", 5]}, {"one": axes["one"]}, whole=whole)
    # Row r's vector picks one part of the query, so that the scores show what the model was fed.
    return make_case(
        items=5,
        dim=5,
        models={"query.onnx": model},
        tables={"vectors": np.vstack([np.zeros((1, 5)), np.eye(5)]).astype(np.float32)},
        retrieve=(replace(NEAREST, inputs=tuple(each.name for each in CONTEXT)),),
        inputs=CONTEXT,
        exclude_history=False,
    )


def fed(tmp_path: Path, history: list[Any], context: dict[str, Any]) -> list[float]:
    """What the model was fed: category, number, the two moments, the times."""
    answer = Device.load(context_case().write(tmp_path / "export")).recommend(history, k=5, context=context)
    scores = dict(zip(answer.items, answer.scores, strict=True))
    return [scores[101 + part] for part in range(5)]


def test_the_context_reaches_the_model(tmp_path):
    history = [(101, 50), (102, 1000), (103, 1010), (104, 1030)]
    context = {"device": "phone", "age": 33.5, "time": 3 * DAY + 7, "since": 2 * DAY}
    assert fed(tmp_path, history, context) == [2.0, 33.5, 10.0, 2.0, 40.0]


def test_what_is_missing_of_the_context_is_told_as_missing(tmp_path):
    assert fed(tmp_path, [101, 102], {"now": 5 * DAY + 1}) == [0.0, 1.0, 6.0, -1.0, 0.0]


def test_a_value_that_the_model_has_never_seen_is_the_unknown_one(tmp_path):
    assert fed(tmp_path, [], {"device": "watch", "now": 0})[0] == 0.0


def test_similar_items_are_those_of_the_greatest_cosine(device):
    vectors = CASES["fused"].tables["vectors"]
    for row in (1, 17, ITEMS):
        assert device.similar(100 + row, k=7).items == [
            100 + other for other in slow.nearest(vectors, row, 7)
        ]


def test_similar_refuses_what_it_cannot_compare(device, tmp_path):
    with pytest.raises(
        UnknownIdError, match=r"item 999 is not in the export \(40 items, whose ids are integers"
    ):
        device.similar(UNKNOWN)
    with pytest.raises(ConfigError, match="k must be at least 1"):
        device.similar(101, k=0)
    without = Device.load(replace(CASES["fused"], diversity_table=None).write(tmp_path / "export"))
    with pytest.raises(ConfigError, match="holds no item vectors"):
        without.similar(101)


def test_a_device_knows_how_many_items_it_has(device):
    assert len(device) == ITEMS
    assert 101 in device
    assert UNKNOWN not in device
