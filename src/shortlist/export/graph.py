"""Models as ONNX: standard operators only, any batch and any length of history."""

from __future__ import annotations

import copy
import importlib.util
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.export.contents import Contents
from shortlist.export.manifest import DeviceInput

OPSET = 18
IR_VERSION = 10  # that runtimes in browsers read too
PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# The example that is traced: sizes of 0 and 1 would be taken for constants.
BATCH, EVENTS, CANDIDATES = 2, 3, 31


def need_packages() -> None:
    """Refuse to go on without the packages of the extra.

    Raises:
        ConfigError: one is not installed.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"exporting needs {' and '.join(missing)}",
            where="export",
            remedy="pip install 'shortlist[export]'",
        )


def query_graph(model: nn.Module, names: Sequence[str], contents: Contents, *, batch: int = BATCH) -> bytes:
    """The ONNX model from the inputs of a batch of people to `query`, `[batch, dim]`.

    Args:
        model: from inputs by name to the queries.
        names: of the inputs.
        contents: knows the inputs and the tables.
        batch: 1 for a model of one person at a time; else it takes any number.

    Raises:
        ConfigError: the model has an operator that ONNX has not.
    """
    example: dict[str, Tensor] = {}
    sizes: dict[str, Any] = {}
    for name in names:
        _add_example(contents.inputs[name], contents, example, sizes, batch=batch)
    return _export(model, example, sizes, ["query"])


def rank_graph(
    model: nn.Module,
    names: Sequence[str],
    contents: Contents,
    *,
    width: int,
    scores: int,
    outputs: Sequence[str],
) -> bytes:
    """The ONNX model from one request's inputs, its candidates and their scores to `ranked`, `[n]`.

    Args:
        model: from inputs by name to the scores.
        names: of the request's inputs.
        contents: knows the inputs and the tables.
        width: of the candidates' rows, the input `items`; 0 where there is none.
        scores: how many retrieval scores a candidate has, the input `scores`; 0 where there is none.
        outputs: their names.

    Raises:
        ConfigError: the model has an operator that ONNX has not.
    """
    example: dict[str, Tensor] = {}
    sizes: dict[str, Any] = {}
    for name in names:
        _add_example(contents.inputs[name], contents, example, sizes, batch=1)
    for name, columns in {"items": width, "scores": scores}.items():
        if columns:
            example[name], sizes[name] = torch.rand(CANDIDATES, columns), {0: _any_size()}
    return _export(model, example, sizes, outputs)


def _add_example(
    wanted: DeviceInput,
    contents: Contents,
    example: dict[str, Tensor],
    sizes: dict[str, Any],
    *,
    batch: int,
) -> None:
    name = wanted.name
    rows = {0: _any_size()} if batch > 1 else {}
    # Histories of one length have as many events; those of another need not.
    lengths = sorted({each.length or 0 for each in contents.inputs.values()})
    events = EVENTS + lengths.index(wanted.length or 0)
    if wanted.kind == "history":
        assert wanted.table is not None
        width = contents.tables[wanted.table].shape[1]
        example[name] = torch.rand(batch, events, width)
        example[f"{name}_mask"] = torch.ones(batch, events)
        sizes[name] = sizes[f"{name}_mask"] = {**rows, 1: _any_size()}
    elif wanted.kind == "history_times":
        example[name] = torch.arange(batch * events, dtype=torch.int32).view(batch, events)
        sizes[name] = {**rows, 1: _any_size()}
    else:
        example[name], sizes[name] = _plain_example(wanted, batch), rows


def _plain_example(wanted: DeviceInput, batch: int) -> Tensor:
    if wanted.kind == "category":
        return torch.zeros(batch, dtype=torch.int32)
    if wanted.kind == "number":
        return torch.zeros(batch)
    return torch.zeros(batch, 2, dtype=torch.int32)


def _any_size() -> Any:
    return torch.export.Dim.DYNAMIC


def _export(
    model: nn.Module, example: dict[str, Tensor], sizes: Mapping[str, Any], outputs: Sequence[str]
) -> bytes:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                copy.deepcopy(model).eval(),
                kwargs={"inputs": example},
                dynamo=True,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes={"inputs": {name: sizes[name] for name in example}},
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{type(model).__name__} has a part that ONNX cannot hold: {said}",
            where="export",
            remedy="train with parts of shortlist.nn, or serve the bundle with shortlist serve",
        ) from error
    finally:
        logger.setLevel(level)
    assert program is not None
    return _tidied(program.model_proto)


def _tidied(model: Any) -> bytes:
    """The model without what tells of the machine that wrote it: the same model gives the same bytes."""
    import onnx

    if model.functions:
        from onnx.inliner import inline_local_functions

        model = inline_local_functions(model)
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for part in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    for holder in (model, model.graph):
        holder.doc_string = ""
        del holder.metadata_props[:]
    del model.graph.value_info[:]
    _name_sizes(model.graph)
    model.producer_name, model.producer_version = "shortlist", ""
    model.ir_version = min(model.ir_version, IR_VERSION)
    foreign = sorted({each.domain for each in model.opset_import} - {"", "ai.onnx"})
    if foreign:
        used = sorted({node.op_type for node in model.graph.node if node.domain in foreign})
        if used:
            raise ConfigError(
                f"the model has operators that are no standard ones: {', '.join(used)}",
                where="export",
                remedy="train with parts of shortlist.nn",
            )
        kept = [each for each in model.opset_import if each.domain not in foreign]
        del model.opset_import[:]
        model.opset_import.extend(kept)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _name_sizes(graph: Any) -> None:
    """Free sizes by their first appearance, not by what the tracing called them."""
    names: dict[str, str] = {}
    for part in (*graph.input, *graph.output):
        for size in part.type.tensor_type.shape.dim:
            if size.dim_param:
                size.dim_param = names.setdefault(size.dim_param, f"size_{len(names)}")
