"""Tasks: from embeddings, or scores and labels, to one loss; several of them at once."""

import torch

import shortlist as sl
from shortlist import losses, metrics, tasks

torch.manual_seed(0)
users, films = torch.randn(6, 8, requires_grad=True), torch.randn(6, 8)
ids = torch.tensor([1, 2, 3, 1, 4, 5])

# Retrieval estimates how likely each item is to be in a batch from the stream of ids; or is given it.
retrieval = tasks.Retrieval(temperature=0.2, num_hard_negatives=3, batch_metrics=[metrics.InBatchTopK()])
print("retrieval:", retrieval(users, films, candidate_ids=ids).item())
print(retrieval.batch_metrics[0].compute())

# Further negatives stand below the positives; several heads a query: the best one counts.
plain = tasks.Retrieval(correct_sampling_bias=False, remove_accidental_hits=False)
print("more negatives:", plain(users, torch.cat([films, torch.randn(10, 8)])).item())
print("two heads:", plain(torch.stack([users, -users], dim=1), films).item())

# The task can say which items to draw, or score the whole catalogue; a queue keeps earlier candidates.
mixed = tasks.Retrieval(negatives="mixed", num_negatives=10, queue_size=12)
table = torch.randn(51, 8, requires_grad=True)
for _ in range(3):
    items = torch.cat([ids, mixed.draw_negatives(50)])
    print("mixed:", mixed(users, table[items], candidate_ids=items, num_items=50).item())
queue: tasks.NegativeQueue = mixed.queue
print("kept:", len(queue), queue.ids.tolist())
catalogue = tasks.Retrieval(negatives="catalogue")
print("catalogue:", catalogue(users, table, targets=ids).item())

# Ranking: any pointwise loss, with metrics on the way.
rating = tasks.Ranking(loss=losses.squared_error, metrics=[metrics.RMSE()])
predicted, given = (users * films).sum(1), torch.tensor([4.0, 3, 5, 1, 2, 4])
print("rating:", rating(predicted, given).item(), rating.metrics[0].compute())

# Both at once, with weights that are given, or learned from each task's noise.
for both in (
    sl.tasks.MultiTask({"retrieval": retrieval, "rating": rating}, weights={"rating": 0.5}),
    sl.tasks.MultiTask({"retrieval": retrieval, "rating": rating}, balance="uncertainty"),
):
    parts = {
        "retrieval": {"query_embeddings": users, "candidate_embeddings": films, "candidate_ids": ids},
        "rating": {"predictions": predicted, "labels": given},
    }
    print(
        "both:",
        both(parts).item(),
        {name: round(part.item(), 3) for name, part in both.losses(parts).items()},
    )

# The estimator of the logQ correction on its own.
chances = tasks.SamplingProbability(num_buckets=100)
for _ in range(20):
    chances.observe(torch.cat([torch.tensor([7]), torch.randint(10, 20, (3,))]))
print("item 7 is in every batch:", chances(torch.tensor([7, 12, 50])))

# Self-supervision: halves of an item's features must agree on which item it is. No user is needed.
catalogue = sl.datasets.synthetic(users=50, items=120, events=500)
films_tower = sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=8)
model = sl.TwoTower(sl.Tower([sl.Id("user_id")], dim=8), films_tower)
space = model.build(catalogue)
names = [feature.name for feature in films_tower.features]
contrast = tasks.ItemContrast(relation=tasks.mutual_information(space.item_columns, names))
drawn = torch.randint(1, space.num_items, (32,))
print("contrast:", contrast(films_tower, space.candidate_batch(drawn), item_ids=drawn).item())

# REINFORCE from what another policy showed, eight items at a time, and how it was received.
policy = tasks.OffPolicyReinforce(num_items=50, dim=8, top_k=8)
states, items = torch.randn(6, 8, requires_grad=True), torch.randn(50, 8, requires_grad=True)
print("reinforce:", policy(states, items, ids, reward=torch.tensor([1.0, 0, 0, 1, 1, 0])).item())
