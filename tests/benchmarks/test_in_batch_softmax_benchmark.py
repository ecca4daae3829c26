"""What `in_batch_softmax` says of a GPU, measured on small shapes where the tests run."""

from __future__ import annotations

import pytest
from benchmarks import in_batch_softmax as benchmark
from benchmarks import in_batch_softmax_cuda


def test_the_rates_stand_beside_a_roofline_that_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_batch_softmax_cuda, "SHAPES", ((64, 8),))
    monkeypatch.setattr(in_batch_softmax_cuda, "PRODUCT_ROWS", 128)
    monkeypatch.setattr(in_batch_softmax_cuda, "COPIED_NUMBERS", 1 << 20)
    forms = {"ours": benchmark.ours, "compile": benchmark.plain, "eager": benchmark.plain}
    found = {
        each.name: each.value
        for each in in_batch_softmax_cuda.figures(forms, benchmark.embeddings, repeats=2, device="cpu")
    }
    rate, milliseconds = found["cuda_fp32_64x8_rate"], found["cuda_fp32_64x8_ours"]
    assert rate * milliseconds == pytest.approx(6 * 64 * 64 * 8 / 1e6)
    intensity = 6 * 64 * 64 * 8 / (16 * 64 * 8)
    roofline = min(found["cuda_product_rate"], intensity * found["cuda_copy_rate"])
    assert found["cuda_fp32_64x8_share_of_roofline"] == pytest.approx(rate / roofline)
