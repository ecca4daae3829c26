"""A model's figures on a test part, never without those of plain popularity."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from shortlist.data.dataset import Dataset
from shortlist.errors import DataError
from shortlist.metrics import FactorizedTopK
from shortlist.models.baselines.popularity import Popularity
from shortlist.models.recommender import Recommender, check_test_part, fitted_data
from shortlist.models.sequential import Sequential
from shortlist.models.two_tower import TwoTower

BLOCK_SCORES = 1 << 22  # scores held at once: 16 MB


class LosesToPopularity(UserWarning):
    """A model ranks the test events worse than the most popular items do."""


@dataclass(frozen=True)
class Evaluation(Mapping[str, float]):
    """Figures of a model, and beside them those of popularity; a mapping of the model's.

    Args:
        model: what the figures are of.
        metrics: the model's figures by name.
        popularity: popularity's figures by name.
        events: number of test events.
    """

    model: str
    metrics: dict[str, float]
    popularity: dict[str, float]
    events: int

    def __getitem__(self, name: str) -> float:
        return self.metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.metrics)

    def __len__(self) -> int:
        return len(self.metrics)

    def __str__(self) -> str:
        width = max(len(name) for name in self.metrics)
        lines = [f"{'':<{width}}  {self.model:>12}  {'popularity':>12}   {self.events:,} events"]
        for name, value in self.metrics.items():
            lines.append(f"{name:<{width}}  {value:>12.4f}  {self.popularity.get(name, float('nan')):>12.4f}")
        return "\n".join(lines)

    @property
    def loses_to_popularity(self) -> bool:
        """Whether popularity is better in most of the figures."""
        worse = sum(value < self.popularity[name] for name, value in self.metrics.items())
        return 2 * worse > len(self.metrics)


def evaluate(
    model: Recommender,
    test: Dataset,
    *,
    metrics: Sequence[FactorizedTopK] | None = None,
    exclude_seen: bool = True,
) -> Evaluation:
    """Rank every test event's item among the whole catalogue.

    Each positive event of the test part is a query of its own, with the history strictly before it; an item
    that is not in the catalogue counts as a miss.

    Args:
        model: a trained model.
        test: the test part of a split.
        metrics: what to measure; hit rate and NDCG at 10 and 100 by default.
        exclude_seen: whether items of the user's past are taken out of the ranking.

    Returns:
        The model's figures and popularity's.

    Raises:
        ConfigError: the test part belongs to other data than the model was trained on.
        DataError: the test part has no positive event.

    Warns:
        LosesToPopularity: popularity is better in most of the figures.
    """
    measured = [FactorizedTopK(ks=(10, 100))] if metrics is None else list(metrics)
    ours = measure(model, test, measured, exclude_seen=exclude_seen)
    popular = Popularity().fit(fitted_data(model) if test.past is None else test.past)
    theirs = measure(popular, test, measured, exclude_seen=exclude_seen)
    evaluation = Evaluation(type(model).__name__, ours, theirs, len(test.targets))
    if evaluation.loses_to_popularity:
        warnings.warn(
            f"{evaluation.model} loses to plain popularity on {test.name or 'this data'}; check the learning "
            "rate, the number of epochs, the temperature and correct_sampling_bias",
            LosesToPopularity,
            stacklevel=3,
        )
    return evaluation


def measure(
    model: Recommender, test: Dataset, metrics: Sequence[FactorizedTopK], *, exclude_seen: bool = True
) -> dict[str, float]:
    """A model's figures alone; see `evaluate`.

    Args:
        model: a trained model.
        test: the test part of a split.
        metrics: what to measure; what they counted before is forgotten.
        exclude_seen: whether items of the user's past are taken out of the ranking.

    Returns:
        The figures by name.

    Raises:
        ConfigError: the test part belongs to other data than the model was trained on.
        DataError: the test part has no positive event.
    """
    check_test_part(model, test)
    rows = torch.from_numpy(test.targets)
    if len(rows) == 0:
        raise DataError("the test part has no positive event", remedy="use another split or schema")
    targets, people = torch.from_numpy(test.item_index), torch.from_numpy(test.person_index)
    items = torch.arange(len(test.item_vocabulary))
    for metric in metrics:
        metric.reset()
        if isinstance(model, TwoTower | Sequential):
            metric.bind(model.item_vectors)
    with torch.inference_mode():
        for part in torch.split(rows, max(1, BLOCK_SCORES // len(items))):
            requests = test.requests(part)
            exclude = test.seen.take(people[part]) if exclude_seen else None
            if isinstance(model, TwoTower | Sequential):
                queries = model.embed_queries(requests)
                for metric in metrics:
                    metric.update(queries, targets[part], exclude=exclude)
            else:
                scores = model.score(requests, items.expand(len(part), -1))
                for metric in metrics:
                    metric.update_scores(scores, targets[part], exclude=exclude)
    return {name: value for metric in metrics for name, value in metric.compute().items()}
