"""Tables to tensors: schema, features, vocabularies, splits, histories, batches."""

from shortlist.data.candidates import Candidates
from shortlist.data.catalogue import Catalogue
from shortlist.data.dataset import Dataset
from shortlist.data.features import (
    Category,
    Feature,
    History,
    Id,
    Number,
    Tags,
    Text,
    Timestamp,
    Vector,
)
from shortlist.data.hashed_ids import hash_ids
from shortlist.data.list_features import relative_to_list
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.schema import EventType, Schema
from shortlist.data.timeline import Timeline
from shortlist.data.vocabulary import Vocabulary

__all__ = [
    "Candidates",
    "Catalogue",
    "Category",
    "Dataset",
    "EventType",
    "Feature",
    "History",
    "Id",
    "Number",
    "Ragged",
    "Requests",
    "Schema",
    "Tags",
    "Text",
    "Timeline",
    "Timestamp",
    "Vector",
    "Vocabulary",
    "hash_ids",
    "relative_to_list",
]
