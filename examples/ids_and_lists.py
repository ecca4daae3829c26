"""The seams of the data: ids and indices, ragged lists, histories without leaks, requests, candidates."""

import numpy as np
import polars as pl
import torch

import shortlist as sl
from shortlist.data import Candidates, Catalogue, Requests, Timeline, Vocabulary

# Outside ids to dense indices and back, in bulk; index 0 is the unknown.
items = Vocabulary.fit(pl.Series(["tea", "cup", "tea", "pot"]))
print(items, items.encode(["pot", "tea", "coffee"]).tolist(), items.decode([1, 2]).to_list())

# Lists of different lengths: values and offsets, the layout of Arrow.
baskets = sl.Ragged.from_lists([[1, 2], [], [3]])
print(baskets.lengths.tolist(), baskets.to_padded(2).tolist(), baskets[2].tolist())

# Who did what when, sorted by user and time. What comes before a moment is strictly before it.
timeline = Timeline(
    users=np.array([1, 1, 1, 2]),
    items=np.array([1, 2, 3, 1]),
    times=np.array([10, 20, 30, 10]),
    num_users=3,
    kept=np.ones(4, np.bool_),
)
history, _ = timeline.before(torch.tensor([1, 1, 2]), torch.tensor([20, 99, 10]))
print("before each moment:", history.to_lists())

# What a model is asked, and what one stage of a funnel hands to the next.
requests = Requests.from_history(history)
found = Candidates.from_padded(
    torch.tensor([[2, 3], [1, 0], [3, 2]]), torch.tensor([[0.1, 0.9], [0.5, -torch.inf], [0.7, 0.2]])
)
print(len(requests), "requests,", found.lengths.tolist(), "candidates; the best of each:")
print(found.sorted().top(1).items.to_lists())

# What is known of each item; row 0 describes the unknown.
table = pl.DataFrame({"item": [None, "tea", "cup", "pot"], "price": [None, 3.0, 5.0, 20.0]})
catalogue = Catalogue(table, items)
print("below 10:", catalogue.mask(pl.col("price") < 10).tolist())
