"""The peer's half of `learning_to_rank`, run by the peer's own interpreter.

Started as `python learning_to_rank_lightgbm.py FOLDER` with a fold's `train.npz`, `validation.npz` and
`test.npz`; for each line of JSON that it reads, a trial with a seed, it trains and answers with the scores of
the validation and the test part.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    """Answer until the input ends."""
    import lightgbm
    import numpy as np

    # A third of the columns are those of the file; the others are their places within the lists.
    parts = {name: np.load(Path(sys.argv[1]) / f"{name}.npz") for name in ("train", "validation", "test")}
    for line in sys.stdin:
        trial = json.loads(line)
        columns = parts["train"]["features"].shape[1]
        width = columns if trial.pop("relative") else columns // 3
        inputs = {name: part["features"][:, :width] for name, part in parts.items()}
        sets = [
            lightgbm.Dataset(inputs[name], parts[name]["labels"], group=parts[name]["sizes"])
            for name in ("train", "validation")
        ]
        settings = {
            "objective": "lambdarank",
            "metric": "ndcg",
            "eval_at": [1, 5, 10],
            "label_gain": [0, 1, 3, 7, 15],
            "feature_fraction": 0.7,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "num_threads": 1,
            "verbosity": -1,
        }
        booster = lightgbm.train(
            settings | trial,
            sets[0],
            1000,
            valid_sets=[sets[1]],
            callbacks=[lightgbm.early_stopping(100, first_metric_only=False, verbose=False)],
        )
        answer = {name: booster.predict(inputs[name]).tolist() for name in ("validation", "test")}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
