"""Tables in bfloat16: rounded at random, right on average, the same for any threads and after a resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

import shortlist as sl
from shortlist.errors import ConfigError
from shortlist.kernels.rounding import Rounding, rounded
from shortlist.kernels.tables import Rule, gather_rows, update_rows
from shortlist.nn import Embedding
from shortlist.training import Adagrad, ClippyAdagrad, CompositeOptimizer, LazyAdam, RowwiseAdagrad

ROWS = 3000
SPACING = 2.0**-7  # of bfloat16 numbers, relative, at most
MAKERS = {"adagrad": Adagrad, "rowwise_adagrad": RowwiseAdagrad, "adam": LazyAdam, "clippy": ClippyAdagrad}


def half(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).bfloat16()


def state_of(kind: str, weight: Tensor) -> tuple[Tensor, ...]:
    if kind == "rowwise_adagrad":
        return (torch.full((len(weight), 1), 0.1),)
    return {
        "sgd": (),
        "adagrad": (torch.full_like(weight, 0.1),),
        "adam": (torch.zeros_like(weight), torch.zeros_like(weight)),
    }[kind]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    dim=st.sampled_from([1, 3, 16, 64, 65]),
    seed=st.integers(0, 2**63 - 1),
    step=st.integers(0, 2**31),
    scale=st.sampled_from([1e-30, 1.0, 1e30]),
)
def test_the_kernels_round_as_the_written_rule_to_the_bit(
    instructions: str, dim: int, seed: int, step: int, scale: float
) -> None:
    weight, rows = half(ROWS, dim) * scale, torch.tensor([7, 0, 2999, 41])
    gradients = torch.randn(4, dim) * scale
    expected = weight.clone()
    expected[rows] = rounded(gather_rows(weight, rows) - 0.5 * gradients, rows, Rounding(seed, step))
    update_rows(weight, (), rows, gradients, Rule("sgd", 0.5), rounding=Rounding(seed, step))
    assert torch.equal(weight, expected)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(["sgd", "adagrad", "rowwise_adagrad", "adam"]),
    dim=st.sampled_from([1, 8, 17, 64]),
    count=st.sampled_from([0, 1, 300, 4000]),
    seed=st.integers(0, 2**20),
)
def test_a_step_is_that_of_float32_but_for_one_rounding(
    instructions: str, kind: Any, dim: int, count: int, seed: int
) -> None:
    weight, rounding = half(ROWS, dim, seed=seed), Rounding(seed, 1)
    random = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 500, (count,), generator=random)
    gradients = torch.randn(count, dim, generator=random)
    state = state_of(kind, weight)
    wide, wide_state = weight.float(), tuple(each.float().clone() for each in state)
    update_rows(wide, wide_state, ids, gradients, Rule(kind, 0.3, 1e-4))
    update_rows(weight, state, ids, gradients, Rule(kind, 0.3, 1e-4), rounding=rounding, threads=1 + seed % 3)
    for stored, exact in zip((weight, *state), (wide, *wide_state), strict=True):
        assert ((stored.float() - exact).abs() <= SPACING * exact.abs()).all()
    assert torch.equal(weight[500:], half(ROWS, dim, seed=seed)[500:])


def test_any_number_of_threads_gives_the_same_bits(instructions: str) -> None:
    ids = torch.randint(0, 700, (20_000,), generator=torch.Generator().manual_seed(1))
    gradients = torch.randn(20_000, 64, generator=torch.Generator().manual_seed(2))
    results = []
    for threads in (1, 2, 5):
        weight = half(ROWS, 64)
        state = state_of("adagrad", weight)
        rule = Rule("adagrad", 0.1, 1e-7)
        update_rows(weight, state, ids, gradients, rule, rounding=Rounding(9, 4), threads=threads)
        results.append((weight, *state))
    for result in results[1:]:
        assert all(torch.equal(one, other) for one, other in zip(result, results[0], strict=True))


def test_rounding_is_right_on_average_and_never_further_than_a_neighbour() -> None:
    value = 1.0 + 0.3 / 128  # between the neighbours 1 and 1 + 1/128
    values = torch.full((2000, 64), value)
    found = rounded(values, torch.arange(2000), Rounding(3, 5)).float()
    assert set(found.unique().tolist()) == {1.0, 1.0 + 1 / 128}
    assert found.mean().item() == pytest.approx(value, abs=4 * 0.46 / 128 / 128_000**0.5)
    columns, rows = found.mean(0), found.mean(1)
    assert columns.std() < 2 * 0.46 / 128 / 2000**0.5  # neither a column nor a row has a habit
    assert rows.std() < 2 * 0.46 / 128 / 64**0.5


def test_what_bfloat16_holds_is_left_alone_and_what_is_no_number_stays_none() -> None:
    odd = torch.tensor([[0.0, -0.0, 1.5, -3e38, float("inf"), float("-inf"), float("nan")]])
    for step in range(20):
        found = rounded(odd, torch.tensor([1]), Rounding(0, step)).float()
        assert found[0, :3].equal(odd[0, :3])
        assert found[0, 4:6].equal(odd[0, 4:6])
        assert found[0, 6].isnan()
    with_nan = torch.tensor([[float("nan"), 1.0]]).bfloat16()
    update_rows(with_nan, (), torch.tensor([0]), torch.ones(1, 2), Rule("sgd", 0.1), rounding=Rounding(1, 1))
    assert with_nan[0, 0].isnan()


def test_it_learns_where_rounding_to_the_nearest_stalls() -> None:
    # A thousand steps of 1/1000 from 1 to 0: each is less than half of the way to bfloat16's next number.
    table = Embedding(65, 64, sparse=True, dtype=torch.bfloat16)
    nearest = torch.ones(64, 64, dtype=torch.bfloat16)
    with torch.no_grad():
        table.weight[1:] = 1
    rows, gradient = torch.arange(1, 65), torch.ones(64, 64)
    for step in range(1000):
        rule, rounding = Rule("sgd", 0.001), Rounding(0, step)
        update_rows(table.weight.detach(), (), rows, gradient, rule, rounding=rounding)
        nearest -= (0.001 * gradient).bfloat16()
    assert (nearest == 1).all()
    assert table.weight[1:].float().mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("kind", MAKERS)
def test_small_steps_of_every_optimizer_reach_the_target(kind: str) -> None:
    torch.manual_seed(0)
    errors = {}
    target = torch.randn(50, 16)
    for dtype in (torch.bfloat16, torch.float32):
        table = Embedding(51, 16, sparse=True, dtype=dtype, scale=0.0)
        optimizer = MAKERS[kind](table.parameters(), lr=0.005 if kind == "adam" else 0.02)
        for _ in range(800):
            optimizer.zero_grad()
            (table(torch.arange(1, 51)) - target).square().mean(1).sum().backward()
            assert table.weight.grad is not None
            assert table.weight.grad.dtype == torch.float32
            optimizer.step()
        errors[dtype] = (table.weight[1:].float() - target).square().mean().item()
    assert errors[torch.bfloat16] < errors[torch.float32] + 1e-3
    assert errors[torch.float32] < 0.5


@pytest.mark.parametrize("kind", ["adagrad", "rowwise_adagrad", "adam"])
def test_tables_that_the_kernels_do_not_take_round_alike(kind: str) -> None:
    weights = [half(40, 8), half(8, 40).T.contiguous().copy_(half(40, 8)), half(8, 40).T.copy_(half(40, 8))]
    assert not weights[2].is_contiguous()
    found = []
    for weight in weights:
        table = nn.Parameter(weight)
        table.grad_dtype = torch.float32
        torch.manual_seed(5)
        optimizer = MAKERS[kind]([table], lr=0.1)
        rows = torch.tensor([3, 7, 3, 39])
        for _ in range(3):
            values = torch.linspace(-1, 1, 32).reshape(4, 8)
            table.grad = torch.sparse_coo_tensor(rows[None], values, (40, 8), check_invariants=True)
            optimizer.step()
        found.append(table.detach().float())
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[0], found[2], rtol=SPACING, atol=1e-3)
    assert (found[0] == found[2]).float().mean() > 0.95


def model_of(dtype: torch.dtype | None = torch.bfloat16) -> sl.TwoTower:
    query = [sl.Id("user_id"), sl.History("item_id", pooling="attention")]
    return sl.TwoTower(
        sl.Tower(query, dim=8, sparse=True, table_dtype=dtype),
        sl.Tower([sl.Id("item_id"), sl.Text("title")], dim=8, sparse=True, table_dtype=dtype),
    )


def made_by(kind: str) -> Callable[..., torch.optim.Optimizer]:
    if kind != "composite":
        return MAKERS[kind]

    def composite(parameters: list[Tensor], lr: float) -> CompositeOptimizer:
        halves = [each for each in parameters if each.dtype == torch.bfloat16]
        others = [each for each in parameters if each.dtype != torch.bfloat16]
        return CompositeOptimizer([RowwiseAdagrad(halves, lr=lr), LazyAdam(others, lr=lr)])

    return composite


@pytest.mark.parametrize("kind", ["rowwise_adagrad", "adam", "composite"])
def test_a_resumed_training_ends_in_the_same_bits(kind: str, tmp_path: Path) -> None:
    data = sl.datasets.synthetic(users=60, items=120, events=1400, seed=1)

    def trained(epochs: int, **options: Any) -> list[Tensor]:
        model = model_of()
        settings: Any = {"optimizer": made_by(kind), "learning_rate": 0.05, **options}
        history = model.fit(data, epochs=epochs, seed=0, **settings)
        assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
        return [each.detach() for each in model.parameters()]

    straight = trained(4)
    trained(2, checkpoint_dir=tmp_path)
    resumed = trained(4, checkpoint_dir=tmp_path, resume=True)
    assert any(each.dtype == torch.bfloat16 for each in resumed)
    assert all(torch.equal(one, other) for one, other in zip(straight, resumed, strict=True))


def test_the_state_is_as_narrow_as_the_table_but_for_one_number_a_row(tmp_path: Path) -> None:
    shapes = {}
    for kind, make in MAKERS.items():
        table = Embedding(100, 16, sparse=True, dtype=torch.bfloat16)
        optimizer = make(table.parameters(), lr=0.1)
        table(torch.tensor([1, 2])).sum().backward()
        optimizer.step()
        saved = optimizer.state_dict()
        fresh = make(table.parameters(), lr=0.1)
        fresh.load_state_dict(saved)
        state = fresh.state[table.weight]
        assert {name: value.dtype for name, value in state.items()} == {
            name: value.dtype for name, value in saved["state"][0].items()
        }
        shapes[kind] = {
            name: (value.dtype, list(value.shape)) for name, value in state.items() if value.ndim == 2
        }
    assert shapes["adagrad"] == {"accumulator": (torch.bfloat16, [100, 16])}
    assert shapes["rowwise_adagrad"] == {"accumulator": (torch.float32, [100, 1])}
    assert set(shapes["adam"]) == {"mean", "square"}


def test_a_bundle_keeps_the_tables_in_bfloat16(tmp_path: Path) -> None:
    data = sl.datasets.synthetic(users=60, items=120, events=1400, seed=1)
    model = model_of()
    model.fit(data, epochs=1, optimizer=RowwiseAdagrad, learning_rate=0.05)
    funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(model, k=20)], size=5)
    funnel.save(tmp_path / "bundle")
    loaded = sl.Funnel.load(tmp_path / "bundle")
    restored = loaded.retrievers[0].model
    for name, value in model.state_dict().items():
        assert torch.equal(restored.state_dict()[name], value)
    assert restored.query.encoders["0"].embedding.weight.dtype == torch.bfloat16
    assert loaded.recommend("u001").frame.equals(funnel.recommend("u001").frame)
    restored.fit(
        data, epochs=1, optimizer=RowwiseAdagrad, learning_rate=0.05
    )  # goes on as a table in bfloat16
    assert restored.query.encoders["0"].embedding.weight.dtype == torch.bfloat16


def test_the_loss_falls_as_it_does_in_float32() -> None:
    data = sl.datasets.synthetic(users=60, items=120, events=1400, seed=1)
    losses = [
        model_of(dtype).fit(data, epochs=5, optimizer=Adagrad, learning_rate=0.1).epochs[-1]["loss"]
        for dtype in (torch.bfloat16, None)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_bfloat16_without_sparse_gradients_is_refused() -> None:
    with pytest.raises(ConfigError, match="a table in bfloat16 has dense gradients"):
        Embedding(10, 4, dtype=torch.bfloat16)
    with pytest.raises(ConfigError, match=r"table_dtype is torch.bfloat16 and sparse is False"):
        sl.Tower([sl.Id("user_id")], table_dtype=torch.bfloat16)
    with pytest.raises(ConfigError, match=r"table_dtype is torch.int8"):
        sl.Tower([sl.Id("user_id")], sparse=True, table_dtype=torch.int8)
    tower = sl.Tower([sl.Id("user_id")], sparse=True, table_dtype=torch.bfloat16)
    assert sl.Tower.from_config(tower.config()).table_dtype == torch.bfloat16
    with pytest.raises(ConfigError, match="table_dtype is sevenbit"):
        sl.Tower.from_config({**tower.config(), "table_dtype": "sevenbit"})
