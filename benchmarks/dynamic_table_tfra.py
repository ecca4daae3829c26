"""The peer's half of `dynamic_vs_tfra`, run by the peer's own interpreter.

Started as `python dynamic_table_tfra.py ROWS DIM BATCH THREADS`. It fills a table of TensorFlow
Recommenders Addons with the ids that ours holds; for each width that it reads from its standard input it
takes one step of BATCH ids, or of BATCH times the width, and answers with the seconds.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # its optimizer wraps those of Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ODD = -7046029254386353131  # as in dynamic_table.py
FILL = 1 << 18


def main() -> None:
    """Answer until the input ends."""
    rows, dim, batch, threads = map(int, sys.argv[1:])
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    from tensorflow_recommenders_addons import dynamic_embedding as de

    table = de.get_variable("table", dim=dim, initializer=tf.keras.initializers.RandomNormal(stddev=0.1))
    optimizer = de.DynamicEmbeddingOptimizer(tf.keras.optimizers.legacy.Adagrad(0.1))

    @tf.function(reduce_retracing=True)
    def step(ids: tf.Tensor, gradient: tf.Tensor) -> None:
        with tf.GradientTape() as tape:
            distinct, places = tf.unique(ids)  # so that the gradients of repeated ids add up
            found = de.embedding_lookup(table, distinct, name="batch")
            loss = tf.reduce_sum(tf.gather(found, places) * gradient)
        trainable = table.get_trainable_by_name("batch")
        optimizer.apply_gradients([(tape.gradient(loss, trainable), trainable)])

    def scattered(numbers: np.ndarray) -> tf.Tensor:
        return tf.constant(numbers.astype(np.int64) * np.int64(ODD))

    random = np.random.default_rng(0)
    for start in range(0, rows, FILL):  # a step of each id, so that its state is there too
        ids = scattered(np.arange(start, min(start + FILL, rows)))
        step(ids, tf.fill([len(ids), dim], 0.01))
    print("ready", int(table.size()), flush=True)
    for line in sys.stdin:
        count = batch * int(line)
        ids = scattered(random.integers(1, rows, count))
        gradient = tf.constant(random.standard_normal((count, dim), dtype=np.float32))
        started = time.perf_counter()
        step(ids, gradient)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
