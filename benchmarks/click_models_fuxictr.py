"""FuxiCTR's half of `click_models`, run by its own interpreter.

Started as `python click_models_fuxictr.py FOLDER` with `train.npz`, `validation.npz`, `test.npz` and
`features.json`; for each line of JSON that it reads, a model with its settings, it trains and answers with
the scores of the validation and of the test part.
"""

from __future__ import annotations

import json
import logging
import sys
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything
from model_zoo.LongCTR import DCNv2 as LongDCNv2
from model_zoo.LongCTR import FinalMLP as LongFinalMLP


class DCNv2(LongDCNv2):
    """The package's model for long histories, without a history: as FuxiCTR's own configurations build it."""

    get_inputs, get_labels = BaseModel.get_inputs, BaseModel.get_labels
    train_step = BaseModel.train_step

    def forward(self, inputs):
        """Crosses and a perceptron side by side."""
        fields = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)
        ends = torch.cat([self.crossnet(fields), self.parallel_dnn(fields)], dim=-1)
        return {"y_pred": self.output_activation(self.fc(ends))}


class FinalMLP(LongFinalMLP):
    """The same with FinalMLP, its feature selection included."""

    get_inputs, get_labels = BaseModel.get_inputs, BaseModel.get_labels
    train_step = BaseModel.train_step

    def forward(self, inputs):
        """Two gated perceptrons and their fusion."""
        columns = self.get_inputs(inputs)
        views = self.fs_module(columns, self.embedding_layer(columns, flatten_emb=True))
        score = self.fusion_module(self.mlp1(views[0]), self.mlp2(views[1]))
        return {"y_pred": self.output_activation(score)}


MODELS = {"DCNv2": DCNv2, "FinalMLP": FinalMLP}


class Batches:
    """A part in batches, in an order of its own every epoch where it is the train part."""

    def __init__(self, columns: dict[str, torch.Tensor], batch_size: int, *, shuffle: bool) -> None:
        self.columns, self.batch_size, self.shuffle = columns, batch_size, shuffle
        self.rows = len(columns["label"])

    def __len__(self) -> int:
        return -(-self.rows // self.batch_size)

    def __iter__(self):
        order = torch.randperm(self.rows) if self.shuffle else torch.arange(self.rows)
        for rows in order.split(self.batch_size):
            yield {name: column[rows] for name, column in self.columns.items()}


def main() -> None:
    """Answer until the input ends."""
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    parts = {}
    for name in ("train", "validation", "test"):
        with np.load(folder / f"{name}.npz") as file:
            parts[name] = {column: torch.from_numpy(file[column]) for column in file.files}
    for line in sys.stdin:
        settings = json.loads(line)
        seed_everything(settings.pop("seed"))
        print(json.dumps(_scores(folder, parts, settings)), flush=True)


def _scores(folder: Path, parts: dict, settings: dict) -> dict[str, list[float]]:
    kind, epochs, batch_size = (settings.pop(name) for name in ("model", "epochs", "batch_size"))
    features = _feature_map(folder, settings["embedding_dim"])
    model = MODELS[kind](
        features,
        optimizer="adam",
        loss="binary_cross_entropy",
        metrics=["AUC"],
        monitor="AUC",
        task="binary_classification",
        verbose=0,
        model_root=str(folder),
        **settings,
    )
    (folder / features.dataset_id).mkdir(exist_ok=True)
    validation, test = (Batches(parts[name], 8192, shuffle=False) for name in ("validation", "test"))
    model.fit(Batches(parts["train"], batch_size, shuffle=True), epochs=epochs, validation_data=validation)
    return {"validation": model.predict(validation).tolist(), "test": model.predict(test).tolist()}


def _feature_map(folder: Path, dim: int) -> FeatureMap:
    described = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    features = FeatureMap("clicks", str(folder))
    features.labels, features.default_emb_dim = ["label"], dim
    features.features = OrderedDict((name, _spec(each)) for name, each in described.items())
    features.num_fields = features.get_num_fields()
    features.total_features = sum(each["size"] for each in described.values())
    features.set_column_index()
    return features


def _spec(each: dict) -> dict:
    spec = {"source": "", "type": "categorical", "padding_idx": 0, "vocab_size": each["size"]}
    if each["width"] is not None:
        pooling = "layers.MaskedAveragePooling()"
        spec |= {"type": "sequence", "max_len": each["width"], "feature_encoder": pooling}
    return spec


if __name__ == "__main__":
    main()
