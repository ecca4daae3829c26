"""The peer's half of the speed of `device`, run by the peer's own interpreter.

Started as `python device_litert.py NETWORK ITEMS K`, where ITEMS is JSON of the ids and titles in the order
of the rows from 1 on. It converts the network to a flatbuffer, then answers each history, a JSON list of ids
on its standard input, with a line of JSON: the seconds and the ids found.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # the converter prints what it does
    import litert_torch
    import numpy as np
    import torch
    from ai_edge_litert.interpreter import Interpreter

    network, k = sys.argv[1], int(sys.argv[3])
    ids, titles = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    row_of = {item: row for row, item in enumerate(ids, start=1)}
    program = torch.export.load(network)
    file = str(Path(network).with_suffix(".tflite"))
    litert_torch.convert(program.module(), program.example_inputs[0]).export(file)
    interpreter = Interpreter(model_path=file, num_threads=1)
    interpreter.allocate_tensors()
    (asked,), gives = interpreter.get_input_details(), interpreter.get_output_details()
    rows = next(each["index"] for each in gives if np.issubdtype(each["dtype"], np.integer))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        history = json.loads(line)
        started = time.perf_counter()
        events = [row_of[item] for item in history]
        interpreter.set_tensor(asked["index"], np.array([events], np.int32))
        interpreter.invoke()
        seen = {0, *events}
        best = [row for row in interpreter.get_tensor(rows)[0].tolist() if row not in seen][:k]
        found, shown = [ids[row - 1] for row in best], [titles[row - 1] for row in best]
        seconds = time.perf_counter() - started
        assert len(shown) == k
        print(json.dumps({"seconds": seconds, "items": found}), file=answers, flush=True)


if __name__ == "__main__":
    main()
