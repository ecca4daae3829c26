"""A funnel on a device: exported, loaded without PyTorch, adapted to feedback, brought up to date."""

import tempfile
from pathlib import Path

import shortlist as sl
from shortlist.export import Device, Fetched, Recommended, export_funnel, update

data = sl.datasets.synthetic(users=200, items=300, events=8000)
towers = sl.TwoTower(
    query=sl.Tower([sl.History("item_id", length=50)], dim=16),
    candidate=sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=16),
)
towers.fit(data, epochs=2, batch_size=256)
funnel = sl.Funnel(
    retrieve=[sl.retrieve.Nearest(towers, k=100), sl.retrieve.Popular(k=50)],
    postrank=[sl.postrank.Diversity(0.2), sl.postrank.Cap("genres", 3)],
    size=6,
)
folder = Path(tempfile.mkdtemp())
report = export_funnel(funnel, folder / "model", encoding="int8")
print(f"{report.bytes:,} bytes; {report.overlap:.1%} of the items are those of the funnel")

# On the device: the history is given, nothing is sent.
device = Device.load(folder / "model")
history = ["i003", "i017", "i041"]
answer: Recommended = device.recommend(history)
for film in answer:
    print(f"{film['score']:.3f}", film["title"])
print("filtered:", device.recommend(history, k=3, where={"genres": answer.columns["genres"][0]}).items)
print("similar to i003:", device.similar("i003", k=3).items)

# What is liked and disliked counts at once, until it is forgotten.
device.adapt(liked=answer.items[:1], disliked=answer.items[1:2])
print("adapted:", device.recommend(history).items)
device.forget()
print("as before:", device.recommend(history) == answer)

# A newer export: only the files that changed are fetched.
towers.fit(data, epochs=1, batch_size=256)
export_funnel(sl.Funnel(retrieve=[sl.retrieve.Nearest(towers)], size=6), folder / "newer", encoding="int8")
fetched: Fetched = update(folder / "model", folder / "newer")
print(f"{fetched.files} files fetched, {fetched.kept} kept")
print("up to date:", device.update(folder / "newer").recommend(history).items)
