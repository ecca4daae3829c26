"""Parameters that stand for dynamic tables, as optimizers see them."""

from __future__ import annotations

import weakref

from torch import Tensor

from shortlist.errors import ConfigError
from shortlist.kernels.dynamic import RowTable


def stand_for(weight: Tensor, table: RowTable) -> None:
    """Make a parameter stand for a table.

    Args:
        weight: the parameter; it does not keep the table alive.
        table: the table.
    """
    weight.row_table = weakref.ref(table)  # type: ignore[attr-defined]


def table_of(weight: Tensor) -> RowTable | None:
    """The table that a parameter stands for; None for an ordinary parameter.

    Args:
        weight: a parameter.

    Raises:
        ConfigError: the table is gone.
    """
    reference = getattr(weight, "row_table", None)
    if reference is None:
        return None
    table: RowTable | None = reference()
    if table is None:
        raise ConfigError(
            "the table that a parameter stands for is gone",
            where="DynamicEmbedding",
            remedy="keep the module as long as its optimizer",
        )
    return table
