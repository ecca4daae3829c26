"""Embedding tables over ids without a vocabulary."""

from shortlist.nn.dynamic.checkpoints import TableCheckpoints
from shortlist.nn.dynamic.embedding import DynamicEmbedding
from shortlist.nn.dynamic.mapped import MappedEmbedding

__all__ = ["DynamicEmbedding", "MappedEmbedding", "TableCheckpoints"]
