"""Learning from what another policy showed: the weights of the paper, their gradient, and what is learned."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shortlist.errors import ConfigError, ShapeError
from shortlist.tasks import OffPolicyReinforce


def slow_log_policy(states: Tensor, items: Tensor, actions: Tensor) -> Tensor:
    scores = states @ items[1:].T
    return torch.stack([scores[i].log_softmax(0)[int(a) - 1] for i, a in enumerate(actions)])


@given(st.integers(1, 9), st.integers(1, 5), st.floats(0.5, 30), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_the_gradient_is_the_papers(batch: int, top_k: int, cap: float, seed: int):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(batch, 4, generator=generator, requires_grad=True)
    items = torch.randn(7, 4, generator=generator, requires_grad=True)
    actions = torch.randint(1, 7, (batch,), generator=generator)
    reward, logged = torch.randn(batch, generator=generator), -3 * torch.rand(batch, generator=generator)
    task = OffPolicyReinforce(None, 4, top_k=top_k, max_weight=cap)
    found = torch.autograd.grad(
        task(states, items, actions, reward=reward, log_probability=logged), (states, items)
    )
    log_policy = slow_log_policy(states, items, actions)
    total = torch.zeros(())
    for i in range(batch):
        chance = math.exp(log_policy[i].item())
        weight = min(chance / math.exp(logged[i].item()), cap)
        weight *= top_k * (1 - chance) ** (top_k - 1)
        total = total - weight * reward[i] * log_policy[i] / batch
    for one, other in zip(found, torch.autograd.grad(total, (states, items)), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


def test_the_model_of_the_logged_policy_learns_it_and_moves_no_state():
    torch.manual_seed(0)
    task = OffPolicyReinforce(4, 3)
    states = torch.ones(400, 3, requires_grad=True)
    items = torch.zeros(4, 3)
    actions = torch.multinomial(torch.tensor([0, 0.7, 0.2, 0.1]), 400, replacement=True)
    optimizer = torch.optim.Adam(task.parameters(), lr=0.05)
    for _ in range(120):
        optimizer.zero_grad()
        task(states, items, actions, reward=torch.zeros(400)).backward()
        optimizer.step()
    assert states.grad.abs().sum() == 0
    learned = (torch.ones(3) @ task.logged_policy.weight[1:].T).softmax(0)
    torch.testing.assert_close(learned, torch.bincount(actions)[1:] / 400, atol=0.02, rtol=0)


def learned_policy(corrected: bool) -> Tensor:
    """Item 1 was shown nine times as often as item 2, which pleases a little more."""
    torch.manual_seed(0)
    actions = torch.tensor([1] * 90 + [2] * 10)
    reward = torch.where(actions == 1, 0.5, 0.9)
    logged = torch.where(actions == 1, 0.9, 0.1).log()
    task = OffPolicyReinforce(None, 1, top_k=1)
    items = torch.zeros(3, 1, requires_grad=True)
    optimizer = torch.optim.SGD([items], lr=0.5)
    for _ in range(300):
        optimizer.zero_grad()
        shown = logged if corrected else slow_log_policy(torch.ones(100, 1), items.detach(), actions)
        task(torch.ones(100, 1), items, actions, reward=reward, log_probability=shown).backward()
        optimizer.step()
    return items[1:, 0].softmax(0).detach()


def test_the_correction_finds_the_better_item_though_it_was_shown_seldom():
    assert learned_policy(corrected=True)[1] > 0.9
    assert learned_policy(corrected=False)[1] < 0.5


def test_an_item_that_is_nearly_sure_to_be_shown_is_pushed_no_further():
    task = OffPolicyReinforce(None, 4, top_k=8)
    sure, rare = torch.tensor([0.9]).log(), torch.tensor([0.01]).log()
    assert task.weights(sure, sure) < 1e-5
    assert task.weights(rare, rare).item() == pytest.approx(8 * 0.99**7, rel=1e-4)
    plain = OffPolicyReinforce(None, 4, top_k=1)
    torch.testing.assert_close(plain.weights(sure, sure), torch.ones(1))


def test_what_does_not_fit_is_refused():
    states, items, actions = torch.zeros(2, 3), torch.zeros(5, 3), torch.tensor([1, 2])
    with pytest.raises(ConfigError, match="how likely the logged policy"):
        OffPolicyReinforce(None, 3)(states, items, actions)
    with pytest.raises(ShapeError, match="1 actions for 2 states"):
        OffPolicyReinforce(5, 3)(states, items, actions[:1])
    for options in ({"top_k": 0}, {"max_weight": 0.0}):
        with pytest.raises(ConfigError, match="top_k is"):
            OffPolicyReinforce(5, 3, **options)
