"""LightGBM's half of `click_models`, run by its own interpreter.

Started as `python click_models_lightgbm.py FOLDER` with `train.npz`, `validation.npz` and `test.npz`; for
each line of JSON that it reads, settings with a seed, it trains and answers with the scores of the validation
and of the test part. Columns of one index a row are categories; of several, one flag an index.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROUNDS, PATIENCE = 3000, 50


def main() -> None:
    """Answer until the input ends."""
    import lightgbm
    import numpy as np

    parts = {}
    for name in ("train", "validation", "test"):
        with np.load(Path(sys.argv[1]) / f"{name}.npz") as file:
            parts[name] = {column: file[column] for column in file.files}
    width = {name: int(column.max()) + 1 for name, column in parts["train"].items() if column.ndim == 2}

    def table(part: dict) -> tuple[np.ndarray, list[int]]:
        columns, categories = [], []
        for name, column in part.items():
            if column.ndim == 2:
                flags = np.zeros((len(column), width[name]), np.float32)
                np.put_along_axis(flags, np.minimum(column, width[name] - 1), 1, axis=1)
                columns += list(flags[:, 1:].T)
            elif name != "label":
                if name not in NUMBERS:
                    categories.append(len(columns))
                columns.append(column.astype(np.float32))
        return np.stack(columns, axis=1), categories

    inputs = {name: table(part) for name, part in parts.items()}
    for line in sys.stdin:
        settings = json.loads(line)
        sets = [
            lightgbm.Dataset(inputs[name][0], parts[name]["label"], categorical_feature=inputs[name][1])
            for name in ("train", "validation")
        ]
        fixed = {"objective": "binary", "metric": "auc", "num_threads": 1, "verbosity": -1}
        booster = lightgbm.train(
            fixed | settings,
            sets[0],
            ROUNDS,
            valid_sets=[sets[1]],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )
        answer = {name: booster.predict(inputs[name][0]).tolist() for name in ("validation", "test")}
        print(json.dumps(answer), flush=True)


NUMBERS = {"day"}  # buckets in their order


if __name__ == "__main__":
    main()
