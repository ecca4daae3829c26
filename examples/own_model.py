"""A model of your own: any towers, any loss, the library's training, evaluation and search."""

import torch

import shortlist as sl
from shortlist.models import Recommender


class Bilinear(sl.Model):
    """Two towers with a learned matrix between them."""

    def __init__(self, dim: int = 32) -> None:
        super().__init__()
        self.query = sl.Tower([sl.Id("user_id"), sl.History("item_id", length=20)], dim=dim)
        self.candidate = sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=dim)
        self.between = torch.nn.Linear(dim, dim, bias=False)
        self.task = sl.tasks.Retrieval(temperature=0.1)

    def compute_loss(self, batch):
        """The only method that a model must have."""
        return self.task(
            self.between(self.query(batch)), self.candidate(batch), candidate_ids=batch["item_index"]
        )


train, test = sl.datasets.synthetic(users=300, items=400, events=15_000).split_leave_last_out()
model = Bilinear()
model.fit(train, epochs=3, batch_size=256, validation=test, monitor="validation_loss")

# What `fit` has learned is an ordinary module: embed both sides and ask an exact index.
with torch.inference_mode():
    vectors = model.candidate(model.space.candidate_batch(torch.arange(1, len(train.item_vocabulary))))
    queries = model.between(model.query(model.space.query_batch(test.requests(test.targets))))
index = sl.index.BruteForce(dim=32).fit(train.item_vocabulary.ids, vectors)
people = torch.from_numpy(test.person_index)[torch.from_numpy(test.targets)]
seen = [train.item_vocabulary.decode(row).to_list() for row in test.seen.take(people).to_lists()]
found, _ = index.search(queries, k=10, exclude=seen)

wanted = test.interactions["item_id"].to_list()
hits = sum(item in row for item, row in zip(wanted, found.tolist(), strict=True))
print(f"hit rate@10: {hits / len(wanted):.3f} of {len(wanted)} events")

# TwoTower and the baselines answer `recommend` and `evaluate` themselves: they are Recommenders too.
print("Recommenders:", issubclass(sl.TwoTower, Recommender), isinstance(model, Recommender))
