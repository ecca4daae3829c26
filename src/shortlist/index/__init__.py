"""Item vectors in, nearest items out: exact search in memory and over what does not fit there."""

from shortlist.index.brute_force import BruteForce
from shortlist.index.results import SearchResults
from shortlist.index.sources import Batch
from shortlist.index.streaming import Streaming

__all__ = ["Batch", "BruteForce", "SearchResults", "Streaming"]
