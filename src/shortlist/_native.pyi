import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS: int
MAX_DIM: int

class Segment:
    def __init__(
        self,
        rows: NDArray[np.float32],
        codes: NDArray[np.uint8] | None,
        stats: NDArray[np.float64] | None,
        order: NDArray[np.uint32] | None,
        labels: NDArray[np.int64] | None,
    ) -> None: ...
    @property
    def count(self) -> int: ...

def top_k(
    segments: list[Segment],
    dead: list[NDArray[np.bool_]],
    queries: NDArray[np.float32],
    squared_distance: bool,
    where: NDArray[np.bool_] | None,
    excluded: NDArray[np.int64] | None,
    excluded_offsets: NDArray[np.int64] | None,
    threads: int,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> int: ...
def row_norms(rows: NDArray[np.float32], threads: int, norms: NDArray[np.float64]) -> None: ...
def encode(
    rows: NDArray[np.float32],
    order: NDArray[np.uint32],
    norms: NDArray[np.float64],
    threads: int,
    codes: NDArray[np.uint8],
    stats: NDArray[np.float64],
) -> None: ...
def use_kernels(name: str) -> None: ...
def kernels_in_use() -> str: ...
