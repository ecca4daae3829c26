"""A recommender system the whole way: retrieval, ranking and post-ranking, trained, evaluated, deployed."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from shortlist.errors import Error

if TYPE_CHECKING:
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

# Which package each name comes from; a package comes from itself. It is imported when it is first asked for,
# so that what runs on a device (shortlist.export.Device) needs neither PyTorch nor Polars.
_HOMES = {
    "shortlist.data": (
        *("Category", "Dataset", "EventType", "Feature", "History", "Id", "Number", "Ragged"),
        *("Schema", "Tags", "Text", "Timestamp", "Vector"),
    ),
    "shortlist.funnel": ("Funnel", "rank", "retrieve"),
    "shortlist.models": ("Model", "Ranker", "Sequential", "TwoTower"),
    "shortlist.nn": ("Tower",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_PACKAGES = {*__all__, "funnel", "kernels"} - {*_HOME_OF, "Error"}

if not TYPE_CHECKING:  # or the type checker would believe in any name

    def __getattr__(name: str) -> Any:
        if name in _HOME_OF:
            value = getattr(import_module(_HOME_OF[name]), name)
        elif name in _PACKAGES:
            value = import_module(f"shortlist.{name}")
        else:
            raise AttributeError(f"module 'shortlist' has no attribute {name!r}")
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
