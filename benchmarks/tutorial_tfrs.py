"""The peer's half of `tutorial`, run by the peer's own interpreter: the steps of its "retrieval" tutorial.

Started as `python tutorial_tfrs.py FOLDER EPOCHS MODE`. With MODE `tutorial` the whole-catalogue metrics are
computed on every training batch too, as the tutorial does; with `lean` in the evaluation only, as it advises
for large catalogues. The tutorial loads its tables with TensorFlow Datasets; here they are read from
GroupLens's files, and the rows of `split-tutorial.npz` take the place of its random split.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # without it the package refuses to be imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

DIM, BATCH = 32, 8192


class MovielensModel(tfrs.Model):
    """The tutorial's model: two embedding tables and the retrieval task."""

    def __init__(
        self,
        user_model: tf.keras.Model,
        movie_model: tf.keras.Model,
        task: tfrs.tasks.Retrieval,
        *,
        lean: bool,
    ) -> None:
        super().__init__()
        self.user_model, self.movie_model, self.task, self.lean = user_model, movie_model, task, lean

    def compute_loss(self, features: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """The task's loss of a batch, and its metrics."""
        users = self.user_model(features["user_id"])
        movies = self.movie_model(features["movie_title"])
        return self.task(users, movies, compute_metrics=not (training and self.lean))


def main() -> None:
    """Do the tutorial's work once and print its figures as a line of JSON, last."""
    folder, epochs, mode = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    events, titles = read(folder)
    split = np.load(folder / "split-tutorial.npz")
    train, test = (
        tf.data.Dataset.from_tensor_slices({name: column[split[part]] for name, column in events.items()})
        for part in ("train", "test")
    )
    movies = tf.data.Dataset.from_tensor_slices(titles)
    user_model, movie_model = tower(np.unique(events["user_id"])), tower(titles)
    metrics = tfrs.metrics.FactorizedTopK(candidates=movies.batch(128).map(movie_model))
    model = MovielensModel(
        user_model, movie_model, tfrs.tasks.Retrieval(metrics=metrics), lean=mode == "lean"
    )
    model.compile(optimizer=tf.keras.optimizers.Adagrad(learning_rate=0.1))
    cached_train = train.shuffle(100_000).batch(BATCH).cache()
    cached_test = test.batch(4096).cache()
    model.fit(cached_train, epochs=epochs, verbose=2)
    figures = model.evaluate(cached_test, return_dict=True, verbose=2)

    index = tfrs.layers.factorized_top_k.BruteForce(model.user_model)
    index.index_from_dataset(
        tf.data.Dataset.zip((movies.batch(100), movies.batch(100).map(model.movie_model)))
    )
    _, found = index(tf.constant(["42"]))
    print("recommendations for user 42:", [title.decode() for title in found[0, :3].numpy()])
    name = "factorized_top_k/top_{}_categorical_accuracy"
    print(json.dumps({f"top{k}": float(figures[name.format(k)]) for k in (10, 100)}))


def read(folder: Path) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The events as user ids and titles, and the distinct titles."""
    lines = (folder / "u.item").read_text(encoding="latin-1").splitlines()
    title_of = dict(line.split("|", 2)[:2] for line in lines)
    rows = [line.split("\t", 2)[:2] for line in (folder / "u.data").read_text().splitlines()]
    events = {
        "user_id": np.array([user for user, _ in rows]),
        "movie_title": np.array([title_of[item] for _, item in rows]),
    }
    return events, np.unique(list(title_of.values()))


def tower(vocabulary: np.ndarray) -> tf.keras.Model:
    """A table with one row an id, and one for the unknown."""
    return tf.keras.Sequential(
        [
            tf.keras.layers.StringLookup(vocabulary=vocabulary, mask_token=None),
            tf.keras.layers.Embedding(len(vocabulary) + 1, DIM),
        ]
    )


if __name__ == "__main__":
    main()
