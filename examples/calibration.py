"""Calibration: how true probabilities are, four ways to mend them, and a ranker whose scores are chances."""

from pathlib import Path
from tempfile import mkdtemp

import torch

import shortlist as sl
from shortlist import calibration
from shortlist.models import EASE

draw = torch.Generator().manual_seed(0)


def clicks(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits that are three times as sure as they should be, and what happened."""
    logits = torch.randn(count, generator=draw)
    return 3 * logits, (torch.rand(count, generator=draw) < torch.sigmoid(logits)).float()


seen, happened = clicks(4000)  # what the calibrators learn from
scores, labels = clicks(4000)
raw: calibration.Reliability = calibration.reliability(torch.sigmoid(scores), labels, bins=5)
print(raw, raw.largest_error)
curves = {"raw": raw}
kinds: list[type[calibration.Calibrator]] = [
    calibration.Temperature,
    calibration.Platt,
    calibration.Isotonic,
    calibration.Spline,
]
for kind in kinds:
    mended = kind().fit(seen, happened)
    curves[kind.__name__] = calibration.reliability(mended(scores), labels)
    print(f"{kind.__name__:12} expected error {curves[kind.__name__].expected_error:.4f}")

# A picture that any browser shows, and a calibrator as a file.
folder = Path(mkdtemp())
(folder / "reliability.svg").write_text(calibration.reliability_diagram(curves))
calibration.save_calibrator(mended, folder / "spline.safetensors")
again = calibration.load_calibrator(folder / "spline.safetensors")
print("the same bits:", torch.equal(again(scores), mended(scores)))

# Scores of a loss over lists have no unit; calibrated, they are the chance that an item is the next one.
data = sl.datasets.synthetic(users=200, items=200, events=8_000)
train, held_out = data.split_leave_last_out()
earlier, recent = train.split_leave_last_out(count=2)
ranker = sl.Ranker(scores=["score_ease"])
sl.rank.fit(ranker, [sl.retrieve.Nearest(EASE().fit(earlier), k=50)], recent, epochs=3)
retriever = sl.retrieve.Nearest(EASE().fit(train), k=50)
lists = sl.rank.ranking_lists([retriever], held_out, every=True)  # those without their item count too
found = ranker.bound_to(train).score_candidates(lists.requests, lists.candidates)
chances = calibration.Platt().fit(found, lists.labels)
funnel = sl.Funnel(retrieve=[retriever], rank=sl.rank.Scored(ranker, calibration=chances))
print(funnel.recommend("u042", k=3).frame.select("rank", "title", "score"))
