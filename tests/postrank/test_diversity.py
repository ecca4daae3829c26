from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from postrank_cases import cases, make_case, tags_of
from reference import postrank as slow

from shortlist.errors import ConfigError, SchemaError
from shortlist.postrank import Diversity

strengths = st.sampled_from([0.1, 0.3, 0.5, 0.9, 1.0])


@settings(max_examples=60, deadline=None)
@given(case=cases(), size=st.integers(1, 8), strength=strengths, column=st.sampled_from(["genres", "artist"]))
def test_mmr_by_a_column_equals_the_slow_reference(case, size, strength, column):
    similar = slow.jaccard(tags_of(case, column))
    expected = [slow.mmr(pairs, similar, strength, size) for pairs in case.pairs]
    assert case.lists(Diversity(strength, by=column), size=size) == expected


@settings(max_examples=60, deadline=None)
@given(case=cases(), size=st.integers(1, 8), strength=strengths)
def test_mmr_by_vectors_picks_what_the_slow_reference_values_most(case, size, strength):
    similar = slow.cosine(case.catalogue.vectors.numpy().astype(float), shifted=False)
    for pairs, found in zip(case.pairs, case.lists(Diversity(strength), size=size), strict=True):
        assert_greedy(
            pairs,
            found,
            size,
            lambda item, picked: max((similar(item, o) for o in picked), default=0.0),
            strength,
        )


def assert_greedy(pairs, found, size, penalty, strength, *, tolerance=1e-5):
    """Every pick is the best within rounding: single-precision cosines may turn an exact near-tie."""
    relevance = dict(zip([item for item, _ in pairs], slow.unit(pairs), strict=True))

    def gain(item, picked):
        return (1 - strength) * relevance[item] - strength * penalty(item, picked)

    for place in range(min(size, len(found))):
        picked = found[:place]
        assert gain(found[place], picked) >= max(gain(item, picked) for item in found[place:]) - tolerance
    order = [item for item, _ in pairs]
    assert found[size:] == [item for item in order if item not in found[:size]]


@settings(max_examples=60, deadline=None)
@given(case=cases(), size=st.integers(1, 6), strength=strengths, by=st.sampled_from([None, "genres"]))
def test_every_pick_of_a_dpp_has_the_greatest_gain_by_determinants(case, size, strength, by):
    vectors = case.catalogue.vectors.numpy().astype(float)
    similar = slow.jaccard(tags_of(case)) if by else slow.cosine(vectors, shifted=True)

    def explained(item, picked):
        # The tolerance below is absolute, and the logarithm of a share near 0 has none: stop it at 1e-4.
        return -np.log(max(slow.variance_left(item, picked, similar), 1e-4))

    for pairs, found in zip(case.pairs, case.lists(Diversity(strength, "dpp", by), size=size), strict=True):
        if has_near_copies(found[:size], similar):
            continue
        assert_greedy(pairs, found, size, explained, strength, tolerance=1e-2 if by is None else 1e-6)


def has_near_copies(items, similar):
    return any(similar(a, b) > 0.99 for a in items for b in items if a != b)


def test_a_dpp_by_distinct_tags_equals_the_slow_reference_exactly():
    genres = [["a"], ["a", "b"], ["b"], ["c"], ["a", "c"], ["d"], ["b", "d"], ["e", "a"]]
    case = make_case([[1, 2, 3, 4, 5, 6, 7, 8]], columns={"genres": genres}, num_items=8)
    for strength in (0.05, 0.2, 0.5, 1.0):
        expected = slow.dpp(case.pairs[0], slow.jaccard(tags_of(case)), strength, 6)
        assert case.lists(Diversity(strength, "dpp", "genres"), size=6) == [expected]


@settings(max_examples=30, deadline=None)
@given(case=cases(), method=st.sampled_from(["mmr", "dpp"]))
def test_strength_0_keeps_the_order(case, method):
    assert case.lists(Diversity(0, method)) == case.candidates.items.to_lists()


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_a_copy_of_the_best_item_makes_way(method):
    vectors = np.eye(5, 4, k=-1)
    vectors[2] = vectors[1]
    case = make_case([[1, 2, 3]], [[1.0, 0.9, 0.5]], num_items=4, vectors=vectors)
    assert case.lists(Diversity(0.5, method), size=2) == [[1, 3, 2]]


def test_items_without_anything_in_common_have_no_penalty_and_a_copy_has_all_of_it():
    case = make_case([[1, 2, 3]], num_items=3, columns={"genres": [["a"], ["a"], None]})
    for method in ("mmr", "dpp"):
        result = case.rerank(Diversity(0.5, method, "genres"), size=3)
        penalty = dict(
            zip(result.items.values.tolist(), result.features["diversity_penalty"].tolist(), strict=True)
        )
        assert penalty == pytest.approx({1: 0, 2: 1, 3: 0})


@pytest.mark.parametrize("method", ["mmr", "dpp"])
def test_more_strength_gives_less_alike_lists(method):
    vectors = torch.randn(201, 8, generator=torch.Generator().manual_seed(3))
    scores = vectors[1:] @ vectors[0]  # the best items point the same way
    best = scores.argsort(descending=True)
    case = make_case([(best + 1).tolist()], [scores[best].tolist()], num_items=200, vectors=vectors)
    units = torch.nn.functional.normalize(vectors, dim=1)
    alike = []
    for strength in (0, 0.3, 0.9):
        shown = units[case.lists(Diversity(strength, method), size=10)[0][:10]]
        alike.append(float((shown @ shown.T).fill_diagonal_(0).mean()))
    assert alike[0] > alike[1] > alike[2]


def test_many_copies_stay_in_order_and_finite():
    case = make_case([list(range(1, 9))], num_items=8, vectors=np.ones((9, 4)))
    result = case.rerank(Diversity(0.5, "dpp"), size=8)
    assert result.items.values.tolist() == list(range(1, 9))
    assert bool(torch.isfinite(result.features["diversity_penalty"]).all())


def test_without_vectors_and_column_the_error_names_the_columns():
    case = make_case([[1, 2]], columns={"genres": [["a"]] * 12})
    with pytest.raises(ConfigError, match=r"no item vectors and no column.*by=\"genres\".*'genres'"):
        case.rerank(Diversity(0.3))
    with pytest.raises(SchemaError, match=r"no column 'genre'.*did you mean 'genres'"):
        case.rerank(Diversity(0.3, by="genre"))


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"strength": 1.5}, "strength is 1.5.*from 0 to 1"),
        ({"strength": float("nan")}, "strength is nan.*finite"),
        ({"strength": "0.3"}, "strength is '0.3'.*finite"),
        ({"method": "mrr"}, "method is 'mrr'.*did you mean 'mmr'"),
        ({"by": ""}, "by is ''.*name a column"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_name(settings_, message):
    with pytest.raises(ConfigError, match=message):
        Diversity(**settings_)
