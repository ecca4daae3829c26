"""The sequence encoders over padded histories: the same weights, without packed events and groups."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.export.dense_features import DenseFeature, Inputs
from shortlist.models.sequential import Sequential
from shortlist.nn.sequence.gru import GRUBlock
from shortlist.nn.sequence.hstu import HSTUBlock
from shortlist.nn.sequence.transformer import TransformerBlock

DOUBLINGS = 31  # of a second that 32 bits hold


class DenseSequence(DenseFeature):
    """From a history's item vectors to the query of a `Sequential`.

    Args:
        model: trained.
        name: of the history's rows, `[batch, n, dim]`, oldest first, padded at the end; its mask is
            `NAME_mask`.
        times: of the events' seconds, `[batch, n]` int32, where the model reads them.
    """

    start: Tensor
    thresholds: Tensor

    def __init__(self, model: Sequential, name: str, times: str | None) -> None:
        super().__init__([name] if times is None else [name, times])
        encoder = model.encoder
        self.scale = model.dim**0.5
        self.positions, self.gaps, self.norm = encoder.positions, encoder.gaps, encoder.norm
        self.blocks = nn.ModuleList(_dense_block(block) for block in encoder.blocks)
        self.register_buffer("start", model.start.detach().float()[None])
        self.register_buffer("thresholds", 2 ** torch.arange(DOUBLINGS, dtype=torch.int32))

    def forward(self, inputs: Inputs) -> Tensor:
        """`[batch, dim]`."""
        rows, mask = inputs[self.names[0]], inputs[f"{self.names[0]}_mask"]
        place = torch.arange(rows.shape[1], device=rows.device)
        values = rows * self.scale
        if self.positions is not None:
            values = values + self.positions(place)
        apart: Tensor | None = None
        if self.gaps is not None:
            times = inputs[self.names[1]]
            since = torch.cat([torch.zeros_like(times[:, :1]), times[:, 1:] - times[:, :-1]], dim=1)
            values = values + self.gaps(self._buckets(since))
            apart = self._buckets(times[:, :, None] - times[:, None, :])
        for block in self.blocks:
            values = block(values, apart)
        # Causality hides the padding at the end from the last event, which answers for all.
        count = mask.sum(1, keepdim=True)
        last = (place.float() == count - 1).float()
        found = self.norm((last[:, None] @ values).squeeze(1))
        return torch.where(count > 0, found, self.start)

    def _buckets(self, seconds: Tensor) -> Tensor:
        """`gap_buckets` in whole numbers: how many powers of two a gap reaches."""
        return (seconds.unsqueeze(-1) >= self.thresholds).long().sum(-1)


class DenseTransformer(nn.Module):
    """A `TransformerBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, values: Tensor, apart: Tensor | None) -> Tensor:
        """`[batch, n, dim]` to the same."""
        block = self.block
        queries, keys, mixed = _heads(block.projection(block.norm(values)), block.heads)
        scores = queries @ keys.transpose(2, 3) * queries.shape[3] ** -0.5
        weights = torch.where(_is_past(values), scores, -torch.inf).softmax(3)
        values = values + block.output(_side_by_side(weights @ mixed))
        return values + block.feed_forward(values)  # type: ignore[no-any-return]


class DenseHSTU(nn.Module):
    """An `HSTUBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: HSTUBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, values: Tensor, apart: Tensor | None) -> Tensor:
        """`[batch, n, dim]` and `[batch, n, n]` buckets of gaps to `[batch, n, dim]`."""
        block, dim = self.block, values.shape[2]
        projected = functional.silu(block.projection(block.norm(values)))
        gate, rest = projected[:, :, :dim], projected[:, :, dim:]
        queries, keys, mixed = _heads(rest, block.heads)
        place = torch.arange(values.shape[1], device=values.device)
        distance = (place[:, None] - place).clamp(min=0)
        bias = functional.embedding(distance, block.distance_bias[:, None]).squeeze(2)[None]
        if block.gap_bias is not None and apart is not None:
            bias = bias + functional.embedding(apart, block.gap_bias[:, None]).squeeze(3)
        scores = queries @ keys.transpose(2, 3) + bias[:, None]
        weights = functional.silu(scores) / block.length * _is_past(values).float()
        gated = block.attended_norm(_side_by_side(weights @ mixed)) * gate
        return values + block.output(gated)  # type: ignore[no-any-return]


class DenseGRU(nn.Module):
    """A `GRUBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    input_weights: Tensor
    state_weights: Tensor
    biases: Tensor

    def __init__(self, block: GRUBlock) -> None:
        super().__init__()
        gru = self.gru = block.gru
        self.register_buffer("input_weights", _in_order(cast(Tensor, gru.weight_ih_l0))[None])
        self.register_buffer("state_weights", _in_order(cast(Tensor, gru.weight_hh_l0))[None])
        biases = torch.cat([_in_order(cast(Tensor, each)) for each in (gru.bias_ih_l0, gru.bias_hh_l0)])
        self.register_buffer("biases", biases[None])

    def forward(self, values: Tensor, apart: Tensor | None) -> Tensor:
        """`[batch, n, dim]` to the same."""
        steps = values.transpose(0, 1)
        if not torch.onnx.is_in_onnx_export():
            return self.gru(steps)[0].transpose(0, 1)  # type: ignore[no-any-return]
        # One operator; left to itself the export would write a loop.
        events, batch, dim = steps.shape
        states = torch.onnx.ops.symbolic(
            "GRU",
            (steps, self.input_weights, self.state_weights, self.biases),
            {"hidden_size": dim, "linear_before_reset": 1},
            dtype=steps.dtype,
            shape=(events, 1, batch, dim),
        )
        return states.squeeze(1).transpose(0, 1)


def _in_order(weights: Tensor) -> Tensor:
    """Gates in ONNX's order, update, reset, new; PyTorch's is reset, update, new."""
    reset, update, new = weights.detach().float().chunk(3)
    return torch.cat([update, reset, new])


def _dense_block(block: nn.Module) -> nn.Module:
    if isinstance(block, TransformerBlock):
        return DenseTransformer(block)
    if isinstance(block, HSTUBlock):
        return DenseHSTU(block)
    return DenseGRU(cast(GRUBlock, block))


def _heads(projected: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """`[batch, n, 3 * dim]` to three times `[batch, heads, n, dim / heads]`."""
    batch, events, _ = projected.shape
    split = projected.reshape(batch, events, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return split[0], split[1], split[2]


def _side_by_side(mixed: Tensor) -> Tensor:
    """`[batch, heads, n, width]` to `[batch, n, heads * width]`."""
    return mixed.transpose(1, 2).flatten(2)


def _is_past(values: Tensor) -> Tensor:
    """`[n, n]` bool, whether the column's event is the row's or one before it."""
    place = torch.arange(values.shape[1], device=values.device)
    return place[:, None] >= place
