"""A server and its clients: lists over HTTP, events that change them, items that come, keys."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from starlette.testclient import TestClient

import shortlist as sl
from shortlist.serving import KeyFile, ServerSettings, create_app, serve, stores

folder = Path(tempfile.mkdtemp())
data = sl.datasets.synthetic(users=200, items=150, events=6_000)
towers = sl.TwoTower(
    sl.Tower([sl.Id("user_id"), sl.History("item_id")], dim=16),
    sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=16),
)
towers.fit(data, epochs=2, batch_size=256)
sl.Funnel(retrieve=[sl.retrieve.Nearest(towers, k=60), sl.retrieve.Popular(k=30)], size=5).save(
    folder / "bundle"
)

# Keys: shown once, kept as hashes.
keys = KeyFile(folder / "keys.json")
key = keys.create("the example", ["recommend", "events", "items"])
settings = ServerSettings(store=f"sqlite:///{folder / 'store.db'}", keys=folder / "keys.json", rate=100)

# The application in this process; `serve(bundle, settings)` runs it on a socket, as `shortlist serve` does.
app = create_app(folder / "bundle", settings)
with TestClient(app, headers={"authorization": f"Bearer {key}"}) as client:
    before = client.post("/v1/recommend", json={"user": "somebody new", "fields": ["genres"]}).json()
    print(before["items"])
    events = [
        {"id": str(n), "user": "somebody new", "item": item} for n, item in enumerate(before["items"][:2])
    ]
    print(client.post("/v1/events", json={"events": events}).json())
    after = client.post("/v1/recommend", json={"user": "somebody new"}).json()
    print(after["items"])

    # A new item takes part within a second: the item tower knows it by its features.
    genres = before["columns"]["genres"][0]
    client.put("/v1/items/premiere", json={"columns": {"genres": genres}})
    time.sleep(1)
    print(client.get("/v1/similar/premiere", params={"k": 3}).json()["items"])
    print(client.get("/v1/bundles").json())  # the key lacks this scope

# The store, without the server.
store: stores.Store = stores.open_store(settings.store)
print(store.histories(["somebody new"], limit=10), store.items_since(0)[0].item)

# What experiments showed to whom, as `shortlist exposures` writes it; made up, as the server had none.
shown = stores.Exposure(
    "1", "ann", 1700000000, "trial", "control", 0.5, "b", items=("a", "b"), scores=(2.0, 1.0)
)
store.add_exposures([shown])
print(stores.exposure_table(store, experiment="trial"))
store.close()

# As a process of its own, told to stop.
program = (
    f"from shortlist.serving import serve, ServerSettings as S; serve({str(folder / 'bundle')!r}, S(port=0, "
)
program += f"store={settings.store!r}), started=lambda address: print(address, flush=True))"
with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
    assert process.stdout is not None
    print(process.stdout.readline().strip(), serve.__name__)
    process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20)
