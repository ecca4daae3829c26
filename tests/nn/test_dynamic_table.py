"""The native table of a dynamic embedding, against a dictionary that works one id at a time."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference.dynamic_table import SlowTable, initial_values, stream_of

from shortlist.errors import ConfigError, ShapeError, TrainingError
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.tables import Rule

EXTREMES = [0, 1, -1, 2**63 - 1, -(2**63), 2**40]
RATE, EPS, BETAS, INITIAL = 0.3, 1e-4, (0.9, 0.99), 0.1


def table(dim: int = 4, **options: Any) -> RowTable:
    defaults = {"seed": 0, "scale": 1.0, "shared_rows": 0, "admit_after": 1, "sketch_bytes": 0}
    return RowTable(dim, **(defaults | options))


def rule(kind: Any, number: int = 1) -> Rule:
    return Rule(kind, RATE, EPS, BETAS, number)


def rows_by_id(native: RowTable) -> dict[int, Any]:
    records = native.records()
    parts = (records.weights, records.state, records.counts.tolist(), records.last_seen.tolist())
    return {id: rest for id, *rest in zip(records.ids.tolist(), *parts, strict=True)}


ids_of_a_batch = st.lists(st.one_of(st.integers(-6, 6), st.sampled_from(EXTREMES)), max_size=25)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("look_up"), ids_of_a_batch),
        st.tuples(st.just("step"), ids_of_a_batch),
        st.tuples(st.just("remove"), ids_of_a_batch),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=changes,
    kind=st.sampled_from(["sgd", "adagrad", "rowwise_adagrad", "adam"]),
    dim=st.sampled_from([1, 3, 8, 17]),
    admit_after=st.integers(1, 4),
    shared_rows=st.sampled_from([0, 1, 3]),
    seed=st.integers(-5, 5),
)
def test_any_changes_leave_what_a_dictionary_would_hold(
    instructions: str, changes: Any, kind: Any, dim: int, admit_after: int, shared_rows: int, seed: int
) -> None:
    options = {"seed": seed, "shared_rows": shared_rows, "admit_after": admit_after}
    native, slow = table(dim, **options), SlowTable(dim, **options)
    random = np.random.default_rng(seed % 7)
    number = 0
    for what, ids in changes:
        batch = torch.tensor(ids, dtype=torch.int64)
        if what == "look_up":
            found = native.look_up(batch, training=True, threads=1 + seed % 3)
            np.testing.assert_allclose(found, slow.look_up(ids, training=True), rtol=1e-4, atol=1e-4)
        elif what == "step":
            number += 1
            gradients = random.normal(size=(len(ids), dim)).astype(np.float32)
            native.step(batch, torch.from_numpy(gradients), rule(kind, number), initial=INITIAL)
            slow.step(ids, gradients, kind, rate=RATE, eps=EPS, initial=INITIAL, number=number)
        else:
            assert native.remove(batch.numpy()) == slow.remove(ids)
    asked = [*range(-7, 8), *EXTREMES]
    found = native.look_up(torch.tensor(asked), training=False)
    np.testing.assert_allclose(found, slow.look_up(asked, training=False), rtol=1e-4, atol=1e-4)
    rows = rows_by_id(native)
    assert rows.keys() == slow.rows.keys()
    assert len(native) == len(slow.rows)
    assert native.clock == slow.clock
    for id, (_, state, count, last_seen) in rows.items():
        row = slow.rows[id]
        assert (count, last_seen) == (row.count, row.last_seen)
        if row.state:
            np.testing.assert_allclose(state, np.concatenate([*row.state.values()]), rtol=1e-4, atol=1e-4)
    assert dict(zip(*(part.tolist() for part in native.waiting()), strict=True)) == slow.sightings


@given(seed=st.integers(0, 2**64 - 1), id=st.integers(-(2**63), 2**63 - 1), dim=st.integers(1, 9))
@settings(max_examples=50, deadline=None)
def test_first_weights_depend_on_the_seed_the_id_and_the_column_alone(seed: int, id: int, dim: int) -> None:
    native = table(dim, seed=seed, scale=0.25)
    native.look_up(torch.tensor([5, 6, 7]), training=True)
    found = native.look_up(torch.tensor([id]), training=True)
    assert np.array_equal(found[0], initial_values(stream_of(seed, id), 0.25, dim))


def test_first_weights_have_the_deviation_asked_for_and_no_pattern() -> None:
    weights = table(64, scale=0.5).look_up(torch.arange(4000), training=True).numpy()
    assert abs(weights.mean()) < 0.004
    assert weights.std() == pytest.approx(0.5, rel=0.01)
    assert np.abs(weights).max() <= 0.5 * 3.47
    assert abs(np.corrcoef(weights[:-1].ravel(), weights[1:].ravel())[0, 1]) < 0.01
    assert abs(np.corrcoef(weights[:, :-1].ravel(), weights[:, 1:].ravel())[0, 1]) < 0.01


def test_the_same_ids_in_the_same_order_give_the_same_table_for_any_number_of_threads() -> None:
    random = torch.Generator().manual_seed(0)
    batches = [torch.randint(-(2**62), 2**62, (40_000,), generator=random) for _ in range(2)]
    batches = [torch.cat([batch, batch[:20_000]]) for batch in batches]
    gradients = torch.randn(60_000, 16, generator=random)
    results = []
    for threads in (1, 2, 5):
        native = table(16, admit_after=2, shared_rows=8)
        for number, ids in enumerate(batches, start=1):
            native.look_up(ids, training=True, threads=threads)
            native.step(ids, gradients, rule("adam", number), initial=0, threads=threads)
            native.remove(ids[:100].numpy())
        results.append((native.records(), native.shared(), native.waiting()))
    for records, shared, waiting in results[1:]:
        for one, other in [(records, results[0][0]), (shared, results[0][1])]:
            for name in ("ids", "weights", "state", "counts", "last_seen"):
                assert np.array_equal(getattr(one, name), getattr(other, name)), name
        assert np.array_equal(waiting[0], results[0][2][0])
    assert len(results[0][0]) == 2 * (20_000 - 100)


def test_a_table_that_grows_and_shrinks_loses_nothing() -> None:
    native, alive = table(2), {}
    random = np.random.default_rng(0)
    for step in range(40):
        new = random.integers(-(2**63), 2**63 - 1, 3000 if step % 8 < 5 else 200)
        rows = native.look_up(torch.from_numpy(new), training=True)
        alive.update(zip(new.tolist(), rows.tolist(), strict=True))
        gone = random.choice(np.array(list(alive)), len(alive) // (2 if step % 8 >= 5 else 10), replace=False)
        assert native.remove(gone) == len(gone)
        for id in gone.tolist():
            del alive[id]
    assert len(native) == len(alive)
    found = native.look_up(torch.tensor(list(alive)), training=False)
    assert found.tolist() == list(alive.values())
    assert not native.look_up(torch.from_numpy(gone), training=False).any()


def test_rows_that_were_taken_away_are_used_again() -> None:
    native = table(64)
    native.look_up(torch.arange(50_000), training=True)
    before = native.num_bytes
    for start in range(50_000, 500_000, 50_000):
        native.remove(np.arange(start - 50_000, start))
        native.look_up(torch.arange(start, start + 50_000), training=True)
    assert native.num_bytes < before * 1.2


def test_a_row_that_comes_back_starts_anew() -> None:
    native, ids = table(3), torch.tensor([7])
    first = native.look_up(ids, training=True)
    native.step(ids, torch.ones(1, 3), rule("adagrad"), initial=INITIAL)
    assert not torch.equal(native.look_up(ids, training=False), first)
    native.remove(ids.numpy())
    assert torch.equal(native.look_up(ids, training=True), first)
    _, state, count, _ = rows_by_id(native)[7]
    assert (state.tolist(), count) == (np.full(3, INITIAL, np.float32).tolist(), 1)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_gradient_that_is_no_number_is_refused_and_moves_nothing(bad: float) -> None:
    native, ids = table(3), torch.tensor([4, 5])
    before = native.look_up(ids, training=True)
    gradients = torch.ones(2, 3)
    gradients[1, 2] = bad
    with pytest.raises(TrainingError, match="gradient of id 5 holds a NaN or an infinite value"):
        native.step(ids, gradients, rule("sgd"), initial=0)
    assert torch.equal(native.look_up(ids, training=False), before)
    assert native.clock == 0


def test_the_state_of_one_rule_is_not_taken_for_anothers() -> None:
    native, ids = table(3), torch.tensor([4])
    native.look_up(ids, training=True)
    native.step(ids, torch.ones(1, 3), rule("adagrad"), initial=INITIAL)
    with pytest.raises(ConfigError, match="hold the state of adagrad, and the optimizer follows adam"):
        native.step(ids, torch.ones(1, 3), rule("adam"), initial=0)
    native.start_state("adam", 0.0)
    native.step(ids, torch.ones(1, 3), rule("adam"), initial=0)
    assert native.records().state.shape == (1, 6)


def test_records_of_another_width_are_refused() -> None:
    native, other = table(3), table(4)
    native.look_up(torch.tensor([1]), training=True)
    with pytest.raises(ShapeError, match=r"weights are \[1, 3\], the table needs \[1, 4\]"):
        other.put(native.records())


@pytest.mark.parametrize("after", [2, 5, 255])
def test_a_sketch_admits_in_time_and_seldom_early(after: int) -> None:
    native = table(1, admit_after=after, sketch_bytes=1 << 16)
    ids = torch.arange(1000)
    for sighting in range(1, after):
        native.look_up(ids[: 1000 if after < 100 else 50], training=True)
        assert len(native) <= sighting  # an id is early only where all its counters are shared
    native.look_up(ids[: 1000 if after < 100 else 50], training=True)
    assert len(native) == (1000 if after < 100 else 50)


def test_readers_beside_a_training_get_whole_rows() -> None:
    native, ids = table(64), torch.arange(2000)
    native.look_up(ids, training=True)
    ones = torch.ones(2000, 64)
    # A step of minus its own weight, then of one: rows hold one number each, whichever it is.
    native.step(ids, native.look_up(ids, training=False), Rule("sgd", 1.0), initial=0)
    torn, done = [], threading.Event()

    def read() -> None:
        while not done.is_set():
            rows = native.look_up(ids, training=False)
            if not torch.equal(rows, rows[:, :1].expand(-1, 64)):
                torn.append(rows)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        native.step(ids, ones, Rule("sgd", 1.0), initial=0)
        native.look_up(torch.arange(2000 + 500 * number, 2500 + 500 * number), training=True)
    done.set()
    for reader in readers:
        reader.join()
    assert not torn
    assert (native.look_up(ids, training=False) == -60).all()
