"""The peer's half of `ranking_speed`, run by the peer's own interpreter.

Started as `python ranking_speed_tfr.py SCORES.npy LABELS.npy THREADS`; for each line on its standard input,
a loss's name and a number of steps, it makes them and answers with a line of JSON: the seconds of a step, the
loss and the norm of the gradient.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    """Answer until the input ends."""
    files, threads = sys.argv[1:3], int(sys.argv[3])
    import numpy as np
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import tensorflow_ranking as tfr

    scores, labels = (tf.constant(np.load(file)) for file in files)
    kinds = {
        "softmax": tfr.keras.losses.SoftmaxLoss(reduction="sum"),
        "lambdaloss": tfr.keras.losses.PairwiseLogisticLoss(
            reduction="sum", lambda_weight=tfr.keras.losses.NDCGLambdaWeight()
        ),
        "approx_ndcg": tfr.keras.losses.ApproxNDCGLoss(reduction="sum"),
    }

    def step_of(kind: object) -> object:
        @tf.function
        def step(given: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(given)
                loss = kind(labels, given)
            return loss, tape.gradient(loss, given)

        return step

    steps = {name: step_of(kind) for name, kind in kinds.items()}
    print("ready", flush=True)
    for line in sys.stdin:
        name, count = line.split()
        step = steps[name]
        started = time.perf_counter()
        for _ in range(int(count)):
            loss, gradient = step(scores)
            loss, gradient = loss.numpy(), gradient.numpy()
        seconds = (time.perf_counter() - started) / int(count)
        answer = {"seconds": seconds, "loss": float(loss), "gradient": float(np.linalg.norm(gradient))}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
