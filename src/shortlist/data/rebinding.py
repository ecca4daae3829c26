"""When a model meets other data than it learned from: whether indices are the same, else what carries over.

An index means an id only together with its vocabulary. Two parts of one table have vocabularies of their
own, ordered by their own counts, so item 7 of one is seldom item 7 of the other.
"""

from __future__ import annotations

from typing import Protocol

from shortlist.data.dataset import Dataset
from shortlist.data.encodings import Encoding, SeenEncoding, VocabularyEncoding
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import ConfigError


class HasIds(Protocol):
    """What gives users and items their indices: a Dataset, a FeatureSpace."""

    @property
    def user_vocabulary(self) -> Vocabulary:
        """The user ids."""
        ...

    @property
    def item_vocabulary(self) -> Vocabulary:
        """The item ids."""
        ...


def same_ids(one: HasIds, other: HasIds) -> bool:
    """Whether the indices of users and items mean the same ids.

    Args:
        one: a dataset or a feature space.
        other: another.
    """
    pairs = ((one.user_vocabulary, other.user_vocabulary), (one.item_vocabulary, other.item_vocabulary))
    return all(ours is theirs or ours.ids.equals(theirs.ids) for ours, theirs in pairs)


def check_same_ids(learned: HasIds, given: HasIds, *, what: str, remedy: str) -> None:
    """Refuse to go on with data whose indices mean other ids.

    Args:
        learned: what a model was trained on.
        given: what it is to be used with.
        what: the model, for the message.
        remedy: what to do instead.

    Raises:
        ConfigError: a user or an item has another index.
    """
    if not same_ids(learned, given):
        raise ConfigError(
            f"{what} was trained on other data: its {len(learned.user_vocabulary) - 1:,} users and "
            f"{len(learned.item_vocabulary) - 1:,} items have other indices than the "
            f"{len(given.user_vocabulary) - 1:,} and {len(given.item_vocabulary) - 1:,} given here",
            remedy=remedy,
        )


def rebound(space: FeatureSpace, dataset: Dataset) -> FeatureSpace:
    """The same features, with the same encodings, for the users and items of another dataset.

    An id keeps the embedding row that it learned; ids that the space never saw are unknown to it.

    Args:
        space: what a model's features learned.
        dataset: whose users and items are encoded.

    Returns:
        The space itself where the indices are the same, else a new one.
    """
    if same_ids(space, dataset):
        return space
    encodings = {name: _by_id(space, name, encoding) for name, encoding in space.encodings.items()}
    return FeatureSpace(dataset, space.query, space.candidate, encodings)


def _by_id(space: FeatureSpace, name: str, encoding: Encoding) -> Encoding:
    """An encoding that does not hang on a dataset's own indices."""
    if not isinstance(encoding, SeenEncoding):
        return encoding
    vocabulary = space.user_vocabulary if space.sides[name] == "user" else space.item_vocabulary
    return VocabularyEncoding(Vocabulary(vocabulary.ids.head(encoding.size - 1)))
