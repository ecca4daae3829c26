"""The last changes to a ranked list: variety, freshness, caps, rules, exploration."""

from shortlist.postrank.cap import Cap
from shortlist.postrank.diversity import Diversity
from shortlist.postrank.explore import Explore
from shortlist.postrank.freshness import Freshness
from shortlist.postrank.protocol import PostRanker
from shortlist.postrank.rules import Boost, Exclude
from shortlist.postrank.saving import from_dict, to_dict

__all__ = [
    "Boost",
    "Cap",
    "Diversity",
    "Exclude",
    "Explore",
    "Freshness",
    "PostRanker",
    "from_dict",
    "to_dict",
]
