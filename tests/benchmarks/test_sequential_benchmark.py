"""The benchmark of sequences asks for each user's last event, with all before it as the history."""

from __future__ import annotations

from benchmarks.sequential import hits, parts_of

from shortlist.models import ItemKNN, Popularity

SEQUENCES = [(1, [10, 20, 30, 40]), (2, [20, 30, 10]), (3, [50, 60, 10, 30, 20])]


def test_the_last_event_is_the_test_and_the_one_before_it_the_validation():
    parts = parts_of(iter(SEQUENCES))
    items = parts.train.item_vocabulary
    assert len(parts.train) == 2 + 1 + 3
    assert items.decode(parts.validation.item_index).to_list() == [30, 30, 30]
    assert items.decode(parts.test.item_index[parts.asked.numpy()]).to_list() == [40, 10, 20]
    before = parts.before_test
    assert before.item_vocabulary is items
    assert len(before) == len(parts.train) + len(parts.validation)
    history = parts.test.requests(parts.asked).history
    expected = [sequence[:-1] for _, sequence in SEQUENCES]
    assert [items.decode(row).to_list() for row in history.to_lists()] == expected


def test_the_catalogue_holds_items_that_nobody_took_in_training():
    parts = parts_of(iter(SEQUENCES))
    assert sorted(parts.train.item_vocabulary.ids) == [10, 20, 30, 40, 50, 60]
    assert len(parts_of(iter(SEQUENCES), users=2).asked) == 2


def test_what_is_in_the_history_is_left_out_of_the_ranking_or_not():
    parts = parts_of(iter([(user, [1, 2, 3, 4]) for user in range(5)]))
    for model in (Popularity(), ItemKNN()):
        model.fit(parts.train)
        # Only the target is left where the history is taken out of the four items.
        assert hits(model, parts, exclude_seen=True)["ndcg@10"] == 1
        assert hits(model, parts, exclude_seen=False)["ndcg@10"] < 1
