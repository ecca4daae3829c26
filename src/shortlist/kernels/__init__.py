"""The native kernels, validated: exact top-k over rows of float32.

A row's score is a sum in double precision, added up in a fixed order, so it has the same bits on every
processor; ties go to the lower row. Eight-bit codes of the rows, with a proven bound on their error, decide
which rows must be scored at all: a search reads a quarter of the memory and still returns the exact answer.
"""

from shortlist.kernels.blocks import RowLists
from shortlist.kernels.checks import check_finite, check_k
from shortlist.kernels.matrix import PreparedVectors, top_k
from shortlist.kernels.segments import (
    Codes,
    Segment,
    encode,
    kernels_in_use,
    search_segments,
    use_kernels,
)

__all__ = [
    "Codes",
    "PreparedVectors",
    "RowLists",
    "Segment",
    "check_finite",
    "check_k",
    "encode",
    "kernels_in_use",
    "search_segments",
    "top_k",
    "use_kernels",
]
