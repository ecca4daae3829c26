"""FinalMLP: two perceptrons that see the fields through gates of their own, and a bilinear meeting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.nn.bodies.body import (
    Body,
    FieldLayout,
    as_widths,
    check_at_least,
    check_dropout,
    side_by_side,
)
from shortlist.nn.mlp import MLP


@dataclass(frozen=True)
class FinalMLP(Body):
    """Two streams of hidden layers, each over all fields weighed anew, whose ends meet in a bilinear form.

    The first stream's gates look at the request's fields and the second's at the candidate's; a side without
    fields has learned gates that are the same for all rows.

    Args:
        hidden_query: widths of the first stream's layers.
        hidden_candidate: widths of the second's.
        gates: width of the gates' hidden layer; 0 for no gates.
        heads: into how many parts the streams' ends are cut, each meeting its own counterpart; the last
            widths of both streams are multiples of it.
        dropout: share of the hidden units that training hides.
        batch_norm: whether hidden layers are normalised over the batch.

    Raises:
        ConfigError: a number is out of range.

    Source: Mao et al., FinalMLP (AAAI 2023).
    """

    hidden_query: Sequence[int] = (128, 64)
    hidden_candidate: Sequence[int] = (128, 64)
    gates: int = 64
    heads: int = 2
    dropout: float = 0.1
    batch_norm: bool = False

    def __post_init__(self) -> None:
        as_widths(self, "hidden_query", at_least=1)
        as_widths(self, "hidden_candidate", at_least=1)
        check_at_least(self, 0, "gates")
        check_at_least(self, 1, "heads")
        check_dropout(self)
        ends = (self.hidden_query[-1], self.hidden_candidate[-1])
        if any(end % self.heads for end in ends):
            raise ConfigError(
                f"the streams end in {ends[0]} and {ends[1]} units, which {self.heads} heads do not divide",
                where="FinalMLP",
                remedy="make the last of hidden_query and of hidden_candidate multiples of heads",
            )

    def build(self, layout: FieldLayout) -> nn.Module:
        """See `Body.build`."""
        gates = None
        if self.gates:
            contexts = (sum(layout.query), sum(layout.candidate))
            gates = nn.ModuleList(Gate(context, layout.total, hidden=self.gates) for context in contexts)
        streams = nn.ModuleList(
            MLP(layout.total, hidden, dropout=self.dropout, batch_norm=self.batch_norm, hidden_output=True)
            for hidden in (self.hidden_query, self.hidden_candidate)
        )
        meeting = BilinearMeeting(self.hidden_query[-1], self.hidden_candidate[-1], heads=self.heads)
        return TwoStreams(len(layout.query), gates, streams, meeting)


class Gate(nn.Module):
    """How much each element counts, from 0 to 2, as some fields say; 1 at the start where there are none.

    Args:
        context: width of the fields that decide; 0 learns the same gate for all rows.
        width: of what is gated.
        hidden: width of the hidden layer.
    """

    def __init__(self, context: int, width: int, *, hidden: int) -> None:
        super().__init__()
        self.deep = MLP(context, (hidden, width)) if context else None
        self.constant = None if context else nn.Parameter(torch.zeros(width))

    def forward(self, context: Tensor) -> Tensor:
        """`[n, context]` to `[n, width]`, or to `[width]` without a context."""
        logits = self.constant if self.deep is None else self.deep(context)
        assert logits is not None
        return 2 * torch.sigmoid(logits)


class BilinearMeeting(nn.Module):
    """A linear form of each of two vectors and a bilinear one of both, head by head.

    Args:
        first: width of the first vector.
        second: width of the second.
        heads: into how many parts each is cut.
    """

    def __init__(self, first: int, second: int, *, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(first, 1), nn.Linear(second, 1, bias=False)
        self.kernel = nn.Parameter(torch.empty(heads, first // heads, second // heads))
        nn.init.normal_(self.kernel, std=(2 / (heads * (first + second))) ** 0.5)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Two times `[n, width]` to `[n]`."""
        heads = len(self.kernel)
        parts = first.view(-1, heads, first.shape[1] // heads)
        left = torch.einsum("nha,hab->nhb", parts, self.kernel)
        bilinear = (left.flatten(1) * second).sum(dim=1)
        linear: Tensor = self.first(first) + self.second(second)
        return linear.squeeze(1) + bilinear


class TwoStreams(nn.Module):
    """Two gated perceptrons and what becomes of their ends.

    Args:
        num_query: how many of the fields are the request's; they come first.
        gates: the two gates, or None.
        streams: the two perceptrons.
        meeting: of their ends.
    """

    def __init__(
        self, num_query: int, gates: nn.ModuleList | None, streams: nn.ModuleList, meeting: BilinearMeeting
    ) -> None:
        super().__init__()
        self.num_query, self.gates, self.streams, self.meeting = num_query, gates, streams, meeting

    def forward(self, fields: Sequence[Tensor]) -> Tensor:
        """Fields to `[n]`."""
        base = side_by_side(fields)
        views = [base, base]
        if self.gates is not None:
            empty = base[:, :0]
            contexts = (
                side_by_side([empty, *fields[: self.num_query]]),
                side_by_side([empty, *fields[self.num_query :]]),
            )
            views = [base * gate(context) for gate, context in zip(self.gates, contexts, strict=True)]
        ends = [stream(view) for stream, view in zip(self.streams, views, strict=True)]
        return self.meeting(*ends)  # type: ignore[no-any-return]
