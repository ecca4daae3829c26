"""A funnel for a device: exported, verified, with a budget, and looked into."""

import tempfile
from pathlib import Path

import shortlist as sl
from shortlist.export import DeviceManifest, ExportReport, StageCheck, export_bundle, export_funnel

folder = Path(tempfile.mkdtemp())
data = sl.datasets.synthetic(users=200, items=150, events=6_000)
towers = sl.TwoTower(
    sl.Tower([sl.Id("user_id"), sl.History("item_id", length=50)], dim=16),
    sl.Tower([sl.Id("item_id"), sl.Tags("genres")], dim=16),
)
towers.fit(data, epochs=2, batch_size=256)
funnel = sl.Funnel(retrieve=[sl.retrieve.Nearest(towers, k=60), sl.retrieve.Popular(k=30)], size=5)

# With float32 tables the export must give the same lists as the funnel, or nothing is written.
exact: ExportReport = export_funnel(funnel, folder / "exact")
print(f"{exact.bytes:,} bytes, {exact.overlap:.0%} of the first twelve items are the funnel's")

# A budget chooses the encodings and says what they cost; the most useful items stand for most of the traffic.
funnel.save(folder / "bundle")
small = export_bundle(folder / "bundle", folder / "small", items=100, max_bytes=exact.bytes // 2)
checks: tuple[StageCheck, ...] = small.checks
print(
    dict(small.encodings), f"{small.bytes:,} bytes", [f"{each.stage}: {each.overlap:.0%}" for each in checks]
)

# What a device reads: a manifest, and files that are named by their content and checked when they are read.
manifest = DeviceManifest.read(folder / "small")
print(f"{manifest.items.count} items, {manifest.items.traffic:.0%} of past events")
print({name: len(file.read(folder / "small")) for name, file in manifest.files.items()})
