"""Several scorers as one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from shortlist.data.ragged import Ragged
from shortlist.errors import ConfigError


class EnsembleScorer(nn.Module):
    """The mean of several scorers, each of which is trained for itself.

    Small tables leave much to the chance of the first weights; the mean of a few nets loses little of what
    one of them knows and much of its chance. `shortlist.models.ListRanker` gives each member a loss of its
    own. Without that the members would learn to lean on each other.

    Args:
        members: scorers of the same features.

    Raises:
        ConfigError: there is no member.
    """

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        if not members:
            raise ConfigError("an ensemble needs a member", remedy="pass scorers, such as five of one kind")
        self.members = nn.ModuleList(members)

    def forward(self, features: Ragged) -> Ragged:
        """Score all items.

        Args:
            features: lists whose values are `[total, in_features]`.

        Returns:
            Lists of scores, `[total]`.
        """
        values = torch.stack([scores.values for scores in self.each(features)])
        return Ragged(values.mean(dim=0), features.offsets)

    def each(self, features: Ragged) -> list[Ragged]:
        """What each member says.

        Args:
            features: lists whose values are `[total, in_features]`.
        """
        return [member(features) for member in self.members]
