"""Honest figures: splits without leaks, baselines beside the model, the funnel's loss stage by stage."""

import shortlist as sl
from shortlist.evaluation import FunnelReport, StageLoss, evaluate_lists, funnel_report

data = sl.datasets.synthetic(users=300, items=400, events=15_000)

# Each split gives a train part and a test part that knows what came before.
for name, (train, test) in {
    "time": data.split_by_time(test=0.1),
    "last event of each user": data.split_leave_last_out(),
    "random": data.split_random(test=0.2, seed=0),
    "my own": data.split_at(data.interactions["rating"].to_numpy() == 5),
}.items():
    ease = sl.models.EASE(l2=100).fit(train)
    print(f"\n{name}: {len(train):,} train and {len(test):,} test events")
    print(ease.evaluate(test, metrics=[sl.metrics.FactorizedTopK(ks=(10, 100))]))

# The lists that users would see, of models and funnels alike; coverage too.
train, test = data.split_leave_last_out()
ease = sl.models.EASE(l2=100).fit(train)
funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(ease, k=100)], postrank=[sl.postrank.Cap("genres", 2)])
for model in (sl.models.Popularity().fit(train), ease, funnel):
    figures = evaluate_lists(model, test, ks=(10,))
    print({name: round(value, 3) for name, value in figures.items()})

# Where the funnel loses what the users wanted.
report: FunnelReport = funnel_report(funnel, test)
print(report)
worst: StageLoss = max(report.stages, key=lambda stage: stage.lost)
print(f"most is lost by {worst.stage}: {worst.lost:.1%}")
