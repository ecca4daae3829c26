"""A recommender system the whole way: retrieval, ranking and post-ranking, trained, evaluated, deployed."""

from shortlist import (
    calibration,
    data,
    datasets,
    evaluation,
    index,
    losses,
    metrics,
    models,
    nn,
    postrank,
    tasks,
    training,
)
from shortlist.data import (
    Category,
    Dataset,
    EventType,
    Feature,
    History,
    Id,
    Number,
    Ragged,
    Schema,
    Tags,
    Text,
    Timestamp,
    Vector,
)
from shortlist.errors import Error
from shortlist.funnel import Funnel, rank, retrieve
from shortlist.models import Model, Ranker, Sequential, TwoTower
from shortlist.nn import Tower

__version__ = "0.1.0"

__all__ = [
    "Category",
    "Dataset",
    "Error",
    "EventType",
    "Feature",
    "Funnel",
    "History",
    "Id",
    "Model",
    "Number",
    "Ragged",
    "Ranker",
    "Schema",
    "Sequential",
    "Tags",
    "Text",
    "Timestamp",
    "Tower",
    "TwoTower",
    "Vector",
    "calibration",
    "data",
    "datasets",
    "evaluation",
    "index",
    "losses",
    "metrics",
    "models",
    "nn",
    "postrank",
    "rank",
    "retrieve",
    "tasks",
    "training",
]
