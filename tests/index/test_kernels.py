"""The kernels against the slow reference, on data made to break bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.reference import exact_top_k

from shortlist import kernels
from shortlist.data import Ragged
from shortlist.errors import ConfigError, DataError, ShapeError
from shortlist.kernels.blocks import top_k_in_blocks

SIZES = [0, 1, 2, 63, 64, 65, 129, 1500]
DIMS = [1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 64, 65, 100]
BATCHES = [0, 1, 2, 4, 5, 16, 17, 33, 64, 65, 130]
KINDS = [
    "gaussian", "heavy", "huge", "outlier", "tied", "near", "constant", "integers", "denormal", "scales",
    "far", "zero",
]  # fmt: skip


def make(kind: str, n: int, dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    plain = rng.standard_normal((n, dim))
    if kind == "heavy":
        plain *= rng.pareto(1.0, (n, 1)) + 0.01
    elif kind == "huge":  # sums overflow a float
        plain *= 1e37
    elif kind == "outlier":  # one value ruins the scale of its block
        plain[rng.random((n, dim)) < 0.01] *= 1e6
    elif kind == "tied":
        plain = plain[rng.integers(0, max(n // 20, 1), n)] if n else plain
    elif kind == "near":  # differences drown in the error of the codes
        plain = plain[:1] + 1e-6 * plain
    elif kind == "constant":
        plain[:] = plain[:1] if n else 0
    elif kind == "integers":
        plain = rng.integers(-2, 3, (n, dim))
    elif kind == "denormal":
        plain *= 1e-42
    elif kind == "scales":
        plain *= 10.0 ** rng.uniform(-44, 37, (n, 1))
    elif kind == "far":  # differences are small beside the values
        plain += 1000
    elif kind == "zero":
        plain *= 0
    return np.clip(plain, -3e38, 3e38).astype(np.float32)


@st.composite
def searches(draw: st.DrawFn) -> dict[str, object]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n, dim, batch = draw(st.sampled_from(SIZES)), draw(st.sampled_from(DIMS)), draw(st.sampled_from(BATCHES))
    vectors = make(draw(st.sampled_from(KINDS)), n, dim, rng)
    queries = make(draw(st.sampled_from(KINDS)), batch, dim, rng)
    share, cut = draw(st.sampled_from([None, 0.0, 0.02, 0.5, 1.0])), draw(st.sampled_from([None, 0, 3, 500]))
    return {
        "vectors": vectors,
        "queries": queries,
        "k": draw(st.sampled_from([1, 2, 10, 70, 1000])),
        "metric": draw(st.sampled_from(["dot", "l2"])),
        "where": None if share is None else rng.random(n) < share,
        "exclude": None if cut is None else [rng.integers(-5, n + 5, cut).tolist() for _ in range(batch)],
    }


@pytest.mark.parametrize("prepared", [True, False], ids=["prepared", "one-off"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(search=searches())
def test_every_search_equals_scoring_all_rows_in_double_and_sorting(
    instructions: str, prepared: bool, search: dict[str, object]
) -> None:
    vectors, queries, k = search["vectors"], search["queries"], search["k"]
    options = {"metric": search["metric"], "exclude": search["exclude"], "where": search["where"]}
    rows, scores = exact_top_k.top_k(vectors, queries, k, **options)
    segment = kernels.Segment(vectors, kernels.encode(vectors) if prepared else None)
    if options["exclude"] is not None:
        lists = Ragged.from_lists(options["exclude"])
        options["exclude"] = (lists.values.numpy(), lists.offsets.numpy())
    found = kernels.search_segments([segment], queries, min(k, len(vectors)), **options, threads=2)
    np.testing.assert_array_equal(found[0], rows)
    np.testing.assert_array_equal(found[1], scores)  # the same bits, whatever the instruction set


@pytest.mark.parametrize(("n", "batch"), [(100_000, 1), (100_000, 5), (20_000, 40), (3_000, 400)])
@pytest.mark.parametrize("kind", ["gaussian", "heavy", "tied", "scales"])
def test_threads_do_not_change_the_answer(kind: str, n: int, batch: int) -> None:
    rng = np.random.default_rng(n + batch)
    vectors, queries = (
        torch.from_numpy(make(kind, n, 24, rng)),
        torch.from_numpy(make("gaussian", batch, 24, rng)),
    )
    one = kernels.PreparedVectors(vectors, threads=1).top_k(queries, 50)
    three = kernels.PreparedVectors(vectors, threads=3).top_k(queries, 50)
    raw = kernels.top_k(vectors, queries, 50, threads=3)
    assert torch.equal(one[0], three[0])
    assert torch.equal(one[1], three[1])
    assert torch.equal(one[0], raw[0])
    assert torch.equal(one[1], raw[1])
    rows, _ = exact_top_k.top_k(vectors.numpy(), queries[:2].numpy(), 50)
    np.testing.assert_array_equal(one[0][:2], rows)


@pytest.mark.parametrize("kind", ["gaussian", "integers", "tied", "zero"])
@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_pytorchs_way_finds_the_same_rows_and_breaks_ties_the_same_way(
    kind: str, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shortlist.kernels.blocks.BLOCK_SCORES", 600)  # several blocks
    rng = np.random.default_rng(3)
    vectors, queries = make(kind, 500, 8, rng), make("integers", 6, 8, rng)
    exclude, where = [[0, 1, 2], [], [9999], [5] * 3, list(range(300)), [499]], rng.random(500) < 0.5
    rows, scores = exact_top_k.top_k(vectors, queries, 40, metric=metric, exclude=exclude, where=where)
    found = top_k_in_blocks(
        torch.from_numpy(vectors),
        torch.from_numpy(queries),
        40,
        metric=metric,
        exclude=Ragged.from_lists(exclude),
        where=torch.from_numpy(where),
    )
    np.testing.assert_array_equal(found[0], rows)
    np.testing.assert_allclose(found[1], scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", ["dot", "l2"])
def test_tensors_ragged_exclusions_and_a_mask_give_the_references_rows(metric: str) -> None:
    rng = np.random.default_rng(8)
    vectors, queries = make("integers", 300, 6, rng), make("gaussian", 3, 6, rng)
    where = rng.random(300) < 0.3
    exclude = [[1, 2, 3, 700], [], list(range(290))]
    rows, scores = exact_top_k.top_k(vectors, queries, 30, metric=metric, exclude=exclude, where=where)
    matrix = torch.from_numpy(vectors).requires_grad_()
    prepared = kernels.PreparedVectors(matrix, metric=metric)
    assert len(prepared) == 300
    options = {"exclude": Ragged.from_lists(exclude), "where": torch.from_numpy(where)}
    for found in (
        prepared.top_k(torch.from_numpy(queries), 30, **options),
        kernels.top_k(matrix, torch.from_numpy(queries), 30, metric=metric, **options),
    ):
        np.testing.assert_array_equal(found[0], rows)
        np.testing.assert_array_equal(found[1], scores.astype(np.float32))


def test_flushing_denormals_to_zero_changes_no_score() -> None:
    rng = np.random.default_rng(1)
    vectors, queries = make("denormal", 300, 16, rng), make("gaussian", 9, 16, rng)
    expected, _ = exact_top_k.top_k(vectors, queries, 20)
    torch.set_flush_denormal(True)
    try:
        rows, _ = kernels.top_k(torch.from_numpy(vectors), torch.from_numpy(queries), 20)
    finally:
        torch.set_flush_denormal(False)
    np.testing.assert_array_equal(rows, expected)


def test_a_matrix_that_is_not_contiguous_is_searched_as_it_reads() -> None:
    vectors = torch.randn(7, 90, generator=torch.Generator().manual_seed(0)).T
    queries = torch.randn(10, 14, generator=torch.Generator().manual_seed(1))[:, ::2]
    rows, _ = kernels.top_k(vectors, queries, 5)
    assert torch.equal(rows, kernels.top_k(vectors.contiguous(), queries.contiguous(), 5)[0])


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("queries", [1, 3])
def test_a_value_that_is_no_number_is_refused_with_its_row(bad: float, queries: int) -> None:
    vectors = torch.ones(200, 5)
    vectors[130, 2] = bad
    with pytest.raises(DataError, match="vector 130"):
        kernels.top_k(vectors, torch.ones(queries, 5), 3)
    with pytest.raises(DataError, match="vector 130"):
        kernels.PreparedVectors(vectors)
    with pytest.raises(DataError, match="query 0"):
        kernels.top_k(torch.ones(9, 5), torch.full((queries, 5), bad), 3)


def test_arguments_that_do_not_fit_are_refused_by_name() -> None:
    vectors, queries = torch.ones(9, 5), torch.ones(2, 5)
    with pytest.raises(ShapeError, match=r"vectors must be a float32 matrix .* torch.float64"):
        kernels.top_k(vectors.double(), queries, 3)
    with pytest.raises(ShapeError, match=r"queries must be a float32 matrix \[n, 5\], got .* \[2, 4\]"):
        kernels.top_k(vectors, queries[:, :4], 3)
    with pytest.raises(ShapeError, match="where must be bool"):
        kernels.top_k(vectors, queries, 3, where=torch.ones(8, dtype=torch.bool))
    with pytest.raises(ShapeError, match="exclude has 1 lists for 2 queries"):
        kernels.top_k(vectors, queries, 3, exclude=Ragged.from_lists([[1]]))
    with pytest.raises(ShapeError, match="70000 wide"):
        kernels.top_k(torch.ones(1, 70_000), torch.ones(1, 70_000), 1)
    with pytest.raises(ShapeError, match="queries are on meta"):
        kernels.top_k(vectors, queries.to("meta"), 3)
    for k in (0, -1, 2.5, True):
        with pytest.raises(ConfigError, match="k is"):
            kernels.top_k(vectors, queries, k)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="threads is 0"):
        kernels.top_k(vectors, queries, 3, threads=0)
    with pytest.raises(ConfigError, match="instruction set 'mmx'"):
        kernels.use_kernels("mmx")


def test_the_widest_vectors_allowed_do_not_overflow_the_sums_of_codes() -> None:
    vectors = torch.ones(70, 65_536)
    vectors[1::2] = -1
    vectors[3] = 0.5
    rows, scores = kernels.PreparedVectors(vectors).top_k(torch.ones(2, 65_536), 40)
    assert rows[0].tolist() == [*range(0, 70, 2), 3, 1, 5, 7, 9]
    assert scores[0, 0] == 65_536
