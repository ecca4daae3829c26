"""Item vectors in, nearest items out: exact search, approximate search, and what does not fit in memory."""

from shortlist.index.approximate import Approximate
from shortlist.index.brute_force import BruteForce
from shortlist.index.results import SearchResults
from shortlist.index.sources import Batch
from shortlist.index.streaming import Streaming

__all__ = ["Approximate", "Batch", "BruteForce", "SearchResults", "Streaming"]
