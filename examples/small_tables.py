"""Tables of ids in less memory: bfloat16, several hashes into a few rows, one table for all features."""

import torch

import shortlist as sl
from shortlist.nn import Embedding, MultiHashEmbedding, UnifiedEmbedding
from shortlist.training import RowwiseAdagrad

# Half the memory: weights in bfloat16, rounded at random so that small steps count on average. With row-wise
# Adagrad the optimizer keeps one number a row.
data = sl.datasets.synthetic(users=200, items=200, events=4_000)
towers = sl.TwoTower(
    sl.Tower([sl.Id("user_id"), sl.History("item_id")], dim=16, sparse=True, table_dtype=torch.bfloat16),
    sl.Tower([sl.Id("item_id")], dim=16, sparse=True, table_dtype=torch.bfloat16),
)
history = towers.fit(data, epochs=2, batch_size=256, optimizer=RowwiseAdagrad, learning_rate=0.05)
print("bfloat16:", round(history.epochs[-1]["loss"], 3))


def weights(module: torch.nn.Module) -> str:
    """How many numbers a module learns."""
    return f"{sum(parameter.numel() for parameter in module.parameters()):,} weights"


# A hundred thousand ids, of which row 0 is the unknown.
ids = torch.tensor([[17, 99_999], [0, 4]])
table = Embedding(100_001, 32)
small = MultiHashEmbedding(100_001, 32, buckets=5_000)
print("one row an id:", list(table(ids).shape), weights(table))
print("two hashes into 5,000 rows:", list(small(ids).shape), weights(small))
print("the mean of a bag:", list(small.pool_mean(ids.flatten(), torch.tensor([0, 2, 4])).shape))

# One table for every feature; the more lookups a feature has, the wider its embedding.
unified = UnifiedEmbedding(5_000, 16, features={"user_id": 2, "item_id": 2, "city": 1})
print("items:", list(unified(ids, "item_id").shape), "cities:", list(unified(ids, "city").shape))
print("one table for three features:", weights(unified), "widths up to", unified.out_features("item_id"))
