"""Optimizers: Keras's Adagrad, its clipped form, several side by side, and those for large tables."""

import torch

import shortlist as sl
from shortlist import training

data = sl.datasets.synthetic(users=200, items=200, events=4_000)
train, test = data.split_leave_last_out()


def model() -> sl.TwoTower:
    """Two towers, the query's with a layer of its own."""
    return sl.TwoTower(
        sl.Tower([sl.Id("user_id")], dim=16, hidden=[32]), sl.Tower([sl.Id("item_id")], dim=16)
    )


# One for everything: pass the class, `fit` makes it.
for kind in (training.Adagrad, training.ClippyAdagrad):
    towers = model()
    history = towers.fit(train, epochs=2, batch_size=256, optimizer=kind, learning_rate=0.1)
    print(kind.__name__, round(history.epochs[-1]["loss"], 3))

# Embeddings with one, dense layers with another: build first, so that the parameters exist.
towers = model()
towers.build(train)
dense = [parameter for name, parameter in towers.named_parameters() if "deep" in name]
embeddings = [parameter for name, parameter in towers.named_parameters() if "deep" not in name]
both = training.CompositeOptimizer(
    [training.Adagrad(embeddings, lr=0.1), torch.optim.Adam(dense, lr=1e-3)], cover=towers.parameters()
)
history = towers.fit(train, epochs=2, batch_size=256, optimizer=both, learning_rate=None)
print("both", round(history.epochs[-1]["loss"], 3))

# Ids by the million: gradients that name the rows of the batch, and optimizers that step these alone.
for kind in (training.RowwiseAdagrad, training.LazyAdam):
    large = sl.TwoTower(
        sl.Tower([sl.Id("user_id")], dim=16, sparse=True), sl.Tower([sl.Id("item_id")], dim=16, sparse=True)
    )
    history = large.fit(train, epochs=2, batch_size=256, optimizer=kind, learning_rate=0.05)
    print(kind.__name__, round(history.epochs[-1]["loss"], 3))
