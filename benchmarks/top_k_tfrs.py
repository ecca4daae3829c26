"""The peer's half of `top_k`, run by the peer's own interpreter.

Started as `python top_k_tfrs.py CANDIDATES.npy QUERIES.npy K THREADS`; for each batch size that it reads from
its standard input it searches once and answers with a line of JSON: the seconds and the rows found.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # without it the package refuses to be imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Answer until the input ends."""
    candidates, queries, k, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import tensorflow_recommenders as tfrs

    layer = tfrs.layers.factorized_top_k.BruteForce(k=k)
    layer.index(tf.constant(np.load(candidates)))
    search = tf.function(lambda batch: layer(batch))
    asked = np.load(queries)
    print("ready", flush=True)
    for line in sys.stdin:
        batch = tf.constant(asked[: int(line)])
        started = time.perf_counter()
        rows = search(batch)[1].numpy()
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "rows": rows.tolist()}), flush=True)


if __name__ == "__main__":
    main()
