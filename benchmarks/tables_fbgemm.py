"""The peer's half of `tables`, run by the peer's own interpreter.

Started as `python tables_fbgemm.py ROWS DIM RATE START EPS RULE`, it makes a table whose weights are all
`WEIGHT` and says "ready". Each line of its standard input is then `THREADS BAGS LENGTH SEED`: it looks up so
many bags of rows drawn with the seed, sends the gradient drawn with it back, which updates the rows, and
answers with the seconds and the first of the rows.
"""

from __future__ import annotations

import json
import sys
import time

import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
    ComputeDevice,
    SplitTableBatchedEmbeddingBagsCodegen,
)

WEIGHT = 0.01
RULES = {"adagrad": EmbOptimType.EXACT_ADAGRAD, "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD}


def main() -> None:
    """Answer until the input ends."""
    rows, dim, rate, start, eps, rule = sys.argv[1:]
    table = SplitTableBatchedEmbeddingBagsCodegen(
        embedding_specs=[(int(rows), int(dim), EmbeddingLocation.HOST, ComputeDevice.CPU)],
        optimizer=RULES[rule],
        learning_rate=float(rate),
        eps=float(eps),
        pooling_mode=PoolingMode.SUM,
    )
    for weights in table.split_embedding_weights():
        weights.fill_(WEIGHT)
    for state in table.split_optimizer_states():
        state[0].fill_(float(start))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        threads, bags, length, seed = map(int, line.split())
        torch.set_num_threads(threads)
        random = torch.Generator().manual_seed(seed)
        ids = torch.randint(1, int(rows), (bags * length,), generator=random)
        gradient = torch.randn(bags, int(dim), generator=random)
        offsets = torch.arange(0, bags * length + 1, length)
        started = time.perf_counter()
        table(ids, offsets).backward(gradient)
        seconds = time.perf_counter() - started
        first = table.split_embedding_weights()[0][ids[:8]].tolist()
        print(json.dumps({"seconds": seconds, "rows": first}), flush=True)


if __name__ == "__main__":
    main()
