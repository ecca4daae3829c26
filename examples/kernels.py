"""The exact search's own layer: top-k over rows, by row number. Most code wants sl.index instead."""

import numpy as np
import torch

import shortlist as sl
from shortlist.kernels import (
    Codes,
    PreparedVectors,
    RowLists,
    Segment,
    check_finite,
    check_k,
    encode,
    kernels_in_use,
    search_segments,
    top_k,
    use_kernels,
)

generator = torch.Generator().manual_seed(0)
vectors, queries = torch.randn(2000, 32, generator=generator), torch.randn(3, 32, generator=generator)

# Exactly the best rows; ties go to the lower one. `exclude` is any RowLists, such as a Ragged.
seen: RowLists = sl.Ragged.from_lists([[1, 2], [], [3]])
rows, scores = top_k(vectors, queries, 5, exclude=seen)
print(rows.tolist())
print(
    "prepared once, searched often:",
    torch.equal(PreparedVectors(vectors).top_k(queries, 5, exclude=seen)[0], rows),
)

# Eight-bit codes, a quarter of the size, and a search that scores only what they leave in doubt.
check_finite(vectors.numpy(), "vector")
codes: Codes = encode(vectors.numpy())
print("bytes:", vectors.numpy().nbytes, "codes:", codes.codes.nbytes)
labels, exact = search_segments([Segment(vectors.numpy(), codes)], queries.numpy(), check_k(5))

# The same bits on every instruction set.
fastest = kernels_in_use()
use_kernels("portable")
again = search_segments([Segment(vectors.numpy(), codes)], queries.numpy(), 5)
use_kernels()
print(fastest, "and portable agree:", np.array_equal(exact, again[1]), np.array_equal(labels, again[0]))
