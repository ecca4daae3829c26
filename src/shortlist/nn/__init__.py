"""Building blocks: embeddings, encoders of features and of sequences, towers, crosses, scorers of lists."""

from shortlist.nn.cross import Cross, CrossNetwork
from shortlist.nn.dynamic import DynamicEmbedding, MappedEmbedding, TableCheckpoints
from shortlist.nn.embedding import Embedding
from shortlist.nn.encoders import BagEncoder, DenseEncoder, HistoryEncoder, IndexEncoder
from shortlist.nn.experts import PLE, MMoE
from shortlist.nn.interaction import DotInteraction
from shortlist.nn.mlp import MLP
from shortlist.nn.multi_hash_embedding import MultiHashEmbedding
from shortlist.nn.scorers import (
    AdditiveScorer,
    AttentionScorer,
    EnsembleScorer,
    FeatureCurve,
    GroupwiseScorer,
    UnivariateScorer,
)
from shortlist.nn.sequence import GRUBlock, HSTUBlock, SequenceEncoder, SequenceLayout, TransformerBlock
from shortlist.nn.target_attention import TargetAttention
from shortlist.nn.tower import Tower
from shortlist.nn.unified_embedding import UnifiedEmbedding

__all__ = [
    "MLP",
    "PLE",
    "AdditiveScorer",
    "AttentionScorer",
    "BagEncoder",
    "Cross",
    "CrossNetwork",
    "DenseEncoder",
    "DotInteraction",
    "DynamicEmbedding",
    "Embedding",
    "EnsembleScorer",
    "FeatureCurve",
    "GRUBlock",
    "GroupwiseScorer",
    "HSTUBlock",
    "HistoryEncoder",
    "IndexEncoder",
    "MMoE",
    "MappedEmbedding",
    "MultiHashEmbedding",
    "SequenceEncoder",
    "SequenceLayout",
    "TableCheckpoints",
    "TargetAttention",
    "Tower",
    "TransformerBlock",
    "UnifiedEmbedding",
    "UnivariateScorer",
]
