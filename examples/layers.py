"""Building blocks for towers and rankers of your own: perceptrons, crosses, interactions, attention."""

import torch

import shortlist as sl
from shortlist.nn import (
    MLP,
    CompressedInteraction,
    Cross,
    CrossMixture,
    CrossNetwork,
    DotInteraction,
    FieldAttention,
    TargetAttention,
    pairwise_sum,
)

torch.manual_seed(0)
features = torch.randn(4, 12)

# DCN-v2 with a full and with a low-rank kernel, and the first DCN.
crosses = {
    "full": Cross(12),
    "low rank": Cross(12, projection_dim=3, diag_scale=0.1),
    "vector": Cross(12, form="vector"),
    "mixture": CrossMixture(12, projection_dim=3, num_experts=2),
}
for name, cross in crosses.items():
    weights = sum(parameter.numel() for parameter in cross.parameters())
    print(f"{name}: {weights} weights, output {list(cross(features).shape)}")

# Several in a row: products of up to four features.
print("crossed:", list(CrossNetwork(12, num_layers=3)(features).shape))

# The inner products of every pair of three embeddings, as DLRM has them.
pairs = DotInteraction()
print("pairs:", list(pairs(features.reshape(4, 3, 4)).shape), "=", pairs.out_features(3))

# A factorisation machine adds them up, xDeepFM multiplies more than two, AutoInt lets fields attend.
fields = features.reshape(4, 3, 4)
print("sum of pairs:", list(pairwise_sum(fields).shape))
print("compressed:", list(CompressedInteraction(3, (5, 2))(fields).shape))
print("attended:", list(FieldAttention(4, 8)(fields).shape))

# Layers after them.
deep = MLP(12, [32, 16, 1], dropout=0.1, layer_norm=True)
print("deep:", list(deep(features).shape))

# A history in the light of each candidate: here two candidates of the first request and one of the second.
events = sl.Ragged.from_lengths(torch.randn(5, 4), torch.tensor([3, 2]))
seen = TargetAttention(4)(events, torch.randn(3, 4), rows=torch.tensor([0, 0, 1]))
print("history as each candidate sees it:", list(seen.shape))
