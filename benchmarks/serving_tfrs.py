"""The peer's half of `serving`, run by the peer's own interpreter.

Started as `python serving_tfrs.py VECTORS.npy USERS K FOLDER`. It saves a query tower with the BruteForce
layer over all the vectors, as the tutorials of TensorFlow Recommenders end, loads it again from the folder,
and says `"ready"`. For each number of calls on its standard input it answers with the seconds of each: one
user a call, until ids and scores are there.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # without it the package refuses to be imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs


def main() -> None:
    """Answer until the input ends."""
    vectors, users, k, folder = np.load(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    save(vectors, users, k, folder)
    del vectors
    answer, draw = tf.saved_model.load(folder), random.Random(0)
    call(answer, "0")
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        taken = [call(answer, str(draw.randrange(users))) for _ in range(int(line))]
        print(json.dumps(taken), flush=True)


def save(vectors: np.ndarray, users: int, k: int, folder: str) -> None:
    """A SavedModel from a user's id to the ids and scores of `k` items."""
    names = [str(user) for user in range(users)]
    tower = tf.keras.Sequential(
        [
            tf.keras.layers.StringLookup(vocabulary=names, mask_token=None),
            tf.keras.layers.Embedding(users + 1, vectors.shape[1]),
        ]
    )
    index = tfrs.layers.factorized_top_k.BruteForce(tower, k=k)
    index.index(tf.constant(vectors), identifiers=tf.range(len(vectors)))
    index(tf.constant(["0"]))  # a model is saved for the shapes that it was called with
    tf.saved_model.save(index, folder)


def call(answer: tf.types.experimental.GenericFunction, user: str) -> float:
    """The seconds of one answer."""
    started = time.perf_counter()
    scores, items = answer(tf.constant([user]))
    scores.numpy(), items.numpy()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
