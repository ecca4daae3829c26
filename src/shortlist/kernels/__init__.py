"""The native kernels, validated: exact and approximate top-k over rows of float32.

A row's score is a sum in double precision, added up in a fixed order, so it has the same bits on every
processor; ties go to the lower row. Eight-bit codes of the rows, with a proven bound on their error, decide
which rows must be scored at all: a search reads a quarter of the memory and still returns the exact answer.
"""

from shortlist.kernels.blocks import RowLists
from shortlist.kernels.checks import check_finite, check_k
from shortlist.kernels.checksums import checksum
from shortlist.kernels.leaves import (
    Leaves,
    Part,
    RowCodes,
    all_places,
    assign_leaves,
    pack_rows,
    search_parts,
    train_leaves,
)
from shortlist.kernels.matrix import PreparedVectors, top_k
from shortlist.kernels.segments import (
    Codes,
    Metric,
    Segment,
    encode,
    kernels_in_use,
    search_segments,
    use_kernels,
)

__all__ = [
    "Codes",
    "Leaves",
    "Metric",
    "Part",
    "PreparedVectors",
    "RowCodes",
    "RowLists",
    "Segment",
    "all_places",
    "assign_leaves",
    "check_finite",
    "check_k",
    "checksum",
    "encode",
    "kernels_in_use",
    "pack_rows",
    "search_parts",
    "search_segments",
    "top_k",
    "train_leaves",
    "use_kernels",
]
