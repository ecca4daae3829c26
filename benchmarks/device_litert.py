"""The peer's half of the speed of `device`, run by the peer's own interpreter.

Started as `python device_litert.py NETWORK K`; converts the network to a flatbuffer, then for each history, a
JSON list of rows, that it reads from its standard input it answers with a line of JSON: the seconds and the
rows found.
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

    network, k = sys.argv[1], int(sys.argv[2])
    program = torch.export.load(network)
    file = str(Path(network).with_suffix(".tflite"))
    litert_torch.convert(program.module(), program.example_inputs[0]).export(file)
    interpreter = Interpreter(model_path=file, num_threads=1)
    interpreter.allocate_tensors()
    (asked,), found = interpreter.get_input_details(), interpreter.get_output_details()
    rows = next(each["index"] for each in found if np.issubdtype(each["dtype"], np.integer))
    print(json.dumps("ready"), file=answers, flush=True)
    for line in sys.stdin:
        history = json.loads(line)
        started = time.perf_counter()
        interpreter.set_tensor(asked["index"], np.array([history], np.int32))
        interpreter.invoke()
        seen = {0, *history}
        best = [row for row in interpreter.get_tensor(rows)[0].tolist() if row not in seen][:k]
        seconds = time.perf_counter() - started
        print(json.dumps({"seconds": seconds, "rows": best}), file=answers, flush=True)


if __name__ == "__main__":
    main()
