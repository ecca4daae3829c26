"""The stages of a funnel as a device runs them: retrievers, ranker, post-rankers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import nn

from shortlist.errors import ConfigError
from shortlist.export.contents import Contents, Float32Array
from shortlist.export.dense_calibration import dense_calibration
from shortlist.export.dense_ranker import dense_ranker
from shortlist.export.dense_sequence import DenseSequence
from shortlist.export.graph import query_graph, rank_graph
from shortlist.export.litert import query_flatbuffer
from shortlist.export.manifest import DeviceRanker, DeviceRetriever
from shortlist.export.query_models import dense_query
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.rank import Scored
from shortlist.funnel.retrieve import Retriever
from shortlist.models.baselines.popularity import Popularity
from shortlist.models.ranking.ranker import Ranker
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower
from shortlist.postrank import Boost, Exclude, Explore, Freshness, PostRanker, to_dict
from shortlist.postrank.columns import item_mask
from shortlist.postrank.freshness import FIRST_SEEN


@dataclass(frozen=True)
class DeviceStages:
    """The stages that a manifest names.

    Args:
        retrieve: the retrievers.
        rank: the ranker, or None.
        postrank: the post-rankers.
        diversity_table: the item vectors that `Diversity` compares, or None.
        left_out: the kinds of post-rankers that have no place on a device.
    """

    retrieve: tuple[DeviceRetriever, ...]
    rank: DeviceRanker | None
    postrank: tuple[dict[str, Any], ...]
    diversity_table: str | None
    left_out: tuple[str, ...]


def build_stages(funnel: Funnel, contents: Contents) -> DeviceStages:
    """The stages of a funnel; their tables, inputs and models are added.

    Args:
        funnel: the original.
        contents: of the export, with the device's items.

    Raises:
        ConfigError: a device cannot run a stage, or cannot fill a feature.
    """
    retrieve = tuple(_retriever(each, contents) for each in funnel.retrievers)
    rank = None if funnel.rank is None else _ranker(funnel.rank, contents)
    # What exploring learns would never leave the device.
    kept = [stage for stage in funnel.postrank if not isinstance(stage, Explore)]
    postrank = tuple(_post_ranker(stage, funnel, contents) for stage in kept)
    vectors = next((each.table for each in retrieve if each.kind == "nearest"), None)
    left_out = ("Explore",) if len(kept) < len(funnel.postrank) else ()
    return DeviceStages(retrieve, rank, postrank, vectors, left_out)


def _retriever(retriever: Retriever, contents: Contents) -> DeviceRetriever:
    model = retriever.model
    if isinstance(model, Popularity):
        popularity = model.state()["popularity"].numpy()[contents.rows][:, None]
        table = contents.add_table("popularity", popularity.astype(np.float32))
        return DeviceRetriever("popular", retriever.name, retriever.k, table)
    if type(model) not in (TwoTower, Sequential):
        raise ConfigError(
            f"a device cannot run retriever {retriever.name!r}, a {type(model).__name__}",
            where="export",
            remedy="retrieve with a TwoTower, a Sequential or Popular",
        )
    assert isinstance(model, TwoTower | Sequential)
    _check_on_cpu(model, f"the model of retriever {retriever.name!r}")
    vectors = model.item_vectors.detach().float().cpu().numpy()[contents.rows]
    table = contents.add_table("vectors", vectors)
    query = dense_query(model, contents, table=table)
    if isinstance(query, DenseSequence):  # a device has one person, so nothing need be padded
        graph = query_graph(query.unpadded(), query.names, contents, batch=1)
    else:
        graph = query_graph(query, query.names, contents)
    file = contents.add_model("query", graph)
    if contents.litert:
        contents.flatbuffers[file] = query_flatbuffer(query, query.names, contents)
    return DeviceRetriever("nearest", retriever.name, retriever.k, table, model=file, inputs=query.names)


def _ranker(rank: Scored, contents: Contents) -> DeviceRanker:
    ranker = rank.ranker
    if type(ranker) is not Ranker:
        raise ConfigError(
            f"a device cannot run a {type(ranker).__name__}",
            where="export",
            remedy="rank with a Ranker, or leave the ranker out",
        )
    _check_on_cpu(ranker, "the ranker")
    calibration = None if rank.calibration is None else dense_calibration(rank.calibration)
    model, table = dense_ranker(ranker, contents, calibration=calibration)
    outputs = ["ranked"] if calibration is None else ["ranked", "calibrated"]
    width = 0 if table is None else contents.tables[table].shape[1]
    graph = rank_graph(model, model.names, contents, width=width, scores=len(ranker.scores), outputs=outputs)
    return DeviceRanker(
        model=contents.add_model("rank", graph),
        keep=rank.keep,
        inputs=model.names,
        table=table,
        scores=tuple(name.removeprefix("score_") for name in ranker.scores),
        calibrated=calibration is not None,
    )


def _check_on_cpu(model: nn.Module, what: str) -> None:
    for parameter in model.parameters():
        if parameter.device.type != "cpu":
            raise ConfigError(
                f"{what} lies on {parameter.device}, and the CPU writes the export",
                where="export",
                remedy="move it first, with .to('cpu')",
            )


def _post_ranker(stage: PostRanker, funnel: Funnel, contents: Contents) -> dict[str, Any]:
    """The settings, with tables in the place of what only the whole item table can tell."""
    settings, catalogue = to_dict(stage), funnel.catalogue
    if isinstance(stage, Exclude):
        dropped = torch.zeros(len(catalogue), dtype=torch.bool)
        if stage.items:
            dropped[torch.from_numpy(catalogue.vocabulary.encode(pl.Series(values=list(stage.items))))] = True
        if stage.where is not None:
            dropped |= item_mask(catalogue, stage.where, stage="Exclude")
        dropped[0] = False
        table = contents.add_table("exclude", _column(dropped, contents)) if bool(dropped.any()) else None
        return {"kind": "Exclude", "table": table, "seen": stage.seen}
    if isinstance(stage, Boost):
        table = contents.add_table("boost", _column(stage.strengths(catalogue), contents))
        return {"kind": "Boost", "by": stage.by, "how": stage.how, "table": table}
    if isinstance(stage, Freshness):
        return {**settings, "column": stage.column or FIRST_SEEN}
    return settings


def _column(values: torch.Tensor, contents: Contents) -> Float32Array:
    return values.float().numpy()[contents.rows][:, None]
