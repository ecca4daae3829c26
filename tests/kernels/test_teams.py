"""Native work shared out among PyTorch's own threads."""

from __future__ import annotations

import subprocess
import sys

import torch

from shortlist.kernels.tables import gather_rows

FORK = """
import multiprocessing, torch
from shortlist.kernels.tables import gather_rows
torch.set_num_threads(2)
table, ids = torch.randn(2000, 64), torch.randint(0, 2000, (16_384,))  # enough for two threads
rows = gather_rows(table, ids).numpy().tobytes()

def child():
    assert gather_rows(table, ids).numpy().tobytes() == rows

process = multiprocessing.get_context("fork").Process(target=child)
process.start()
process.join(30)
assert process.exitcode == 0, process.exitcode  # None where it waits for ever
"""


def test_a_forked_process_does_not_wait_for_threads_that_stayed_with_its_parent() -> None:
    ended = subprocess.run([sys.executable, "-c", FORK], timeout=60, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


def test_more_threads_than_there_are_give_every_row_once() -> None:
    table, ids = torch.randn(2000, 64), torch.randint(0, 2000, (60_000,))
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 13):
            torch.set_num_threads(threads)
            assert gather_rows(table, ids).equal(table[ids])
    finally:
        torch.set_num_threads(before)
