"""Item and user factors of Gowalla by implicit's ALS, run by the peers' own interpreter.

Started as `python ann_als.py TRAIN.txt.gz FOLDER`, where a line of the file is a user and the items that it
visited; writes `base.npy`, the item factors, and `query.npy`, those of 10,000 users with at least 5 items.
"""

from __future__ import annotations

import gzip
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # implicit has threads of its own
import numpy as np

FACTORS, QUERIES, SEED = 128, 10_000, 1


def main() -> None:
    """Train and write."""
    import implicit
    import scipy.sparse

    file, folder = sys.argv[1], Path(sys.argv[2])
    with gzip.open(file, "rt") as lines:
        rows = [np.array(line.split(), np.int64) for line in lines]
    users = np.concatenate([np.full(len(row) - 1, row[0]) for row in rows])
    items = np.concatenate([row[1:] for row in rows])
    matrix = scipy.sparse.csr_matrix((np.ones(len(users), np.float32), (users, items)))
    model = implicit.als.AlternatingLeastSquares(
        factors=FACTORS, regularization=0.05, alpha=10, iterations=10, random_state=SEED, num_threads=2
    )
    model.fit(matrix, show_progress=False)
    active = np.flatnonzero(np.diff(matrix.indptr) >= 5)
    asked = np.random.default_rng(SEED).permutation(active)[:QUERIES]
    np.save(folder / "base.npy", np.asarray(model.item_factors))
    np.save(folder / "query.npy", np.asarray(model.user_factors)[asked])


if __name__ == "__main__":
    main()
