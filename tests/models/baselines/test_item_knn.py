from __future__ import annotations

import numpy as np
import pytest
import torch
from baseline_cases import asking, events, hit_rate, movielens_last_out, ndcg, places
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import baselines as slow
from scipy.sparse import csr_array

from shortlist.errors import ConfigError
from shortlist.models.baselines import item_knn
from shortlist.models.baselines.item_knn import ItemKNN, nearest_items


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    users=st.integers(1, 20),
    items=st.integers(1, 10),
    neighbours=st.integers(1, 12),
    kind=st.sampled_from(["cosine", "jaccard"]),
    shrinkage=st.sampled_from([0.0, 3.0]),
    entries=st.sampled_from([1, 20, 1 << 20]),
)
def test_neighbours_equal_the_slow_reference_however_small_the_blocks(
    seed, users, items, neighbours, kind, shrinkage, entries
):
    matrix = (np.random.default_rng(seed).random((users, items)) < 0.4).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(item_knn, "BLOCK_ENTRIES", entries)
        found = nearest_items(csr_array(matrix), neighbours, similarity=kind, shrinkage=shrinkage).toarray()
    expected = np.zeros((items, items), np.float32)
    for item in range(items):
        row = [
            0.0 if other == item else slow.similarity(matrix, item, other, kind, shrinkage)
            for other in range(items)
        ]
        nearest = slow.top_k(np.float32(row).tolist(), neighbours)
        expected[nearest, item] = np.float32(row)[nearest]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_score_is_the_sum_of_similarities_with_the_history():
    data = events([(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 3), (4, 4)], items=4)
    model = ItemKNN(shrinkage=0).fit(data)
    one, two, three, four = data.item_vocabulary.encode([1, 2, 3, 4]).tolist()
    scores = model.score(asking([one, two]), torch.tensor([[one, two, three, four]]))[0]
    together, with_three = 2 / np.sqrt(3 * 2), 1 / np.sqrt(3)
    assert scores.tolist() == pytest.approx([together, together, with_three, 0])


def test_only_the_nearest_neighbours_of_an_item_vote_for_it():
    data = events([(1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (3, 3), (3, 1)], items=3)
    one, two, three = data.item_vocabulary.encode([1, 2, 3]).tolist()
    model = ItemKNN(neighbours=1, shrinkage=0).fit(data)
    # Items 1 and 2 are each other's nearest; item 3's nearest is the first of the two.
    scores = model.score(asking([three], [one, two]), torch.tensor([[one, two], [three, three]]))
    assert scores[0].tolist() == [0, 0]
    assert scores[1].tolist() == pytest.approx([1 / np.sqrt(3)] * 2)


@pytest.mark.parametrize("argument", [{"neighbours": 0}, {"similarity": "cosin"}, {"shrinkage": -1.0}])
def test_an_argument_out_of_range_is_refused(argument):
    with pytest.raises(ConfigError, match=next(iter(argument))):
        ItemKNN(**argument)


def test_a_misspelt_similarity_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean 'cosine'"):
        ItemKNN(similarity="cosin")


def test_it_is_well_above_popularity_on_movielens_100k(data_dir):
    train, test = movielens_last_out(data_dir / "ml-100k")
    found = places(ItemKNN().fit(train), train, test)
    assert hit_rate(found, 100) > 0.45
    assert ndcg(found, 10) > 0.05
