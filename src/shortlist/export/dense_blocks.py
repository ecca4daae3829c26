"""The blocks of sequence encoders over padded histories, and which events see which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from shortlist.nn.sequence.gru import GRUBlock
from shortlist.nn.sequence.hstu import HSTUBlock
from shortlist.nn.sequence.transformer import TransformerBlock

HIDDEN = 24.0  # e to the power of -24 is less than float32 holds beside one, even a thousand times


@dataclass(frozen=True)
class Seen:
    """Which events a block answers for, and what each of them sees.

    Args:
        batch: how many histories there are; None for one without padding, which needs no axis for them.
        chosen: `[batch, 1, n]` float32, 1 at the event to answer for, or where it stands; None for all.
        shown: bool, `[batch, 1, n]`: what the event to answer for sees, all but the padding; None where there
            is none, and where all events are answered for, each of which sees those before it.
        distance: `[1 or batch, m, n]`, or `[m, n]`, how many events lie between.
        apart: `[batch, m, n]`, or `[m, n]`, buckets of the seconds between, or None.
    """

    batch: int | None
    chosen: Tensor | slice | None
    shown: Tensor | None
    distance: Tensor
    apart: Tensor | None = None

    def of(self, values: Tensor) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        if self.chosen is None:
            return values
        if isinstance(self.chosen, slice):
            return values[self.chosen]
        return (self.chosen @ self.by_history(values)).squeeze(1)

    def by_history(self, rows: Tensor) -> Tensor:
        """`[batch * n, dim]` to `[batch, n, dim]`, or as it is."""
        return rows if self.batch is None else rows.reshape(self.batch, -1, rows.shape[1])

    def by_head(self, rows: Tensor, heads: int) -> Tensor:
        """`[batch * n, dim]` to `[batch, heads, n, dim / heads]`, or `[heads, n, dim / heads]`."""
        width = rows.shape[1] // heads
        before = () if self.batch is None else (self.batch,)
        if heads == 1:
            return rows.reshape(*before, 1, -1, width)
        return rows.reshape(*before, -1, heads, width).transpose(-3, -2)

    def softmax(self, scores: Tensor) -> Tensor:
        """Of what each event sees, of scores `[batch, heads, m, n]`, or without one of the first axes."""
        # All see the oldest event, so what is this far below it weighs nothing beside it. Minus infinity
        # would do too, but runtimes make the smallest numbers there are of it, and these are slow.
        lowest = scores[..., :1] - HIDDEN
        if self.chosen is None:
            scores = (scores - lowest).tril()
        elif self.shown is not None:
            scores = torch.where(self.shown if scores.dim() == 3 else self.shown[:, None], scores, lowest)
        return scores.softmax(-1)

    def only(self, weights: Tensor) -> Tensor:
        """Weights `[batch, heads, m, n]`, or without the first axis, with 0 where an event is not seen."""
        if self.chosen is None:
            return weights.tril()
        return weights if self.shown is None else weights * self.shown[:, None]


def dense_block(block: nn.Module) -> nn.Module:
    """A block of a sequence encoder over padded sequences.

    Args:
        block: with the weights.
    """
    if isinstance(block, TransformerBlock):
        return DenseTransformer(block)
    if isinstance(block, HSTUBlock):
        return DenseHSTU(block)
    return DenseGRU(cast(GRUBlock, block))


class DenseTransformer(nn.Module):
    """A `TransformerBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.block = block
        self.attention = OneHead(block) if block.heads == 1 else SeveralHeads(block)

    def forward(self, values: Tensor, seen: Seen) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        block, own, events = self.block, seen.of(values), self.block.norm(values)
        asking = events if own is values else block.norm(own)
        answers = own + self.attention(asking, events, seen)
        return answers + block.feed_forward(answers)  # type: ignore[no-any-return]


class OneHead(nn.Module):
    """The attention of a block of one head, in two layers instead of four.

    The query and the key of two events meet in a product alone, so their layers become one matrix between the
    events themselves; what they add to all scores of an event changes no softmax. Its weights add up to one,
    so the layers of the values and of the output become one after the mixing.

    Args:
        block: with the weights.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        queries, keys, mixed = _parts(block.projection, 3)
        shown, output = keys.weight.T / keys.weight.shape[0] ** 0.5, block.output
        self.asked = _layer(shown @ queries.weight, shown @ queries.bias)
        self.answered = _layer(output.weight @ mixed.weight, output.weight @ mixed.bias + output.bias)

    def forward(self, asking: Tensor, events: Tensor, seen: Seen) -> Tensor:
        """`[batch * m, dim]` and `[batch * n, dim]` to `[batch * m, dim]`."""
        rows = seen.by_history(events)
        scores = seen.by_history(self.asked(asking)) @ rows.transpose(-2, -1)
        mixed = seen.softmax(scores) @ rows
        if seen.batch is not None:
            mixed = mixed.reshape(-1, events.shape[1])
        return self.answered(mixed)  # type: ignore[no-any-return]


class SeveralHeads(nn.Module):
    """The attention of a block of several heads.

    Args:
        block: with the weights.
    """

    def __init__(self, block: TransformerBlock) -> None:
        super().__init__()
        self.heads, self.output = block.heads, block.output
        self.queries, self.keys, self.mixed = _parts(block.projection, 3)

    def forward(self, asking: Tensor, events: Tensor, seen: Seen) -> Tensor:
        """`[batch * m, dim]` and `[batch * n, dim]` to `[batch * m, dim]`."""
        queries, keys, mixed = (
            seen.by_head(layer(rows), self.heads)
            for layer, rows in ((self.queries, asking), (self.keys, events), (self.mixed, events))
        )
        scores = queries @ keys.transpose(-2, -1) * queries.shape[-1] ** -0.5
        return self.output(_side_by_side(seen.softmax(scores) @ mixed))  # type: ignore[no-any-return]


class DenseHSTU(nn.Module):
    """An `HSTUBlock` over padded sequences.

    Args:
        block: with the weights.
    """

    def __init__(self, block: HSTUBlock) -> None:
        super().__init__()
        self.block = block
        self.gate, self.queries, self.keys, self.mixed = _parts(block.projection, 4)

    def forward(self, values: Tensor, seen: Seen) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        block, own, events = self.block, seen.of(values), self.block.norm(values)
        asking = events if own is values else block.norm(own)
        queries, keys, mixed = (
            seen.by_head(functional.silu(layer(rows)), block.heads)
            for layer, rows in ((self.queries, asking), (self.keys, events), (self.mixed, events))
        )
        bias = functional.embedding(seen.distance.clamp(min=0), block.distance_bias[:, None]).squeeze(-1)
        if block.gap_bias is not None and seen.apart is not None:
            bias = bias + functional.embedding(seen.apart, block.gap_bias[:, None]).squeeze(-1)
        scores = queries @ keys.transpose(-2, -1) + bias.unsqueeze(-3)
        weights = seen.only(functional.silu(scores) / block.length)
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

    def forward(self, values: Tensor, seen: Seen) -> Tensor:
        """`[batch * n, dim]` to `[batch * m, dim]`."""
        batch, dim = seen.batch or 1, values.shape[1]
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
        return seen.of(states.transpose(0, 1).reshape(-1, dim))


def _in_order(weights: Tensor) -> Tensor:
    """Gates in ONNX's order, update, reset, new; PyTorch's is reset, update, new."""
    reset, update, new = weights.detach().float().chunk(3)
    return torch.cat([update, reset, new])


def _layer(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias.detach())
    return layer


def _parts(projection: nn.Linear, count: int) -> list[nn.Linear]:
    """One layer for each of the vectors that a layer makes side by side."""
    parts = zip(projection.weight.chunk(count), projection.bias.chunk(count), strict=True)
    return [_layer(weight, bias) for weight, bias in parts]


def _side_by_side(mixed: Tensor) -> Tensor:
    """`[batch, heads, m, width]`, or without the first axis, to `[batch * m, heads * width]`."""
    heads, _, width = mixed.shape[-3:]
    return mixed.reshape(-1, width) if heads == 1 else mixed.transpose(-3, -2).reshape(-1, heads * width)
