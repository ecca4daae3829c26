"""A padded history in the light of each candidate."""

from __future__ import annotations

from torch import Tensor

from shortlist.export.dense_features import DenseFeature, Inputs
from shortlist.nn.target_attention import TargetAttention


class DenseTargetHistory(DenseFeature):
    """A `TargetHistoryEncoder` for the candidates of one request, with the same weights.

    Args:
        name: of the history's rows, `[1, n, dim]`; its mask is `NAME_mask`, `[1, n]`.
        attention: with the weights.
    """

    def __init__(self, name: str, attention: TargetAttention) -> None:
        super().__init__([name])
        self.attention = attention

    def forward(self, inputs: Inputs, candidates: Tensor) -> Tensor:
        """`[items, dim]` of the candidates to the same; zero for an empty history."""
        name, attention = self.names[0], self.attention
        events, mask = inputs[name][0], inputs[f"{name}_mask"][0]
        product = attention.of_product(events * candidates[:, None])  # [items, n, hidden]
        layer = attention.of_event(events) + attention.of_candidate(candidates)[:, None] + product
        weights = attention.weight(attention.activation(layer)).squeeze(2) * mask
        return weights @ events  # type: ignore[no-any-return]
