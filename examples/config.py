"""The no-code way in Python: one TOML file that says what a whole funnel is made of."""

import tempfile
from pathlib import Path

import shortlist as sl
from shortlist.config import Config, TrainedFunnel, load_config, train_funnel

folder = Path(tempfile.mkdtemp())
films = sl.datasets.synthetic(users=200, items=300, events=8000)
films.interactions.write_parquet(folder / "events.parquet")
films.items.write_parquet(folder / "films.parquet")
(folder / "shortlist.toml").write_text("""
[data]
interactions = "events.parquet"
items = "films.parquet"
timestamp = "timestamp"
label = "rating"

[split]
by = "leave_last_out"

[retriever]
dim = 32
candidate = [{kind = "Id", column = "item_id"}, {kind = "Tags", column = "genres"}]

[training]
epochs = 3
batch_size = 256

[funnel]
size = 5

[[funnel.retrieve]]
kind = "TwoTower"
k = 100

[[funnel.retrieve]]
kind = "Popular"

[[postrank]]
kind = "Cap"
column = "genres"
at_most = 2
""")

config: Config = load_config(folder / "shortlist.toml")
train, test = config.split(config.dataset())
trained: TrainedFunnel = train_funnel(config, train)
print(sl.evaluation.funnel_report(trained.funnel, test))
print(trained.funnel.recommend("u042").frame.select("rank", "title", "why"))

# A misspelt key is an error that suggests the right one.
(folder / "wrong.toml").write_text('[data]\ninteractions = "events.parquet"\ntimestmp = "timestamp"\n')
try:
    load_config(folder / "wrong.toml")
except sl.Error as error:
    print("refused:", error)
