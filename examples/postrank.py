"""The last changes to a list: rules, freshness, variety, exploration, caps; and one of your own."""

import warnings

import torch

import shortlist as sl
from shortlist.data import Candidates
from shortlist.funnel import OrderUndone
from shortlist.postrank import (
    Boost,
    Cap,
    Diversity,
    Exclude,
    Explore,
    Freshness,
    PostRanker,
    from_dict,
    to_dict,
)

data = sl.datasets.synthetic(users=200, items=300, events=8000)
popular = sl.models.Popularity().fit(data)
people = data.people.encode(["u001", "u002"])
requests = data.requests_of(torch.from_numpy(people))
candidates = Candidates.from_padded(*popular.retrieve(requests, 50))


class Backwards:
    """Any object with this method can stand in a funnel."""

    def rerank(self, candidates, *, size, catalogue, requests, seed):
        """The worst first."""
        return candidates.with_scores(-candidates.scores).sorted()


print("mine is one:", isinstance(Backwards(), PostRanker))

# Those that drop, those that rescore, those that reorder, and the cap last.
steps = [
    Exclude(items=["i001"], where="year < 2019", seen=True),
    Boost(where="year >= 2022", by=0.3),
    Freshness(half_life="180d", strength=0.5),
    Diversity(0.3, by="genres"),
    Explore(slots=1),
    Cap("genres", 3),
]
for step in steps:
    candidates = step.rerank(candidates, size=6, catalogue=data.catalogue, requests=requests, seed=0)
    best = candidates.top(6).items[0]
    print(f"{type(step).__name__:10}", data.item_vocabulary.decode(best.numpy()).to_list())

# The funnel warns of an order that undoes what came before.
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", OrderUndone)
    sl.Funnel(retrieve=[sl.retrieve.Nearest(popular)], postrank=[Diversity(0.3), Boost(column="year")])
print("warned:", caught[0].message)

# As JSON and TOML hold them.
settings = [to_dict(step) for step in steps]
print(settings[3], [from_dict(each) for each in settings] == steps)
