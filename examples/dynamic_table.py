"""Ids without end: a table that gives rows to ids that have earned them, and takes them back."""

import tempfile
from pathlib import Path

import polars as pl
import torch
from torch import nn

import shortlist as sl
from shortlist import training
from shortlist.data import hash_ids

folder = Path(tempfile.mkdtemp())


class Likes(nn.Module):
    """Whether a user likes a video: both are strings that nobody counted."""

    def __init__(self) -> None:
        super().__init__()
        # A video gets a row of its own at its third sighting, a user at once.
        self.videos = sl.nn.DynamicEmbedding(16, admit_after=3, shared_rows=64)
        self.users = sl.nn.DynamicEmbedding(16)
        self.bias = nn.Parameter(torch.zeros(()))

    def compute_loss(self, batch):
        """The only method that a model must have."""
        scores = (self.users(batch["user"]) * self.videos(batch["video"])).sum(-1) + self.bias
        return nn.functional.binary_cross_entropy_with_logits(scores, batch["liked"])


class Stream:
    """Batches as they come: each day has users and videos that the day before had not."""

    def __len__(self):
        return 30

    def epoch(self, number, *, start=0):
        """The batches of a day."""
        for batch in range(start, len(self)):
            random = torch.Generator().manual_seed(1000 * number + batch)
            users = torch.randint(0, 100 + 5 * batch, (256,), generator=random)
            videos = torch.randint(50 * number, 50 * number + 200, (256,), generator=random)
            yield {
                "user": hash_ids([f"user-{each}" for each in users.tolist()]),
                "video": hash_ids(pl.Series([f"video/{each}" for each in videos.tolist()])),
                "liked": ((users + videos) % 2).float(),
            }


model = Likes()
history = training.fit(model, Stream(), epochs=4, optimizer=training.RowwiseAdagrad, learning_rate=0.3)
print("loss:", [round(row["loss"], 3) for row in history.epochs])
print("rows:", model.users.num_rows, "users,", model.videos.num_rows, "videos")

# Videos that no batch of the last 40 steps had, then the least popular above 100 kB.
gone = model.videos.evict(unseen_for=40)
surplus = model.videos.shrink(100_000, keep="frequent")
print("evicted:", len(gone), "and", len(surplus), "videos,", f"{model.videos.num_bytes:,} bytes")

# Checkpoints write the rows that changed, and are on the disk when `save` returns.
checkpoints = sl.nn.TableCheckpoints(folder / "users")
sizes = [checkpoints.save(model.users).stat().st_size]
optimizer = training.RowwiseAdagrad(model.parameters(), lr=0.3)
model.train()
model.compute_loss(next(iter(Stream().epoch(9)))).backward()
optimizer.step()
sizes.append(checkpoints.save(model.users).stat().st_size)
restored = sl.nn.DynamicEmbedding(16)
checkpoints.restore(restored)
print("checkpoints of", sizes, "bytes; restored", restored.num_rows, "users")

# To be served: one file that opens in milliseconds, whatever its size.
model.users.save_mapped(folder / "users.rows")
serving = sl.nn.MappedEmbedding(folder / "users.rows")
print("served:", serving(hash_ids(["user-7", "nobody"])).norm(dim=1))

# As columns, for whatever else reads Arrow.
model.users.export_rows(folder / "users.arrow")
print(pl.read_ipc(folder / "users.arrow").sort("count", descending=True).head(2))
