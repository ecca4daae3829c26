"""What reads a user's events in order: recurrent, attentive and pointwise blocks over packed sequences."""

from shortlist.nn.sequence.encoder import SequenceEncoder
from shortlist.nn.sequence.gru import GRUBlock
from shortlist.nn.sequence.hstu import HSTUBlock
from shortlist.nn.sequence.layout import SequenceLayout
from shortlist.nn.sequence.transformer import TransformerBlock

__all__ = ["GRUBlock", "HSTUBlock", "SequenceEncoder", "SequenceLayout", "TransformerBlock"]
