"""TensorFlow Recommenders' half of `dcn_speed`, run by its own interpreter.

Started as `python dcn_speed_tfrs.py INPUTS.npz BATCH RATE THREADS` with the columns, the labels and the
first weights of every layer. It answers with the loss of the first batch; then, for each line of its standard
input, it trains an epoch and answers with that epoch's seconds.
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


class DCN(tfrs.Model):
    """The model of their tutorial on deep and cross networks, over ids that are indices already."""

    def __init__(self, inputs: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.tables = [
            tf.keras.layers.Embedding(*table.shape, embeddings_initializer=_constant(table))
            for table in _numbered(inputs, "table")
        ]
        self.cross = tfrs.layers.dcn.Cross(
            kernel_initializer=_constant(inputs["cross"]), bias_initializer="zeros"
        )
        kernels = list(_numbered(inputs, "dense"))
        biases = list(_numbered(inputs, "bias"))
        self.layers_after = [
            tf.keras.layers.Dense(
                kernel.shape[1],
                activation=None if place == len(kernels) - 1 else "relu",
                kernel_initializer=_constant(kernel),
                bias_initializer=_constant(bias),
            )
            for place, (kernel, bias) in enumerate(zip(kernels, biases, strict=True))
        ]
        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.MeanSquaredError())

    def call(self, columns: tf.Tensor) -> tf.Tensor:
        """Predicted ratings."""
        fields = [table(columns[:, place]) for place, table in enumerate(self.tables)]
        hidden = self.cross(tf.concat(fields, axis=1))
        for layer in self.layers_after:
            hidden = layer(hidden)
        return hidden

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The mean squared error."""
        predictions = self(features["columns"])
        return self.task(labels=features["label"], predictions=predictions, compute_metrics=False)


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
    tf.config.threading.set_inter_op_parallelism_threads(1)
    inputs = dict(np.load(file))
    columns = {"columns": inputs["columns"], "label": inputs["label"][:, None]}
    options = tf.data.Options()
    options.autotune.enabled = False  # it takes a core from the training and has nothing to tune
    data = tf.data.Dataset.from_tensor_slices(columns).batch(batch).cache().with_options(options)
    model = DCN(inputs)
    model.compile(optimizer=tf.keras.optimizers.Adam(learning_rate=rate))
    print(float(model.compute_loss(next(iter(data)))), flush=True)
    stopwatch = Stopwatch()
    for _ in sys.stdin:
        model.fit(data, epochs=1, verbose=0, callbacks=[stopwatch])
        print(stopwatch.seconds, flush=True)


def _constant(values: np.ndarray) -> tf.keras.initializers.Initializer:
    return tf.keras.initializers.Constant(values)


def _numbered(inputs: dict[str, np.ndarray], name: str):
    place = 0
    while f"{name}{place}" in inputs:
        yield inputs[f"{name}{place}"]
        place += 1


if __name__ == "__main__":
    main()
