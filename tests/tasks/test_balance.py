"""Several losses as one: uncertainty, GradNorm and PCGrad, against their papers' formulas."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import balance as reference
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.tasks import MultiTask
from shortlist.tasks.multitask import Balance

NAMES = ("a", "b", "c")


def combined(count: int, balance: Balance, **settings: Any) -> MultiTask:
    return MultiTask({name: nn.Identity() for name in NAMES[:count]}, balance=balance, **settings)


def losses_of(gradients: Tensor, shared: Tensor) -> dict[str, Tensor]:
    """Losses whose gradients at the shared parameter are the rows; each is 10 there."""
    values = gradients @ shared
    return {NAMES[i]: value - value.detach() + 10 for i, value in enumerate(values)}


VECTORS = st.lists(st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4), min_size=2, max_size=3)


@settings(max_examples=30, deadline=None)
@given(rows=VECTORS, seed=st.integers(0, 5))
def test_surgery_is_that_of_the_paper_in_some_order_of_the_tasks(rows, seed):
    torch.manual_seed(seed)
    shared = torch.zeros(4, requires_grad=True)
    task = combined(len(rows), "pcgrad")
    task.combine(losses_of(torch.tensor(rows), shared), shared=[shared]).backward()
    assert shared.grad is not None
    distances = [
        max(abs(a - b) for a, b in zip(shared.grad.tolist(), each, strict=True))
        for each in reference.every_surgery(rows)
    ]
    assert min(distances) < 1e-4


def test_two_tasks_that_conflict_both_give_way():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    shared = torch.zeros(2, requires_grad=True)
    combined(2, "pcgrad").combine(losses_of(rows, shared), shared=[shared]).backward()
    # The first keeps what is at right angles to the second: (1/2, 1/2); the second keeps (0, 1).
    torch.testing.assert_close(shared.grad, torch.tensor([0.5, 1.5]))


def test_tasks_that_agree_are_added_up_and_their_own_parameters_are_never_touched():
    shared, own = torch.zeros(2, requires_grad=True), torch.zeros(1, requires_grad=True)
    for rows, expected in (([[1.0, 2.0], [3.0, 0.0]], [4.0, 2.0]), ([[1.0, 0.0], [-2.0, 0.0]], [0.0, 0.0])):
        shared.grad = own.grad = None
        losses = losses_of(torch.tensor(rows), shared)
        losses["a"] = losses["a"] + 5 * own.sum()
        total = combined(2, "pcgrad").combine(losses, shared=[shared])
        assert total.item() == 20
        total.backward()
        torch.testing.assert_close(shared.grad, torch.tensor(expected))
        assert own.grad.item() == 5


def test_surgery_weighs_losses_and_follows_the_scale_of_the_backward_pass():
    rows = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    plain, scaled = torch.zeros(2, requires_grad=True), torch.zeros(2, requires_grad=True)
    task = combined(2, "pcgrad", weights={"b": 0.5})
    task.combine(losses_of(rows, plain), shared=[plain]).backward()
    torch.testing.assert_close(plain.grad, torch.tensor([0.5, 0.5 + 0.5]))
    (1024 * task.combine(losses_of(rows, scaled), shared=[scaled])).backward()  # a gradient scaler's
    torch.testing.assert_close(scaled.grad, 1024 * plain.grad)


class Net(nn.Module):
    """A shared layer and three heads, with losses of very different size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.shared, self.heads = nn.Linear(5, 8), nn.Linear(8, 3)
        self.inputs, self.targets = torch.randn(64, 5), torch.randn(64, 3) * torch.tensor([0.1, 1.0, 10.0])

    def losses(self) -> dict[str, Tensor]:
        errors = (self.heads(torch.tanh(self.shared(self.inputs))) - self.targets).square().mean(0)
        return {NAMES[i]: error for i, error in enumerate(errors)}

    def norms(self) -> list[float]:
        """Of the gradient of each loss for the shared weight."""
        found = [
            torch.autograd.grad(each, self.shared.weight, retain_graph=True)[0]
            for each in self.losses().values()
        ]
        return [float(each.norm()) for each in found]


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.5])
def test_grad_norm_moves_its_weights_as_the_papers_equation_says(alpha):
    net, task = Net(), combined(3, "gradnorm", alpha=alpha)
    optimizer = torch.optim.SGD([*net.parameters(), *task.parameters()], lr=0.01)
    first = [each.item() for each in net.losses().values()]
    expected = [1.0, 1.0, 1.0]
    for _ in range(4):
        losses, norms = net.losses(), net.norms()
        now = [each.item() for each in losses.values()]
        slopes = reference.grad_norm_slopes(norms, expected, now, first, alpha)
        optimizer.zero_grad()
        total = task.combine(losses, shared=[net.shared.weight])
        assert total.item() == pytest.approx(sum(w * each for w, each in zip(expected, now, strict=True)))
        total.backward()
        optimizer.step()
        moved = [max(w - 0.01 * slope, 1e-3) for w, slope in zip(expected, slopes, strict=True)]
        expected = [3 * w / sum(moved) for w in moved]
        assert list(task.weights.values()) == pytest.approx(expected, rel=1e-3)


def test_grad_norm_leaves_the_networks_gradient_that_of_the_weighted_sum():
    net, task = Net(), combined(3, "gradnorm")
    with torch.no_grad():
        task.balance.loss_weights.copy_(torch.tensor([2.0, 0.5, 0.5]))
    task.combine(net.losses(), shared=[net.shared.weight]).backward()
    found = net.shared.weight.grad
    losses = net.losses()
    expected = torch.autograd.grad(2 * losses["a"] + (losses["b"] + losses["c"]) / 2, net.shared.weight)[0]
    torch.testing.assert_close(found, expected)


def test_grad_norm_brings_the_norms_of_equal_rates_together():
    net, task = Net(), combined(3, "gradnorm", alpha=0.0)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.02)
    for _ in range(200):
        optimizer.zero_grad()
        task.combine(net.losses(), shared=[net.shared.weight]).backward()
        optimizer.step()
    weighted = [norm * weight for norm, weight in zip(net.norms(), task.weights.values(), strict=True)]
    assert max(net.norms()) > 5 * min(net.norms())
    assert max(weighted) < 1.3 * min(weighted)
    assert sum(task.weights.values()) == pytest.approx(3)


def test_uncertainty_at_its_best_is_the_log_of_twice_the_loss():
    task = combined(2, "uncertainty")
    with torch.no_grad():
        task.balance.log_variances.copy_(torch.log(2 * torch.tensor([0.3, 7.0])))
    task.combine({"a": torch.tensor(0.3), "b": torch.tensor(7.0)}).backward()
    torch.testing.assert_close(task.balance.log_variances.grad, torch.zeros(2))
    assert task.weights == pytest.approx({"a": 1 / 0.6, "b": 1 / 14})


@pytest.mark.parametrize("balance", ["uncertainty", "gradnorm", "pcgrad"])
def test_a_task_without_labels_moves_nothing_and_keeps_its_weight(balance):
    net, task = Net(), combined(3, balance)
    losses: dict[str, Tensor | None] = {**net.losses(), "b": None}
    total = task.combine(losses, shared=[net.shared.weight])
    assert total.item() == pytest.approx(sum(each.item() for each in losses.values() if each is not None))
    total.backward()
    for parameter in task.parameters():
        assert parameter.grad is not None
        assert parameter.grad[1] == 0
    assert net.heads.weight.grad is not None
    assert not net.heads.weight.grad[1].any()
    assert net.heads.weight.grad[0].any()


@pytest.mark.parametrize("balance", [None, "uncertainty", "gradnorm", "pcgrad"])
def test_a_look_at_the_loss_changes_nothing(balance):
    net, task = Net(), combined(3, balance)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.copy_(torch.tensor([1.5, 0.5, 1.0]))
    before = {name: value.clone() for name, value in task.state_dict().items()}
    task.eval()
    with torch.no_grad():
        total = task.combine(net.losses(), shared=[net.shared.weight])
    assert total.item() == pytest.approx(sum(each.item() for each in net.losses().values()))
    for name, value in task.state_dict().items():
        torch.testing.assert_close(value, before[name], equal_nan=True)


@pytest.mark.parametrize("balance", ["gradnorm", "pcgrad"])
def test_gradients_are_balanced_for_named_parameters_alone(balance):
    with pytest.raises(ConfigError, match="pass shared="):
        combined(3, balance).combine(Net().losses())
    table = nn.Embedding(4, 2, sparse=True)
    rows = table(torch.tensor([1, 2]))
    losses = {"a": rows.square().sum(), "b": rows.sum()}
    with pytest.raises(ConfigError, match="sparse gradients, which cannot be balanced"):
        combined(2, balance).combine(losses, shared=[table.weight])


def test_a_frozen_parameter_is_no_hindrance():
    net = Net()
    net.shared.bias.requires_grad_(False)
    combined(3, "pcgrad").combine(net.losses(), shared=list(net.shared.parameters())).backward()
    assert net.shared.weight.grad is not None
    assert net.shared.bias.grad is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"balance": "gradnrom"}, "did you mean 'gradnorm'"),
        ({"balance": "gradnorm", "alpha": -1.0}, "alpha is -1"),
        ({"balance": "gradnorm", "alpha": float("nan")}, "alpha is nan"),
        ({"balance": "gradnorm", "weights": {"a": 1.0}}, "balance='gradnorm' would learn them"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        MultiTask({"a": nn.Identity()}, **settings)


def test_a_batch_without_any_label_is_refused():
    with pytest.raises(ConfigError, match="no task has anything to learn from"):
        combined(2, "uncertainty").combine({"a": None, "b": None})
