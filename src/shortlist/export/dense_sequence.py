"""The sequence encoders over padded histories: the same weights, without packed events and groups."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
        batch, count, dim = rows.shape
        values = rows * self.scale
        if self.positions is not None:
            values = values + self.positions.weight[:count]
        # An event without one after it is the last; an empty history has none.
        is_last = mask - functional.pad(mask, (0, 1))[:, 1:]
        place = torch.arange(count, device=rows.device)
        every = Seen(None, place[:, None] >= place, (place[:, None] - place)[None])
        last = Seen(
            is_last[:, None], mask[:, None, None] > 0, (mask.sum(1, keepdim=True).long() - 1 - place)[:, None]
        )
        if self.gaps is not None:
            times = inputs[self.names[1]]
            since = torch.cat([torch.zeros_like(times[:, :1]), times[:, 1:] - times[:, :-1]], dim=1)
            values = values + self.gaps(self._buckets(since))
            latest = (times * is_last.int()).sum(1, keepdim=True, dtype=torch.int32)
            every = replace(every, apart=self._buckets(times[:, :, None] - times[:, None, :]))
            last = replace(last, apart=self._buckets(latest - times)[:, None])
        values = values.reshape(-1, dim)
        for block in self.blocks[:-1]:
            values = block(values, every, batch)
        # The query is what the last event becomes, so the last block answers for no other.
        found = self.norm(self.blocks[-1](values, last, batch))
        return torch.where(mask[:, :1] > 0, found, self.start)

    def _buckets(self, seconds: Tensor) -> Tensor:
        """`gap_buckets` in whole numbers: how many powers of two a gap reaches."""
        return (seconds.unsqueeze(-1) >= self.thresholds).long().sum(-1)


@dataclass(frozen=True)
class Seen:
    """Which events a block answers for, and what each of them sees.

    Args:
        chosen: `[batch, 1, n]` float32, 1 at the event to answer for; None for all of them.
        earlier: bool, of a shape that goes with `[batch, heads, m, n]`: which of the n events each of the m
            to answer for sees. Those after it are hidden, the padding at the end among them.
        distance: `[1 or batch, m, n]` how many events lie between.
        apart: `[batch, m, n]` buckets of the seconds between, or None.
    """

    chosen: Tensor | None
    earlier: Tensor
    distance: Tensor
    apart: Tensor | None = None

    def of(self, values: Tensor, batch: int) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        if self.chosen is None:
            return values
        return (self.chosen @ values.reshape(batch, -1, values.shape[1])).squeeze(1)


class DenseTransformer(nn.Module):
    """A `TransformerBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.block = block
        self.queries, self.keys, self.mixed = _parts(block.projection, 3)

    def forward(self, values: Tensor, seen: Seen, batch: int) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        block, own, events = self.block, seen.of(values, batch), self.block.norm(values)
        asking = events if own is values else block.norm(own)
        queries, keys, mixed = (
            _heads(layer(rows), batch=batch, heads=block.heads)
            for layer, rows in ((self.queries, asking), (self.keys, events), (self.mixed, events))
        )
        scores = queries @ keys.transpose(2, 3) * queries.shape[3] ** -0.5
        weights = torch.where(seen.earlier, scores, -torch.inf).softmax(3)
        answers = own + block.output(_side_by_side(weights @ mixed))
        return answers + block.feed_forward(answers)  # type: ignore[no-any-return]


class DenseHSTU(nn.Module):
    """An `HSTUBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: HSTUBlock) -> None:
        super().__init__()
        self.block = block
        self.gate, self.queries, self.keys, self.mixed = _parts(block.projection, 4)

    def forward(self, values: Tensor, seen: Seen, batch: int) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        block, own, events = self.block, seen.of(values, batch), self.block.norm(values)
        asking = events if own is values else block.norm(own)
        queries, keys, mixed = (
            _heads(functional.silu(layer(rows)), batch=batch, heads=block.heads)
            for layer, rows in ((self.queries, asking), (self.keys, events), (self.mixed, events))
        )
        bias = functional.embedding(seen.distance.clamp(min=0), block.distance_bias[:, None]).squeeze(3)
        if block.gap_bias is not None and seen.apart is not None:
            bias = bias + functional.embedding(seen.apart, block.gap_bias[:, None]).squeeze(3)
        scores = queries @ keys.transpose(2, 3) + bias[:, None]
        weights = functional.silu(scores) / block.length * seen.earlier.float()
        gate = functional.silu(self.gate(asking))
        gated = block.attended_norm(_side_by_side(weights @ mixed)) * gate
        return own + block.output(gated)  # type: ignore[no-any-return]


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

    def forward(self, values: Tensor, seen: Seen, batch: int) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        dim = values.shape[1]
        steps = values.reshape(batch, -1, dim).transpose(0, 1)
        if torch.onnx.is_in_onnx_export():
            # One operator; left to itself the export would write a loop.
            states = torch.onnx.ops.symbolic(
                "GRU",
                (steps, self.input_weights, self.state_weights, self.biases),
                {"hidden_size": dim, "linear_before_reset": 1},
                dtype=steps.dtype,
                shape=(steps.shape[0], 1, batch, dim),
            ).squeeze(1)
        else:
            states = self.gru(steps)[0]
        return seen.of(states.transpose(0, 1).reshape(-1, dim), batch)


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


def _parts(projection: nn.Linear, count: int) -> list[nn.Linear]:
    """One layer for each of the vectors that a layer makes side by side."""
    parts = []
    for weight, bias in zip(projection.weight.chunk(count), projection.bias.chunk(count), strict=True):
        part = nn.Linear(weight.shape[1], weight.shape[0])
        part.weight, part.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
        parts.append(part)
    return parts


def _heads(rows: Tensor, *, batch: int, heads: int) -> Tensor:
    """`[batch * n, dim]` to `[batch, heads, n, dim / heads]`."""
    width = rows.shape[1] // heads
    if heads == 1:
        return rows.reshape(batch, 1, -1, width)
    return rows.reshape(batch, -1, heads, width).transpose(1, 2)


def _side_by_side(mixed: Tensor) -> Tensor:
    """`[batch, heads, m, width]` to `[batch * m, heads * width]`."""
    _, heads, _, width = mixed.shape
    return mixed.reshape(-1, width) if heads == 1 else mixed.transpose(1, 2).reshape(-1, heads * width)
