"""What holds for every post-ranker, whatever it does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st
from postrank_cases import POST_RANKERS, Case, cases, make_case

from shortlist.data.candidates import Candidates
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.postrank import Cap, Diversity, Exclude, Freshness, PostRanker

each = pytest.mark.parametrize("post_ranker", POST_RANKERS, ids=str)


def keys_of(candidates: Candidates) -> list[tuple[int, int]]:
    return list(zip(candidates.row_ids().tolist(), candidates.items.values.tolist(), strict=True))


def columns_of(case: Case, post_ranker: PostRanker, size: int) -> dict[str, torch.Tensor]:
    result = case.rerank(post_ranker, size=size)
    return {
        "items": result.items.values,
        "scores": result.scores,
        "sources": result.sources,
        **result.features,
    }


@settings(max_examples=50, deadline=None)
@given(case=cases(), size=st.integers(1, 8))
def test_the_result_is_part_of_the_input_without_duplicates(case, size):
    for post_ranker in POST_RANKERS:
        note(str(post_ranker))
        result = case.lists(post_ranker, size=size)
        assert len(result) == len(case.candidates)
        for before, after in zip(case.candidates.items.to_lists(), result, strict=True):
            assert len(set(after)) == len(after)
            assert set(after) <= set(before)
            if not isinstance(post_ranker, (Exclude, Cap)):
                assert set(after) == set(before)


@settings(max_examples=100, deadline=None)
@given(case=cases(), size=st.integers(1, 8), which=st.sampled_from(POST_RANKERS))
def test_a_request_gets_the_same_list_alone_as_in_a_batch(case, size, which):
    together = case.rerank(which, size=size)
    for row in range(len(case.candidates)):
        alone = columns_of(case.row(row), which, size)
        here = together.row_ids() == row
        assert torch.equal(alone["items"], together.items.values[here])
        assert torch.equal(alone["scores"], together.scores[here])
        for name, column in together.features.items():
            assert torch.equal(alone[name], column[here]), name


@each
def test_a_request_gets_the_same_list_alone_as_in_a_large_batch(post_ranker):
    case = large_case()
    together = case.rerank(post_ranker, size=12)
    for row in (0, 1, 17, 39):
        alone = case.row(row).rerank(post_ranker, size=12)
        here = together.row_ids() == row
        assert torch.equal(alone.items.values, together.items.values[here])
        assert torch.equal(alone.scores, together.scores[here])
        for (
            name,
            column,
        ) in together.features.items():  # to the last bit: rounding must not depend on the batch
            assert torch.equal(alone.features[name], column[here]), name


@each
def test_the_columns_of_a_candidate_travel_with_it(post_ranker):
    case = wide_case()
    result = case.rerank(post_ranker, size=6)
    found = dict(zip(keys_of(case.candidates), case.candidates.features["found"].tolist(), strict=True))
    assert result.features["found"].tolist() == [found[key] for key in keys_of(result)]
    assert all(column.dtype == torch.float32 for column in result.features.values())


@each
def test_empty_lists_and_empty_batches_pass(post_ranker):
    columns = {name: wide_case().catalogue.items[name].to_list()[1:] for name in COLUMNS}
    for lists in ([[]], [[], [3, 1], []]):
        case = make_case(lists, columns=columns, num_items=12, vectors=torch.eye(13, 4))
        assert case.lists(post_ranker)[0] == []
    none = wide_case()
    nobody = none.candidates.take(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    requests = none.requests.take(torch.zeros(0, dtype=torch.int64))
    result = post_ranker.rerank(nobody, size=3, catalogue=none.catalogue, requests=requests, seed=0)
    assert len(result) == 0


@each
@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf")])
def test_a_score_that_is_not_finite_is_refused_and_located(post_ranker, score):
    case = wide_case()
    case.candidates.scores[13] = score
    with pytest.raises(DataError, match=r"item index \d+ is .*request 1 of the batch.*finite"):
        case.rerank(post_ranker)


@each
def test_the_input_is_left_alone(post_ranker):
    case = wide_case()
    items, scores = case.candidates.items.values.clone(), case.candidates.scores.clone()
    case.rerank(post_ranker)
    assert torch.equal(case.candidates.items.values, items)
    assert torch.equal(case.candidates.scores, scores)
    assert set(case.candidates.features) == {"found"}


@each
def test_every_post_ranker_fits_the_protocol(post_ranker):
    assert isinstance(post_ranker, PostRanker)


def test_what_does_not_fit_together_is_refused():
    case = wide_case()
    with pytest.raises(ConfigError, match="size is 0"):
        case.rerank(Diversity(0.3), size=0)
    with pytest.raises(ShapeError, match="2 candidate lists for 1 requests"):
        Case(case.candidates, case.row(0).requests, case.catalogue).rerank(Cap("genres", 1))
    small = make_case([[1]], num_items=5, columns={"released": [1, 2, 3, 4, 5]}).catalogue
    with pytest.raises(ShapeError, match=r"item index 12 is outside 1\.\.5"):
        Case(case.candidates, case.requests, small).rerank(Freshness(column="released"))


COLUMNS = ("genres", "artist", "released", "margin", "clicks", "shown")


def wide_case() -> Case:
    forward = list(range(1, 13))
    return make_case(
        [forward, forward[::-1]],
        columns={
            "genres": [
                ["a"],
                ["a", "b"],
                ["b"],
                ["c"],
                None,
                ["a"],
                ["d"],
                ["b"],
                [],
                ["c", "a"],
                ["d"],
                ["a"],
            ],
            "artist": ["x", "x", "y", "z", None, "x", "y", "x", "z", "y", "x", "z"],
            "released": [86_400 * (900 + 7 * item) for item in forward],
            "margin": [item % 5 for item in forward],
            "clicks": [item % 4 for item in forward],
            "shown": [3 * item for item in forward],
        },
        vectors=torch.randn(13, 6, generator=torch.Generator().manual_seed(1)),
        histories=[[2, 4], []],
    )


def large_case() -> Case:
    """Forty lists of up to 200 items, with vectors of 64 numbers: shapes at which kernels switch paths."""
    random = np.random.default_rng(5)
    lists = [(1 + random.permutation(400)[: random.integers(1, 201)]).tolist() for _ in range(40)]
    clicks = random.integers(0, 9, 400)
    return make_case(
        lists,
        [sorted(random.normal(size=len(row)).tolist(), reverse=True) for row in lists],
        num_items=400,
        columns={
            "genres": [random.choice(list("abcdefghij"), random.integers(4)).tolist() for _ in range(400)],
            "artist": random.choice(["x", "y", "z"], 400).tolist(),
            "released": random.integers(1, 86_400_000, 400).tolist(),
            "margin": random.integers(0, 9, 400).tolist(),
            "clicks": clicks.tolist(),
            "shown": (clicks + random.integers(0, 99, 400)).tolist(),
        },
        vectors=random.normal(size=(401, 64)),
    )
