"""Scorers of lists the slow way: one list at a time, one group at a time, no mask."""

from __future__ import annotations

import math
from itertools import permutations

import torch
from torch import Tensor

from shortlist.nn import AttentionScorer, GroupwiseScorer


def scaled(scorer: GroupwiseScorer | AttentionScorer, items: Tensor) -> Tensor:
    norm = scorer.scaling.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return (items - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias


def scores_of_pairs(scorer: GroupwiseScorer, items: Tensor) -> Tensor:
    """The mean over all ordered pairs of what each says of its members; the dropout is off."""
    inputs = scaled(scorer, items)
    weights = scorer.first.weight.view(2, scorer.width, -1)
    biases = scorer.first.bias.view(2, scorer.width)
    found: list[list[Tensor]] = [[] for _ in items]
    for pair in permutations(range(len(items)), 2) if len(items) > 1 else [(0, 0)]:
        hidden = sum(weights[place] @ inputs[item] + biases[place] for place, item in enumerate(pair))
        said = scorer.layers(torch.relu(hidden))  # type: ignore[arg-type]
        for place, item in enumerate(pair):
            found[item].append(said[place])
    return torch.stack([torch.stack(each).mean() for each in found])


def scores_by_attention(scorer: AttentionScorer, items: Tensor) -> Tensor:
    """Attention over one list, head by head."""
    inputs = scaled(scorer, items)
    mixed = scorer.projection(inputs)
    for layer in scorer.attention:
        heads: int = layer.heads  # type: ignore[assignment]
        projected = layer.projection(layer.norm(mixed))  # type: ignore[operator]
        queries, keys, values = (part.chunk(heads, dim=1) for part in projected.chunk(3, dim=1))
        found = []
        for head in range(heads):
            logits = queries[head] @ keys[head].T / math.sqrt(keys[head].shape[1])
            found.append(torch.softmax(logits, dim=1) @ values[head])
        mixed = mixed + layer.output(torch.cat(found, dim=1))  # type: ignore[operator]
        mixed = mixed + layer.feed_forward(mixed)  # type: ignore[operator]
    return scorer.layers(torch.cat([inputs, mixed], dim=1)).squeeze(1)
