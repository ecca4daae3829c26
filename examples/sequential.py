"""What comes next: models of whole sequences, as a retriever and for sessions."""

import torch

import shortlist as sl
from shortlist.nn import GRUBlock, HSTUBlock, SequenceEncoder, SequenceLayout, TransformerBlock

data = sl.datasets.synthetic(users=300, items=400, events=15_000)
train, test = data.split_leave_last_out()

# A causal transformer (SASRec), trained on every position of every history with the softmax over all items.
model = sl.Sequential(dim=32, length=50, dropout=0.3)
history = model.fit(train, epochs=3, batch_size=32)
print("loss:", [round(row["loss"], 3) for row in history.epochs])
print(model.evaluate(test, metrics=[sl.metrics.FactorizedTopK(ks=(10, 100))]))

# A known user by what they did, and a visitor by what they looked at just now.
print("u001:", model.recommend("u001", k=3).items)
seen = train.interactions["item_id"].to_list()[:3]
print("after", seen, ":", model.recommend_after(seen, k=3).items)

# It is a retriever like any other.
funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(model, k=100), sl.retrieve.Popular(k=50)], size=5)
print("funnel:", funnel.recommend("u001").items)

# Other blocks and other losses: time between events, a sample of the items for catalogues of millions.
timed = sl.Sequential(dim=32, block="hstu", heads=2, length=50, time_gaps=True, loss="sampled", negatives=64)
timed.fit(train, epochs=1, batch_size=32)

# The encoder by itself: one output an event, which later events never change.
events = sl.Ragged.from_lengths(torch.randn(9, 8), torch.tensor([2, 4, 3]))
print("encoded:", list(SequenceEncoder(8, block="gru", length=10)(events).shape))

# Blocks take packed events and where they lie, the longest sequence first.
layout = SequenceLayout(torch.tensor([0, 5, 9]))
blocks: list[torch.nn.Module] = [TransformerBlock(8), HSTUBlock(8, length=10), GRUBlock(8)]
for block in blocks:
    print(type(block).__name__, list(block(torch.randn(9, 8), layout).shape))
