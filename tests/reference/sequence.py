"""Blocks over one sequence, event by event, as the papers write them; vectors are rows of a tensor."""

from __future__ import annotations

import math

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def transformer(weights: Weights, events: Tensor, *, heads: int) -> Tensor:
    """Causal self-attention and a feed-forward layer, each normalised before (SASRec)."""
    queries, keys, values = _projected(weights, events).chunk(3, dim=1)
    out = []
    for i, event in enumerate(events):
        mixed = []
        for head in _heads(len(event), heads):
            scale = math.sqrt(len(event) / heads)
            scores = [float(queries[i, head] @ keys[j, head]) / scale for j in range(i + 1)]
            powers = [math.exp(score - max(scores)) for score in scores]
            mixed.append(sum(p / sum(powers) * values[j, head] for j, p in enumerate(powers)))
        attended = event + weights["output.weight"] @ torch.cat(mixed) + weights["output.bias"]
        deep = _norm(attended, weights["feed_forward.0.weight"], weights["feed_forward.0.bias"])
        deep = (weights["feed_forward.1.weight"] @ deep + weights["feed_forward.1.bias"]).clamp(min=0)
        out.append(attended + weights["feed_forward.3.weight"] @ deep + weights["feed_forward.3.bias"])
    return torch.stack(out)


def hstu(weights: Weights, events: Tensor, times: list[int], *, heads: int, length: int) -> Tensor:
    """Pointwise attention with biases of distance and time, gated by the event (HSTU)."""
    gate, queries, keys, values = _silu(_projected(weights, events)).chunk(4, dim=1)
    out = []
    for i, event in enumerate(events):
        mixed = []
        for head in _heads(len(event), heads):
            total = torch.zeros(head.stop - head.start, dtype=events.dtype)
            for j in range(i + 1):
                score = queries[i, head] @ keys[j, head] + weights["distance_bias"][i - j]
                if "gap_bias" in weights:
                    score = score + weights["gap_bias"][gap_bucket(times[i] - times[j])]
                total += _silu(score) / length * values[j, head]
            mixed.append(total)
        normed = _norm(torch.cat(mixed), weights["attended_norm.weight"], weights["attended_norm.bias"])
        out.append(event + weights["output.weight"] @ (normed * gate[i]) + weights["output.bias"])
    return torch.stack(out)


def gru(weights: Weights, events: Tensor) -> Tensor:
    """Gated recurrent units, as PyTorch's documentation gives them (GRU4Rec)."""
    state, out = torch.zeros_like(events[0]), []
    for event in events:
        seen = (weights["gru.weight_ih_l0"] @ event + weights["gru.bias_ih_l0"]).chunk(3)
        kept = (weights["gru.weight_hh_l0"] @ state + weights["gru.bias_hh_l0"]).chunk(3)
        reset, update = torch.sigmoid(seen[0] + kept[0]), torch.sigmoid(seen[1] + kept[1])
        state = (1 - update) * torch.tanh(seen[2] + reset * kept[2]) + update * state
        out.append(state)
    return torch.stack(out)


def gap_bucket(seconds: int) -> int:
    """0 for no gap, then one bucket a doubling, 39 at most."""
    bucket = 0
    while bucket < 39 and 2**bucket < max(seconds, 0) + 1:
        bucket += 1
    return bucket


def generalised_binary(
    queries: Tensor, table: Tensor, targets: list[int], drawn: list[int], calibration: float
) -> list[float]:
    """gBCE of each query, by equation 12 of Petrov & Macdonald (2023)."""
    rate = len(drawn) / (len(table) - 2)
    power = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    losses = []
    for query, target in zip(queries, targets, strict=True):
        loss = -power * math.log(_sigmoid(float(query @ table[target])))
        for item in drawn:
            if item != target:
                loss -= math.log(1 - _sigmoid(float(query @ table[item])))
        losses.append(loss)
    return losses


def _projected(weights: Weights, events: Tensor) -> Tensor:
    normed = [_norm(event, weights["norm.weight"], weights["norm.bias"]) for event in events]
    return torch.stack([weights["projection.weight"] @ x + weights["projection.bias"] for x in normed])


def _heads(dim: int, heads: int) -> list[slice]:
    return [slice(h * dim // heads, (h + 1) * dim // heads) for h in range(heads)]


def _norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / torch.sqrt((centred**2).mean() + 1e-5) * weight + bias


def _silu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
