"""A table over ids without a vocabulary, as a module that trains."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from nn.dynamic_cases import assert_same, train
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shortlist.data import hash_ids
from shortlist.errors import ConfigError, DataError, ShapeError, TrainingError
from shortlist.nn import DynamicEmbedding, Embedding
from shortlist.training import Adagrad, ClippyAdagrad, CompositeOptimizer, LazyAdam, RowwiseAdagrad, fit

MAKERS = {"adagrad": Adagrad, "rowwise_adagrad": RowwiseAdagrad, "adam": LazyAdam}
IDS = torch.tensor([[3, -7, 3], [2**62, 9, -7]])


def target(step: int) -> Tensor:
    return torch.randn(*IDS.shape, 12, generator=torch.Generator().manual_seed(step))


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("max_norm", [None, 0.5])
def test_it_learns_what_a_static_table_learns(kind: str, max_norm: float | None) -> None:
    from shortlist.training import clip_gradients

    dynamic, static = DynamicEmbedding(12), Embedding(6, 12, sparse=True)
    rows = torch.tensor([[1, 2, 1], [3, 4, 2]])
    with torch.no_grad():
        static.weight[rows] = dynamic.table.look_up(IDS.flatten(), training=True).reshape(2, 3, 12)
    optimizers = [MAKERS[kind](table.parameters(), lr=0.1) for table in (dynamic, static)]
    for step in range(4):
        for table, ids, optimizer in zip((dynamic, static), (IDS, rows), optimizers, strict=True):
            optimizer.zero_grad()
            (table(ids) - target(step)).square().sum().backward()
            if max_norm:
                clip_gradients(table.parameters(), max_norm)
            optimizer.step()
    torch.testing.assert_close(dynamic.eval()(IDS), static.weight[rows], rtol=1e-5, atol=1e-6)


def test_gradients_of_several_backward_passes_add_up() -> None:
    tables = [DynamicEmbedding(12) for _ in range(2)]
    optimizers = [Adagrad(table.parameters()) for table in tables]
    for step in range(2):
        tables[0](IDS).mul(target(step)).sum().backward()
    (tables[1](IDS) * (target(0) + target(1))).sum().backward()
    for optimizer in optimizers:
        optimizer.step()
    torch.testing.assert_close(tables[0].eval()(IDS), tables[1].eval()(IDS))


def test_nothing_is_counted_outside_training() -> None:
    table = DynamicEmbedding(4)
    table.eval()
    assert not table(IDS).any()
    table.train()
    with torch.no_grad():
        assert not table(IDS).any()
    table.weight.requires_grad_(False)
    assert not table(IDS).any()
    assert table.num_rows == 0
    table.weight.requires_grad_(True)
    assert table(IDS).any()
    assert table.num_rows == 4


def test_an_id_shares_a_row_until_it_has_been_seen_often_enough() -> None:
    table = DynamicEmbedding(4, admit_after=3, shared_rows=1)
    shared = table.eval()(torch.tensor([1]))
    table.train()
    assert torch.equal(table(torch.tensor([5, 6])), shared.expand(2, 4))
    assert torch.equal(table(torch.tensor([5])), shared)
    assert table.num_rows == 0
    own = table(torch.tensor([6, 5, 5]))  # the third and fourth sighting of 5, and all its places get its row
    assert torch.equal(own[0], shared[0])
    assert torch.equal(own[1], own[2])
    assert not torch.equal(own[1], shared[0])
    assert table.num_rows == 1


def test_shared_rows_learn() -> None:
    table = DynamicEmbedding(4, admit_after=1000, shared_rows=2)
    before = table.eval()(torch.arange(50))
    optimizer = Adagrad(table.train().parameters())
    table(torch.arange(50)).sum().backward()
    optimizer.step()
    assert (table.eval()(torch.arange(50)) < before).all()


@pytest.mark.parametrize(
    "other", [torch.optim.SGD, torch.optim.Adam, torch.optim.Adagrad, torch.optim.SparseAdam, ClippyAdagrad]
)
def test_an_optimizer_that_cannot_step_it_is_found_out(other: Any) -> None:
    table = DynamicEmbedding(4)
    with pytest.raises((ConfigError, RuntimeError, ValueError, NotImplementedError)):  # noqa: PT012
        optimizer = other(table.parameters(), lr=0.1)
        table(IDS).sum().backward()
        optimizer.step()
        table(IDS)


@pytest.mark.parametrize("ids", [IDS.float(), IDS.int(), IDS.double()])
def test_ids_that_are_not_int64_are_refused(ids: Tensor) -> None:
    with pytest.raises(ShapeError, match="pass int64"):
        DynamicEmbedding(4)(ids)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"dim": 4, "admit_after": 0}, "admit_after is 0"),
        ({"dim": 4, "admit_after": 256, "sketch_bytes": 1024}, "admit_after is 256"),
        ({"dim": 4, "shared_rows": -1}, "shared_rows is -1"),
        ({"dim": 4, "sketch_bytes": 1}, "sketch_bytes is 1"),
        ({"dim": 4, "scale": float("nan")}, "scale is nan"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DynamicEmbedding(**options)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("options", [{}, {"admit_after": 3}, {"admit_after": 3, "sketch_bytes": 256}])
def test_a_table_that_was_saved_goes_on_as_if_it_never_stopped(
    kind: str, options: dict[str, Any], tmp_path: Path
) -> None:
    table = DynamicEmbedding(6, **options)
    optimizer = MAKERS[kind](table.parameters(), lr=0.1)
    train(table, optimizer, range(4))
    save_file(table.state_dict(), tmp_path / "table.safetensors")
    restored = DynamicEmbedding(6, **options)
    restored.load_state_dict(load_file(tmp_path / "table.safetensors"))
    again = MAKERS[kind](restored.parameters(), lr=0.1)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(table, optimizer, range(4, 9))
    train(restored, again, range(4, 9))
    assert table.num_rows > 10
    assert_same(table, restored)


def test_a_copy_is_a_table_of_its_own() -> None:
    table = DynamicEmbedding(4)
    before = table(IDS).detach()
    other = copy.deepcopy(nn.Sequential(table))[0]
    table(torch.tensor([100]))
    optimizer = Adagrad(table.parameters())
    table(IDS).sum().backward()
    optimizer.step()
    assert torch.equal(other.eval()(IDS), before)
    assert (table.num_rows, other.num_rows) == (5, 4)
    assert other.training is False


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights", torch.zeros(4, 5), r"weights is \[4, 5\], the table needs \[4, 4\]"),
        ("counts", torch.zeros(3, dtype=torch.int64), r"counts is \[3\], the table needs \[4\]"),
        ("ids", torch.zeros(4), "ids is torch.float32, not torch.int64"),
        ("rule", torch.tensor(9), "rule names no rule"),
        ("rule", torch.tensor(4), r"state is \[4, 0\], the table needs \[4, 8\]"),
    ],
)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(
    name: str, value: Tensor, message: str
) -> None:
    table = DynamicEmbedding(4)
    before = table(IDS).detach()
    with pytest.raises(RuntimeError, match=message):
        table.load_state_dict(table.state_dict() | {name: value})
    assert torch.equal(table.eval()(IDS), before)
    with pytest.raises(RuntimeError, match="Missing key"):
        table.load_state_dict({key: each for key, each in table.state_dict().items() if key != name})


class Pairs(nn.Module):
    """Which of two ids go together: a dynamic table beside an ordinary layer."""

    def __init__(self, admit_after: int = 1) -> None:
        super().__init__()
        self.table = DynamicEmbedding(8, admit_after=admit_after)
        self.between = nn.Linear(8, 8)

    def compute_loss(self, batch: dict[str, Tensor]) -> Tensor:
        scores = (self.between(self.table(batch["left"])) * self.table(batch["right"])).sum(-1)
        return nn.functional.binary_cross_entropy_with_logits(scores, batch["label"])


class Events:
    """Ids that nobody counted before; a tenth of them are new in each batch."""

    def __len__(self) -> int:
        return 12

    def epoch(self, number: int, *, start: int = 0) -> Any:
        for batch in range(start, len(self)):
            random = torch.Generator().manual_seed(100 * number + batch)
            left, right = torch.randint(0, 50 + 10 * batch, (2, 64), generator=random)
            yield {
                "left": hash_ids(pl.Series(left.numpy())),
                "right": right,
                "label": (left == right).float(),
            }


def test_a_model_that_holds_one_trains_and_resumes_alike(tmp_path: Path) -> None:
    options = {"learning_rate": 0.05, "max_grad_norm": 1.0, "schedule": "cosine", "monitor": "loss"}
    torch.manual_seed(0)
    start = Pairs(admit_after=2)
    straight = copy.deepcopy(start)
    history = fit(straight, Events(), epochs=4, **options)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]

    class Killed(Exception):
        pass

    class Kill:
        def on_train_start(self, state: Any) -> None: ...
        def on_step_end(self, state: Any) -> None:
            if state.step == 30:
                raise Killed

        def on_epoch_end(self, state: Any) -> None: ...
        def on_train_end(self, state: Any) -> None: ...

    where = {"checkpoint_dir": tmp_path / "checkpoints", "checkpoint_every": 7}
    with pytest.raises(Killed):
        fit(copy.deepcopy(start), Events(), epochs=4, callbacks=[Kill()], **where, **options)
    resumed = copy.deepcopy(start)
    fit(resumed, Events(), epochs=4, resume=True, **where, **options)
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_it_stands_beside_layers_with_another_optimizer() -> None:
    model = Pairs()
    optimizer = CompositeOptimizer(
        [RowwiseAdagrad(model.table.parameters(), lr=0.1), torch.optim.AdamW(model.between.parameters())],
        cover=model.parameters(),
    )
    history = fit(model, Events(), epochs=3, optimizer=optimizer)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_that_is_converted_still_trains_its_table(overwrite: bool) -> None:
    model = Pairs()
    torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
    try:
        model.double().float().to("cpu")
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    history = fit(model, Events(), epochs=2, learning_rate=0.05)
    assert history.epochs[-1]["loss"] < history.epochs[0]["loss"]
    half = DynamicEmbedding(4).double()
    optimizer = Adagrad(half.parameters())
    before = half(IDS)
    before.sum().backward()
    optimizer.step()
    assert (half.eval()(IDS) < before).all()


def test_a_loss_that_is_no_number_changes_no_row() -> None:
    table = DynamicEmbedding(4)
    before = table(IDS).detach()
    optimizer = Adagrad(table.parameters())
    (table(IDS) * torch.tensor(float("nan"))).sum().backward()
    with pytest.raises(TrainingError, match="holds a NaN or an infinite value"):
        optimizer.step()
    assert torch.equal(table.eval()(IDS), before)


def test_strings_become_their_xxh64() -> None:
    known = {  # of the reference implementation, seed 0
        "": 0xEF46DB3751D8E999,
        "a": 0xD24EC4F1A98C6E5B,
        "abc": 0x44BC2CF5AD770999,
        "Nobody inspects the spammish repetition": 0xFBCEA83C8A378BF1,
    }
    assert [value % 2**64 for value in hash_ids(list(known)).tolist()] == list(known.values())
    series = pl.Series(["x", *known], dtype=pl.Categorical)[1:]
    assert torch.equal(hash_ids(series), hash_ids(list(known)))


def test_integers_stay_what_they_are() -> None:
    assert hash_ids(pl.Series([5, -3, 2**63 - 1])).tolist() == [5, -3, 2**63 - 1]
    assert hash_ids(pl.Series([5, 2**64 - 1], dtype=pl.UInt64)).tolist() == [5, -1]
    assert hash_ids(pl.Series([5], dtype=pl.Int8)).dtype == torch.int64
    assert hash_ids([]).shape == (0,)


def test_ids_that_are_missing_or_no_ids_are_refused() -> None:
    with pytest.raises(DataError, match="1 of 2 ids are missing"):
        hash_ids(pl.Series("user", ["a", None]))
    with pytest.raises(DataError, match="ids must be strings or integers"):
        hash_ids(pl.Series([0.5]))


def test_a_table_says_what_it_is() -> None:
    table = DynamicEmbedding(4, seed=7, admit_after=2)
    assert "4, rows=0, admit_after=2, seed=7" in repr(table)
    assert table.num_bytes > 0
    assert DynamicEmbedding(**table.config()).config() == table.config()


def test_another_optimizer_goes_on_once_the_state_is_forgotten() -> None:
    table = DynamicEmbedding(6)
    train(table, Adagrad(table.parameters()), range(2))
    other = LazyAdam(table.parameters())
    with pytest.raises(ConfigError, match="reset_optimizer_state"):
        train(table, other, range(2, 3))
    table.reset_optimizer_state()
    other.zero_grad()
    train(table, partial(LazyAdam, lr=0.1)(table.parameters()), range(2, 4))
    assert table.table.rule == "adam"
