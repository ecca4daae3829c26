"""Query models as LiteRT flatbuffers, for apps that carry LiteRT and no ONNX Runtime."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from shortlist.errors import ConfigError
from shortlist.export.contents import Contents
from shortlist.export.feeds import Feeds
from shortlist.export.manifest import DeviceInput

FLATBUFFER = ".tflite"


class NamedInputs(nn.Module):
    """A model whose inputs have names in its signature.

    Args:
        model: from inputs by name to the queries.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """`[1, dim]` under the name `query`."""
        return {"query": self.model(inputs)}


class FlatbufferSession:
    """A flatbuffer in LiteRT's interpreter.

    Args:
        model: the flatbuffer.
    """

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        self.interpreter = Interpreter(model_content=model, num_threads=1)
        self.runner = self.interpreter.get_signature_runner()

    def __call__(self, feeds: Feeds) -> NDArray[np.float32]:
        """The queries for some inputs."""
        (query,) = self.runner(**feeds).values()
        return np.asarray(query, np.float32)


def need_litert() -> None:
    """Refuse to go on without the packages of the extra.

    Raises:
        ConfigError: one is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("litert_torch", "ai_edge_litert")):
        raise ConfigError(
            "writing flatbuffers needs litert-torch", where="export", remedy="pip install 'shortlist[litert]'"
        )


def query_flatbuffer(model: nn.Module, names: Sequence[str], contents: Contents) -> bytes:
    """The flatbuffer from one person's inputs to `query`, `[1, dim]`; histories have exactly their length.

    Args:
        model: from inputs by name to the queries.
        names: of the inputs.
        contents: knows the inputs and the tables.

    Raises:
        ConfigError: LiteRT has no form of a part of the model.
    """
    import litert_torch

    example: dict[str, Tensor] = {}
    for name in names:
        _add_example(contents.inputs[name], contents, example)
    try:
        # The converter tells of its progress on standard output, which belongs to results.
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            converted: Any = litert_torch.convert(
                NamedInputs(copy.deepcopy(model)).eval(), sample_kwargs=example
            )
            return bytes(converted.model_content())
    except Exception as error:
        said = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"{type(model).__name__} has a part that LiteRT cannot hold: {said}",
            where="export",
            remedy="export with --target onnx",
        ) from error


def _add_example(wanted: DeviceInput, contents: Contents, example: dict[str, Tensor]) -> None:
    name = wanted.name
    if wanted.kind == "history":
        assert wanted.table is not None
        assert wanted.length is not None
        example[name] = torch.rand(1, wanted.length, contents.tables[wanted.table].shape[1])
        example[f"{name}_mask"] = torch.ones(1, wanted.length)
    elif wanted.kind == "history_times":
        assert wanted.length is not None
        example[name] = torch.arange(wanted.length, dtype=torch.int32)[None]
    elif wanted.kind == "number":
        example[name] = torch.zeros(1)
    else:
        example[name] = torch.zeros((1,) if wanted.kind == "category" else (1, 2), dtype=torch.int32)
