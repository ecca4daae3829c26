"""Small device exports by hand: random vectors, a query model and a ranker of a few operators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from shortlist.export.item_table import write_item_table
from shortlist.export.manifest import (
    DeviceFile,
    DeviceInput,
    DeviceItems,
    DeviceManifest,
    DeviceRanker,
    DeviceRetriever,
    DeviceTable,
)
from shortlist.export.tables import encode_table

OPSET, IR_VERSION = 17, 8
DAY = 86_400
NOW = 20_000 * DAY


@dataclass(frozen=True, eq=False)
class Case:
    """An export in memory, and the numbers that it was made of.

    Args:
        ids: of the items.
        columns: of the item table.
        kinds: of the columns.
        tables: by name.
        models: by name of the file.
        weights: `[dim, dim]` of the query model.
        retrieve: the retrievers.
        rank: the ranker, or None.
        inputs: of the models.
        postrank: settings of the post-rankers.
        encodings: of the tables; float32 where nothing is said.
        diversity_table: name of the vectors that items are compared by.
        size: of the lists.
        exclude_history: whether the history stays out.
    """

    ids: list[str | int]
    columns: dict[str, list[Any]]
    kinds: dict[str, str]
    tables: dict[str, NDArray[np.float32]]
    models: dict[str, bytes]
    weights: NDArray[np.float32]
    retrieve: tuple[DeviceRetriever, ...]
    rank: DeviceRanker | None = None
    inputs: tuple[DeviceInput, ...] = ()
    postrank: tuple[Mapping[str, Any], ...] = ()
    encodings: Mapping[str, str] = field(default_factory=dict)
    diversity_table: str | None = "vectors"
    size: int = 6
    exclude_history: bool = True

    def write(self, folder: Path) -> Path:
        """Write the export."""
        (folder / "files").mkdir(parents=True)
        content = dict(self.models)
        for name, table in self.tables.items():
            content[name] = encode_table(table, self.encodings.get(name, "float32"))
        content["items"] = write_item_table(self.ids, self.columns)
        files = {name: _stored(folder, name, each) for name, each in content.items()}
        tables = {
            name: DeviceTable(name, self.encodings.get(name, "float32"), *table.shape)
            for name, table in self.tables.items()
        }
        DeviceManifest(
            shortlist="0.1.0",
            source="",
            files=files,
            tables=tables,
            items=DeviceItems("items", len(self.ids), self.kinds, traffic=None, reach=None),
            inputs=self.inputs,
            retrieve=self.retrieve,
            rank=self.rank,
            postrank=self.postrank,
            diversity_table=self.diversity_table,
            size=self.size,
            seed=0,
            exclude_history=self.exclude_history,
        ).write(folder)
        return folder


def _stored(folder: Path, name: str, content: bytes) -> DeviceFile:
    digest = hashlib.sha256(content).hexdigest()
    path = f"files/{digest[:16]}.{name.rpartition('.')[2] if '.' in name else 'bin'}"
    (folder / path).write_bytes(content)
    return DeviceFile(path, len(content), digest)


HISTORY = DeviceInput("history", "history", table="vectors", length=8)
NEAREST = DeviceRetriever("nearest", "towers", 20, "vectors", model="query.onnx", inputs=("history",))
POPULAR = DeviceRetriever("popular", "popular", 10, "popularity")


KINDS = {
    "title": "text",
    "genres": "tags",
    "year": "number",
    "adult": "boolean",
    "released": "timestamp",
}


def make_case(
    *, items: int = 40, dim: int = 6, seed: int = 0, text_ids: bool = False, **settings: Any
) -> Case:
    """Random items with every kind of column; ids are 101, 102, … or their texts with a letter before.

    Args:
        items: how many.
        dim: of the vectors.
        seed: of all numbers.
        text_ids: whether the ids are texts.
        **settings: other fields of the case.
    """
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(items + 1, dim)).astype(np.float32)
    weights = (random.normal(size=(dim, dim)) / dim**0.5).astype(np.float32)
    ids: list[str | int] = [f"i{100 + row}" if text_ids else 100 + row for row in range(1, items + 1)]
    defaults: dict[str, Any] = {
        "ids": ids,
        "columns": random_columns(items, random),
        "kinds": {
            "title": "text",
            "genres": "tags",
            "year": "number",
            "adult": "boolean",
            "released": "timestamp",
        },
        "tables": {
            "vectors": vectors,
            "popularity": random.integers(0, 9, (items + 1, 1)).astype(np.float32),
        },
        "models": {"query.onnx": query_model(weights)},
        "weights": weights,
        "retrieve": (NEAREST, POPULAR),
        "inputs": (HISTORY,),
    }
    if settings.get("rank") is not None:
        defaults["tables"]["rank_items"] = random.normal(size=(items + 1, 3)).astype(np.float32)
        defaults["models"]["rank.onnx"] = rank_model(
            3, len(settings["rank"].scores), calibrated=settings["rank"].calibrated
        )
    return Case(**{**defaults, **settings, "tables": {**defaults["tables"], **settings.get("tables", {})}})


def random_columns(items: int, random: np.random.Generator) -> dict[str, list[Any]]:
    """A text, tags, a number, a truth value and a time of each item, some of them missing."""

    def with_gaps(values: Sequence[Any]) -> list[Any]:
        return [None if gap else value for gap, value in zip(random.random(items) < 0.2, values, strict=True)]

    return {
        "title": [f"Title {row}" for row in range(1, items + 1)],
        "genres": [random.choice(list("abcd"), random.integers(4)).tolist() for _ in range(items)],
        "year": with_gaps(random.integers(1990, 1995, items).tolist()),
        "adult": with_gaps((random.random(items) < 0.3).tolist()),
        "released": with_gaps(random.integers(NOW - 90 * DAY, NOW + 5 * DAY, items).tolist()),
    }


RANK = DeviceRanker("rank.onnx", 12, ("history",), "rank_items", ("towers", "popular"))

QUERY_BIAS = 0.25


def query_model(weights: NDArray[np.float32]) -> bytes:
    """The mean of the history times a matrix, plus 0.25."""
    dim = len(weights)
    constants = {
        "weights": weights,
        "bias": np.full(dim, QUERY_BIAS, np.float32),
        "one": np.ones(1, np.float32),
        "last": np.array([2], np.int64),
        "events": np.array([1], np.int64),
    }
    nodes = [
        helper.make_node("Unsqueeze", ["history_mask", "last"], ["mask"]),
        helper.make_node("Mul", ["history", "mask"], ["shown"]),
        helper.make_node("ReduceSum", ["shown", "events"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["history_mask", "events"], ["count"], keepdims=1),
        helper.make_node("Max", ["count", "one"], ["divisor"]),
        helper.make_node("Div", ["total", "divisor"], ["mean"]),
        helper.make_node("MatMul", ["mean", "weights"], ["turned"]),
        helper.make_node("Add", ["turned", "bias"], ["query"]),
    ]
    inputs = {"history": ["batch", "n", dim], "history_mask": ["batch", "n"]}
    return model_bytes(nodes, inputs, {"query": ["batch", dim]}, constants)


def rank_model(width: int, scores: int, *, calibrated: bool = False) -> bytes:
    """What is known of an item and its retrieval scores added up; calibrated, its logistic function."""
    weights = {"axis": np.array([1], np.int64)}
    nodes = [
        helper.make_node("ReduceSum", ["items", "axis"], ["known"], keepdims=0),
        helper.make_node("ReduceSum", ["scores", "axis"], ["found"], keepdims=0),
        helper.make_node("Add", ["known", "found"], ["ranked"]),
    ]
    inputs: dict[str, list[Any]] = {"items": ["n", width], "scores": ["n", scores]}
    outputs: dict[str, list[Any]] = {"ranked": ["n"]}
    if calibrated:
        nodes.append(helper.make_node("Sigmoid", ["ranked"], ["calibrated"]))
        outputs["calibrated"] = ["n"]
    return model_bytes(nodes, inputs, outputs, weights)


def model_bytes(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, list[Any]],
    outputs: Mapping[str, list[Any]],
    weights: Mapping[str, NDArray[Any]],
    *,
    whole: Sequence[str] = (),
) -> bytes:
    """A model in ONNX.

    Args:
        nodes: of the graph.
        inputs: shapes by name.
        outputs: shapes by name.
        weights: constants by name.
        whole: names of the inputs that are int32.
    """

    def described(shapes: Mapping[str, list[Any]]) -> list[onnx.ValueInfoProto]:
        kinds = {name: TensorProto.INT32 if name in whole else TensorProto.FLOAT for name in shapes}
        return [helper.make_tensor_value_info(name, kinds[name], shape) for name, shape in shapes.items()]

    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "exported", described(inputs), described(outputs), constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    return bytes(model.SerializeToString())
