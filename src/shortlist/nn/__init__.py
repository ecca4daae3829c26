"""Building blocks: embeddings, encoders, sequences, towers, crosses, click models, scorers of lists."""

from shortlist.nn import bodies
from shortlist.nn.compressed_interaction import CompressedInteraction
from shortlist.nn.cross import Cross, CrossNetwork
from shortlist.nn.cross_mixture import CrossMixture
from shortlist.nn.dynamic import DynamicEmbedding, MappedEmbedding, TableCheckpoints
from shortlist.nn.embedding import Embedding
from shortlist.nn.encoders import BagEncoder, DenseEncoder, HistoryEncoder, IndexEncoder
from shortlist.nn.experts import PLE, MMoE
from shortlist.nn.field_attention import FieldAttention
from shortlist.nn.interaction import DotInteraction, pairwise_sum
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
    "CompressedInteraction",
    "Cross",
    "CrossMixture",
    "CrossNetwork",
    "DenseEncoder",
    "DotInteraction",
    "DynamicEmbedding",
    "Embedding",
    "EnsembleScorer",
    "FeatureCurve",
    "FieldAttention",
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
    "bodies",
    "pairwise_sum",
]
