"""What a ranker refuses to be, and to learn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shortlist.data.dataset import Dataset
from shortlist.errors import ConfigError, DataError
from shortlist.models.list_losses import Loss
from shortlist.models.objectives import Objectives

if TYPE_CHECKING:
    from shortlist.models.ranker import Ranker


def check_objectives(ranker: Ranker, objectives: Objectives) -> None:
    """Refuse objectives beside what they take the place of, and features that give them away."""
    if ranker.loss != "softmax":
        raise ConfigError(
            f"loss={ranker.loss!r} and objectives, which name losses of their own, are both given",
            where="Ranker",
            remedy="drop one of the two",
        )
    if ranker.scores:
        raise ConfigError(
            f"objectives are learned from single events, which have no {ranker.scores[0]!r}",
            where="Ranker",
            remedy="leave scores out",
        )
    objectives.check_features([*ranker.query_features, *ranker.candidate_features])


def check_lists(ranker: Ranker) -> None:
    """Refuse lists of candidates where labels of several columns are wanted."""
    if ranker.objectives is not None:
        raise ConfigError(
            "a ranker with objectives learns from events that have their labels",
            where="Ranker",
            remedy="call fit(data)",
        )


def check_labels(data: Dataset, loss: Loss) -> None:
    """Refuse events from which a ranker would learn nothing, or nonsense."""
    if data.labels is None:
        raise DataError(
            f"every event is a plain positive, so a ranker with loss={loss!r} has nothing to tell apart",
            where=data.name,
            remedy="name a label column or negative event types in the schema, or use loss='softmax' and "
            "shortlist.rank.fit",
        )
    labels = data.labels[data.is_label]
    if loss == "click" and not ((labels >= 0) & (labels <= 1)).all():
        raise DataError(
            f"labels from {labels.min():g} to {labels.max():g} are no clicks",
            where=data.name,
            remedy="use loss='rating', or bring the labels to 0..1",
        )
