"""Our half of the speed of `device`: NumPy and ONNX Runtime in one thread, without PyTorch.

Started as `python device_ours.py EXPORT K`; for each history, a JSON list of ids, that it reads from its
standard input it answers with a line of JSON: the seconds and the ids found.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"


def main() -> None:
    """Answer until the input ends."""
    from shortlist.export import Device

    device, k = Device.load(sys.argv[1]), int(sys.argv[2])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        history = json.loads(line)
        started = time.perf_counter()
        answer = device.recommend(history, k=k)
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "items": answer.items}), flush=True)


if __name__ == "__main__":
    main()
