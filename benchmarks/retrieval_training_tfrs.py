"""The peer's half of `retrieval_training`, run by the peer's own interpreter.

Started as `python retrieval_training_tfrs.py INPUTS.npz BATCH LEARNING_RATE THREADS`. It answers with the
mean loss of the first batch, a number on a line; then, for each line of its standard input, it trains an
epoch and answers with that epoch's seconds.
"""

from __future__ import annotations

import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # without it the package refuses to be imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs


class TwoTower(tfrs.Model):
    """Two embedding tables and the retrieval task."""

    def __init__(self, inputs: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.users, self.items = (_table(inputs[name]) for name in ("user_table", "item_table"))
        self.task = tfrs.tasks.Retrieval(remove_accidental_hits=True)

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The task's loss, a sum over the batch."""
        return self.task(
            self.users(features["user"]),
            self.items(features["item"]),
            candidate_sampling_probability=features["probability"],
            candidate_ids=features["item"],
            compute_metrics=False,
        )


class Stopwatch(tf.keras.callbacks.Callback):
    """The seconds of the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start."""
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Stop."""
        self.seconds = time.perf_counter() - self.started


def main() -> None:
    """Answer until the input ends."""
    file, batch, rate, threads = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    inputs = dict(np.load(file))
    columns = {
        "user": inputs["users"],
        "item": inputs["items"],
        "probability": inputs["probability"][inputs["items"]],
    }
    options = tf.data.Options()
    options.autotune.enabled = False  # it takes a core from the training and has nothing to tune
    data = tf.data.Dataset.from_tensor_slices(columns).batch(batch).cache().with_options(options)
    model = TwoTower(inputs)
    model.compile(optimizer=tf.keras.optimizers.Adagrad(learning_rate=rate))
    first = next(iter(data))
    print(float(model.compute_loss(first)) / batch, flush=True)
    stopwatch = Stopwatch()
    for _ in sys.stdin:
        model.fit(data, epochs=1, verbose=0, callbacks=[stopwatch])
        print(stopwatch.seconds, flush=True)


def _table(weights: np.ndarray) -> tf.keras.layers.Layer:
    return tf.keras.layers.Embedding(
        *weights.shape, embeddings_initializer=tf.keras.initializers.Constant(weights)
    )


if __name__ == "__main__":
    main()
