"""How likely a batch is to hold an item, learned from the stream of batches."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from shortlist.errors import ConfigError

# Odd 64-bit multipliers that scatter neighbouring ids; the first hash keeps dense ids apart as they are.
_MULTIPLIERS = (1, -7046029254386353131, -4417276706812531889, 1609587929392839161)
_BUCKET_BUFFERS = ("last_step", "interval", "seen")


class SamplingProbability(nn.Module):
    """The chance that a batch contains an item, from the mean number of batches between its appearances.

    No counts of the whole data are needed, so it works on a stream and follows a drifting popularity. Items
    share buckets of a hash; of several hashes the one with the fewest collisions decides. Dense item indices
    below `num_buckets` never collide. The state lies in buffers, so it is saved with the model; it takes no
    room before the first batch.

    Args:
        num_buckets: of each hash, 12 bytes each. Pass about the size of the catalogue when it is larger than
            the default.
        num_hashes: 1 to 4.
        rate: weight of the newest interval once an item has been seen `1 / rate` times; until then all its
            intervals weigh alike.

    Raises:
        ConfigError: an argument is out of range.

    Source: Yi et al., Sampling-bias-corrected neural modeling (RecSys 2019), algorithms 2 and 3. There an
    item's first intervals start from a guess; here they are averaged plainly.
    """

    last_step: Tensor
    interval: Tensor
    seen: Tensor
    step: Tensor

    def __init__(self, *, num_buckets: int = 1 << 16, num_hashes: int = 2, rate: float = 0.02) -> None:
        super().__init__()
        if num_buckets < 1 or not 1 <= num_hashes <= len(_MULTIPLIERS) or not 0 < rate <= 1:
            raise ConfigError(
                f"num_buckets is {num_buckets}, num_hashes is {num_hashes}, rate is {rate}",
                remedy=f"pass at least 1 bucket, 1 to {len(_MULTIPLIERS)} hashes and a rate in (0, 1]",
            )
        self.num_buckets = num_buckets
        self.rate = rate
        self.num_hashes = num_hashes
        self.register_buffer("last_step", torch.zeros(num_hashes, 0, dtype=torch.int32))
        self.register_buffer("interval", torch.zeros(num_hashes, 0))
        self.register_buffer("seen", torch.zeros(num_hashes, 0, dtype=torch.int32))
        self.register_buffer("step", torch.zeros((), dtype=torch.int32))

    @torch.no_grad()
    def observe(self, ids: Tensor) -> None:
        """Count one batch.

        Args:
            ids: `[n]` int64 items of the batch; repeats count once.
        """
        if self.interval.shape[1] == 0:
            self._allocate(self.num_buckets)
        self.step += 1
        for row, buckets in enumerate(self._buckets(ids)):
            gap = (self.step - self.last_step[row, buckets]).float()
            seen = self.seen[row, buckets] + 1
            share = (1 / seen).clamp(min=self.rate)
            # Repeats of an id write the same value, so the order of the writes does not matter.
            self.interval[row, buckets] += share * (gap - self.interval[row, buckets])
            self.seen[row, buckets] = seen
            self.last_step[row, buckets] = self.step

    @torch.no_grad()
    def forward(self, ids: Tensor) -> Tensor:
        """Estimate the chance that a batch contains each item.

        Args:
            ids: `[n]` int64.

        Returns:
            `[n]` float32 in (0, 1]. An item never seen in `t` batches gets `1 / (t + 1)`.
        """
        never = (self.step + 1).float()
        if self.interval.shape[1] == 0:
            return (1 / never).expand(len(ids))
        intervals = [
            torch.where(self.seen[row, buckets] > 0, self.interval[row, buckets], never)
            for row, buckets in enumerate(self._buckets(ids))
        ]
        # A collision makes a bucket look busier than its items are, so the longest interval is nearest.
        return 1 / torch.stack(intervals).amax(dim=0).clamp(min=1)

    def _allocate(self, size: int) -> None:
        for name in _BUCKET_BUFFERS:
            empty: Tensor = getattr(self, name)
            setattr(self, name, empty.new_zeros(self.num_hashes, size))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        # A saved state may hold buckets where this one has not seen a batch yet, or the reverse.
        saved = state_dict.get(f"{prefix}interval")
        if saved is not None and saved.shape in ((self.num_hashes, 0), (self.num_hashes, self.num_buckets)):
            self._allocate(saved.shape[1])
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _buckets(self, ids: Tensor) -> list[Tensor]:
        ids = ids.long()
        buckets = []
        for multiplier in _MULTIPLIERS[: self.num_hashes]:
            mixed = ids if multiplier == 1 else (ids * multiplier) >> 24
            buckets.append(mixed.remainder(self.num_buckets))
        return buckets
