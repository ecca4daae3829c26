"""Lists in index space as answers in outside ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.errors import SchemaError, did_you_mean
from shortlist.funnel.funnel import Funnel
from shortlist.serving.schemas.api import Recommended, Stage


@dataclass(frozen=True, eq=False)
class Speaker:
    """Says in outside ids what a funnel found.

    Args:
        funnel: the funnel.
        bundle: the name that each answer bears.
    """

    funnel: Funnel
    bundle: str

    def ids(self, indices: Tensor) -> list[Any]:
        """The ids of some item indices."""
        return self.funnel.data.item_vocabulary.ids_of(indices.numpy())

    def check_fields(self, fields: Sequence[str]) -> None:
        """Refuse columns that the item table does not have.

        Raises:
            SchemaError: there is no such column.
        """
        columns = self.funnel.catalogue.columns
        for name in fields:
            if name not in columns:
                raise SchemaError(
                    f"the item table has no column {name!r}",
                    where="fields",
                    remedy=did_you_mean(name, columns),
                )

    def answers(
        self,
        final: Candidates,
        fields: Sequence[str],
        *,
        cut: Sequence[str] = (),
        why: Sequence[str] | None = None,
        stages: Sequence[list[Stage]] | None = None,
        fallback: bool = False,
    ) -> list[Recommended]:
        """An answer for each list.

        Args:
            final: the lists.
            fields: item columns to answer with.
            cut: names of the stages that were left out.
            why: a reason for each item, or None.
            stages: for each list, what came out of each stage, or None.
            fallback: whether no stage had the time.
        """
        bounds = final.items.offsets.tolist()
        items, scores, columns = self.ids(final.items.values), final.scores.tolist(), {}
        if fields:
            rows = self.funnel.catalogue.items.select(fields)[final.items.values.numpy()]
            columns = {name: rows[name].to_list() for name in fields}
        return [
            Recommended(
                items=items[low:high],
                scores=scores[low:high],
                bundle=self.bundle,
                columns={name: values[low:high] for name, values in columns.items()},
                why=None if why is None else list(why[low:high]),
                stages=None if stages is None else stages[row],
                cut=list(cut),
                fallback=fallback,
            )
            for row, (low, high) in enumerate(pairwise(bounds))
        ]
