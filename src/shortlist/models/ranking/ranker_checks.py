"""What a ranker refuses to be, and to learn from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from shortlist.data.dataset import Dataset
from shortlist.errors import ConfigError, DataError
from shortlist.models.ranking.list_losses import Loss
from shortlist.models.ranking.objectives import Objectives
from shortlist.nn.bodies import DCN, Body
from shortlist.nn.fields import check_features

if TYPE_CHECKING:
    from shortlist.models.ranking.ranker import Ranker


def check_body(ranker: Ranker, given: Body | None, described: DCN) -> None:
    """Refuse a body beside arguments that describe another, and one that cannot read the features.

    Args:
        ranker: with its features set.
        given: the body that was asked for.
        described: the default body, as the other arguments describe it.

    Raises:
        ConfigError: the two contradict each other, the body does not suit the features, or the scale of the
            embeddings is no positive number.
    """
    scale = ranker.embedding_scale
    if scale is not None and not 0 < scale < math.inf:
        raise ConfigError(f"embedding_scale is {scale}", where="Ranker", remedy="give a positive number")
    if given is not None and described != DCN():
        raise ConfigError(
            "cross_layers, hidden and dropout describe the default body, and another is given",
            where="Ranker",
            remedy=f"give them to the body, such as {type(given).__name__}(…)",
        )
    if given is not None and ranker.objectives is not None:
        raise ConfigError(
            f"objectives have layers of their own, and body is {type(given).__name__}",
            where="Ranker",
            remedy="leave the body out and set cross_layers, hidden and dropout",
        )
    check_features(ranker.body, ranker.query_features, ranker.candidate_features, dim=ranker.dim)


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
