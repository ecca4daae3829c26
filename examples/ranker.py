"""A ranker that learns the retrievers' mistakes, and one that predicts ratings."""

import shortlist as sl
from shortlist.models import EASE, Ranker, RankingLists

data = sl.datasets.synthetic(users=300, items=400, events=15_000)
train, test = data.split_leave_last_out()

# The ranker learns from events that its retrievers have not seen, or it would trust their scores too much.
earlier, recent = train.split_leave_last_out(count=3)
before = [sl.retrieve.Nearest(EASE().fit(earlier), k=100), sl.retrieve.Popular(k=50)]
ranker = sl.Ranker(scores=["score_ease", "score_popular"])
history = sl.rank.fit(ranker, before, recent, epochs=3)
print("loss:", [round(row["loss"], 3) for row in history.epochs])

# What it learned from: for each recent event, what the retrievers found, labelled.
lists: RankingLists = sl.rank.ranking_lists(before, recent)
print(len(lists), "lists of", int(lists.candidates.lengths.float().mean()), "candidates")

# In the funnel the retrievers know the recent events too.
after = [sl.retrieve.Nearest(EASE().fit(train), k=100), sl.retrieve.Popular(k=50)]
for name, rank in {"retrieval's order": None, "ranked": sl.rank.Scored(ranker, keep=100)}.items():
    figures = sl.evaluation.evaluate_lists(sl.Funnel(retrieve=after, rank=rank), test, ks=(10,))
    print(f"{name:18} NDCG@10 {figures['ndcg@10']:.4f}")

# Ratings: every labelled event for itself, from features of the user and of the item.
rater = Ranker([sl.Id("user_id"), sl.Number("age")], [sl.Id("item_id"), sl.Tags("genres")], loss="rating")
rater.fit(train, epochs=3)
print("mean squared error:", rater.validate(test))

# Boosted trees in its place: pip install 'shortlist[lightgbm]'.
trees = sl.models.BoostedRanker(
    candidate=[sl.Number("year")], scores=["score_ease", "score_popular"], trees=50, num_leaves=15
)
sl.rank.fit(trees, before, recent)
figures = sl.evaluation.evaluate_lists(sl.Funnel(retrieve=after, rank=sl.rank.Scored(trees)), test, ks=(10,))
print(f"trees NDCG@10 {figures['ndcg@10']:.4f}", dict(list(trees.importances().items())[:3]))
