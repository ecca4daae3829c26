"""Learning what to show from what another policy showed, and what came of it."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import full_softmax
from shortlist.nn import Embedding


class OffPolicyReinforce(nn.Module):
    """REINFORCE over a catalogue, corrected for who chose the items, and for showing several at once.

    The policy is a softmax over the whole catalogue. What the logs hold was chosen by another policy: each
    event weighs as much more as the new policy likes it better. And where `top_k` items are shown together,
    an item that is nearly sure to be among them needs no further push.

    Args:
        num_items: of the catalogue, the unknown counted, for the model of the policy that wrote the logs;
            None where the logs hold its probabilities.
        dim: width of the states.
        top_k: how many items are shown together; 1 is plain REINFORCE.
        max_weight: an event's largest importance weight; without a cap a few events decide everything.

    Raises:
        ConfigError: a number is out of range.

    Source: Chen et al., Top-k off-policy correction for a REINFORCE recommender system (WSDM 2019).
    """

    def __init__(
        self, num_items: int | None, dim: int, *, top_k: int = 16, max_weight: float = math.exp(3)
    ) -> None:
        super().__init__()
        if top_k < 1 or not max_weight > 0:
            raise ConfigError(
                f"top_k is {top_k}, max_weight is {max_weight}",
                remedy="pass at least 1, and a positive weight",
            )
        self.top_k, self.max_weight = top_k, max_weight
        self.logged_policy = None if num_items is None else Embedding(num_items, dim)

    def forward(
        self,
        states: Tensor,
        items: Tensor,
        actions: Tensor,
        *,
        reward: Tensor | None = None,
        log_probability: Tensor | None = None,
    ) -> Tensor:
        """The loss of a batch of logged events.

        Args:
            states: `[batch, dim]` float, what the model knows of each request.
            items: `[num_items, dim]` float embeddings; row 0, the unknown, is never shown.
            actions: `[batch]` int64, the item that was shown, from 1.
            reward: `[batch]` float, what came of it; 1 for all by default.
            log_probability: `[batch]` float, how likely the policy that wrote the logs was to show it; needed
                where that policy isn't modelled.

        Returns:
            Scalar. Its gradient is the policy's, and for the model of the logged policy, whose states are
            held fixed, that of its likelihood.

        Raises:
            ConfigError: the probabilities are missing.
            ShapeError: the arguments do not fit together.
        """
        if len(actions) != len(states):
            raise ShapeError(
                f"{len(actions)} actions for {len(states)} states", remedy="pass one action a state"
            )
        surprise = _surprise(states, items, actions)  # -log of the policy
        imitation = torch.zeros((), device=states.device)
        if log_probability is None:
            if self.logged_policy is None:
                raise ConfigError(
                    "nothing tells how likely the logged policy was to show the items",
                    remedy="pass log_probability, or num_items to model it",
                )
            logged = _surprise(states.detach(), self.logged_policy.weight, actions)
            imitation, log_probability = logged.mean(), -logged.detach()
        weight = self.weights(-surprise.detach(), log_probability)
        gain = weight if reward is None else weight * reward
        return (gain * surprise).mean() + imitation

    def weights(self, log_policy: Tensor, log_logged: Tensor) -> Tensor:
        """What each event's gradient is multiplied by.

        Args:
            log_policy: `[batch]` log-probability of the item under the policy that is learned.
            log_logged: `[batch]` under the policy that wrote the logs.

        Returns:
            `[batch]`: the capped importance weight times `K (1 - p) ** (K - 1)`.
        """
        importance = (log_policy - log_logged).exp().clamp(max=self.max_weight)
        return importance * self.top_k * (1 - log_policy.exp()).clamp(min=0) ** (self.top_k - 1)


def _surprise(states: Tensor, items: Tensor, actions: Tensor) -> Tensor:
    """`[batch]` minus the logarithm of each action's share in the softmax over the items."""
    return full_softmax(states, items[1:], actions - 1)
