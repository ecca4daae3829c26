"""What several encoders make of a batch, in one matrix: without gradients, for requests that wait."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, cast

import torch
from torch import Tensor, nn

from shortlist.data.ragged import Ragged
from shortlist.kernels.bag_means import add_bag_means
from shortlist.kernels.tables import is_native
from shortlist.nn.encoders import BagEncoder, HistoryEncoder, IndexEncoder


def encode_together(
    encoders: Sequence[nn.Module], entries: Sequence[Tensor | Ragged], *, side_by_side: bool
) -> Tensor:
    """The outputs of some encoders, added up or in columns of their own.

    Args:
        encoders: in evaluation mode.
        entries: one of the batch for each encoder, on the CPU.
        side_by_side: whether every encoder has columns of its own; else all are equally wide.

    Returns:
        `[batch, width]` float32.
    """
    widths = [cast(int, encoder.dim) for encoder in encoders]
    columns = [0, *accumulate(widths)][:-1] if side_by_side else [0] * len(widths)
    together = torch.zeros(len(entries[0]), sum(widths) if side_by_side else widths[0])
    for encoder, entry, column in zip(encoders, entries, columns, strict=True):
        if not _add_rows(encoder, entry, together, column):
            output: Tensor = encoder(entry)
            together[:, column : column + output.shape[1]] += output
    return together


def _add_rows(encoder: nn.Module, entry: Tensor | Ragged, together: Tensor, column: int) -> bool:
    """Add an encoder's output if it is rows of a table; whether it was."""
    if type(encoder) not in (IndexEncoder, BagEncoder, HistoryEncoder):
        return False
    assert isinstance(encoder, IndexEncoder | BagEncoder | HistoryEncoder)
    weight = encoder.embedding.weight
    if weight.dtype != torch.float32 or not is_native(weight):
        return False
    bags = entry if isinstance(entry, Ragged) else Ragged(entry, torch.arange(len(entry) + 1))
    scores: dict[str, Any] = {}
    if isinstance(encoder, HistoryEncoder) and encoder.attention:
        scores = {"row_scores": encoder.item_score, "distance_scores": encoder.distance_score}
    add_bag_means(together, weight, bags.values, bags.offsets, column=column, **scores)
    return True
