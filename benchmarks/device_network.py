"""The network of an export with the item vectors and the best items in it, for a peer to convert."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from shortlist.export.contents import Contents
from shortlist.export.query_models import dense_query
from shortlist.export.selection import select_items
from shortlist.funnel import Funnel
from shortlist.models import Sequential


class WholeNetwork(nn.Module):
    """From the rows of a history to the best rows and their scores.

    Args:
        query: from inputs by name to the query.
        name: of the history's input.
        vectors: `[rows, dim]`.
        found: how many rows come out.
    """

    def __init__(self, query: nn.Module, name: str, vectors: Tensor, found: int) -> None:
        super().__init__()
        self.query, self.name, self.found = query, name, found
        self.vectors = nn.Parameter(vectors, requires_grad=False)

    def forward(self, history: Tensor) -> tuple[Tensor, Tensor]:
        """`[1, length]` int32 to `[1, found]` scores and rows."""
        shown = self.vectors[history]
        mask = torch.ones_like(shown[:, :, 0])
        query = self.query({self.name: shown, f"{self.name}_mask": mask})
        scores = query @ self.vectors.T
        best = torch.topk(scores, self.found, dim=1)
        return best.values, best.indices


def save_network(funnel: Funnel, file: Path, *, length: int, found: int) -> None:
    """Trace the funnel's first retriever for a history of a fixed length.

    Args:
        funnel: that was exported, with a `Sequential` first.
        file: to write, as `torch.export` does.
        length: of the history.
        found: how many rows come out.
    """
    model = funnel.retrievers[0].model
    assert isinstance(model, Sequential)
    selection = select_items(funnel.data, None)
    contents = Contents(selection.rows)
    vectors = model.item_vectors.detach()[torch.from_numpy(selection.rows)]
    table = contents.add_table("vectors", vectors.numpy())
    query = dense_query(model, contents, table=table)
    whole = WholeNetwork(query, query.names[0], vectors, found).eval()
    with torch.no_grad():
        torch.export.save(torch.export.export(whole, (torch.ones(1, length, dtype=torch.int32),)), file)
