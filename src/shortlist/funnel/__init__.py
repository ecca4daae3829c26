"""The funnel: retrievers, a ranker and post-rankers as one object, and its bundle on disk."""

from shortlist.funnel import rank, retrieve
from shortlist.funnel.bundle import load_bundle, save_bundle
from shortlist.funnel.checks import OrderUndone
from shortlist.funnel.explain import Explanation
from shortlist.funnel.funnel import Funnel, Trace

__all__ = ["Explanation", "Funnel", "OrderUndone", "Trace", "load_bundle", "rank", "retrieve", "save_bundle"]
