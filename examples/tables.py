"""Where tables come from: files, a database, MovieLens, a made-up shop, judged documents."""

import sqlite3
import tempfile
from pathlib import Path

import polars as pl

import shortlist as sl

folder = Path(tempfile.mkdtemp())
events = pl.DataFrame(
    {
        "customer": ["ann", "ann", "bob", "bob", None, "ann"],
        "sku": ["tea", "cup", "tea", "pot", "tea", "cup"],
        "ts": ["2026-01-02", "2026-01-03", "2026-01-02", "soon", "2026-01-05", "2026-01-03"],
        "action": ["view", "purchase", "view", "view", "view", "purchase"],
    }
)
events.write_parquet(folder / "events.parquet")

# The columns are guessed from their names and types; bad rows are dropped, counted and reported.
print(sl.datasets.guess_schema(events))
data = sl.datasets.from_files(folder / "events.parquet")
print(data, data.report, sep="\n")

# Or say what each column means, and what each type of event counts as.
schema = sl.Schema(
    user_id="customer",
    item_id="sku",
    timestamp="ts",
    event="action",
    events={"view": sl.EventType(weight=0.2), "purchase": sl.EventType(weight=1.0)},
)
weighted = sl.datasets.from_files(folder / "events.parquet", schema=schema)
print("weights:", weighted.weights.round(1).tolist())

# strict=True refuses a table with bad rows; every error of the library is an sl.Error.
try:
    sl.datasets.from_files(folder / "events.parquet", schema=schema, strict=True)
except sl.Error as error:
    print("refused:", error)

# A database: an address for SQLAlchemy, or a connection that is open already.
with sqlite3.connect(folder / "shop.db") as connection:
    connection.execute("CREATE TABLE events (user_id TEXT, item_id TEXT, timestamp INTEGER)")
    connection.executemany("INSERT INTO events VALUES (?, ?, ?)", [("ann", "tea", 1), ("bob", "cup", 2)])
    shop: sl.Dataset = sl.datasets.from_sql("SELECT * FROM events", connection)
    print(shop)

# MovieLens where it is at hand (SHORTLIST_DATA, the cache or the network), else a made-up shop of films.
try:
    films = sl.datasets.movielens("100k")
except sl.Error:
    films = sl.datasets.synthetic()
print(films)

# Documents judged by query, as learning to rank has them.
(folder / "judged.txt").write_text("2 qid:7 1:0.5 3:1\n0 qid:7 2:0.1\n1 qid:8 1:0.9\n")
judged: sl.datasets.RankingTable = sl.datasets.read_libsvm(folder / "judged.txt")
print(len(judged), "queries, features", list(judged.features.shape))
