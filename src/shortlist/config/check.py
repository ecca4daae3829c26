"""Columns that a configuration names, looked up in the tables before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from shortlist.config.kinds import placed
from shortlist.config.problems import table_name
from shortlist.config.rankers import RankerPlan
from shortlist.config.sections import BoostedRankerSection
from shortlist.data import Candidates, Catalogue, Dataset, Feature, History, Ragged, Requests
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.sides import is_query_feature
from shortlist.errors import ConfigError, DataError, SchemaError, did_you_mean
from shortlist.models.ranking.ranker_checks import check_labels
from shortlist.models.ranking.tree_columns import check_tree_features
from shortlist.postrank import PostRanker


def check_features(
    features: Sequence[Feature], data: Dataset, *, table: str, candidate: bool, where: str
) -> None:
    """Refuse features of columns that no table has.

    Args:
        features: of one tower.
        data: the tables.
        table: the features' tables in the file, such as `"retriever.query"`.
        candidate: whether they describe items rather than users.
        where: the file.

    Raises:
        ConfigError: a column is missing; the message names the feature's table and the nearest column.
    """
    events = list(data.interactions.columns)
    users = [] if data.users is None else list(data.users.columns)
    items = [] if data.items is None else list(data.items.columns)
    about_items = [name for name in dict.fromkeys([*items, *events]) if name != data.schema.user_id]
    for number, feature in enumerate(features):
        describes_items = candidate or isinstance(feature, History)
        known = about_items if describes_items else list(dict.fromkeys([*users, *events]))
        fits = feature.column in known and (describes_items or is_query_feature(data, feature))
        if not fits or (candidate and isinstance(feature, History)):
            problem = (
                f"column {feature.column!r} is missing from the {'items' if describes_items else 'users'} "
                "and the interactions"
                if feature.column not in known
                else f"{type(feature).__name__}({feature.column!r}) cannot describe "
                f"{'an item' if candidate else 'a user'}"
            )
            raise ConfigError(
                problem,
                where=f"{where}, {table_name([*table.split('.'), number])}",
                remedy=did_you_mean(feature.column, [name for name in known if name != feature.column]),
            )


def check_postrankers(postrank: Sequence[PostRanker], data: Dataset, *, where: str) -> None:
    """Refuse post-rankers that the item table does not suit, by letting each rerank a list of one item.

    Args:
        postrank: the post-rankers.
        data: the tables.
        where: the file.

    Raises:
        ConfigError: a column is missing or of the wrong kind; the message names the post-ranker's table.
    """
    plain = data.catalogue
    catalogue = Catalogue(plain.items, plain.vocabulary, vectors=torch.ones(len(plain), 1))
    one = Candidates.from_padded(torch.ones(1, 1, dtype=torch.int64), torch.ones(1, 1))
    requests = Requests.from_history(
        Ragged.from_lengths(torch.zeros(0, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))
    )
    for number, stage in enumerate(postrank):
        try:
            stage.rerank(one, size=1, catalogue=catalogue, requests=requests, seed=0)
        except (SchemaError, ConfigError) as error:
            place = f"{where}, {table_name(['postrank', number])} {type(stage).__name__}"
            raise ConfigError(error.what, where=place, remedy=error.remedy) from error


def check_ranking(plan: RankerPlan, data: Dataset) -> None:
    """Refuse a ranker that could not learn from the tables, before the retrievers are trained for it.

    Args:
        plan: what `[ranker]` says.
        data: the tables.

    Raises:
        ConfigError: a column of an objective is missing or holds no labels, there are no labels that the loss
            could learn, or a bag of tags has too many values for trees.
    """
    section, place = plan.section, f"{plan.where}, [ranker]"
    try:
        if plan.objectives is not None:
            place = f"{plan.where}, [ranker.objectives]"
            plan.objectives.labels(data)
        elif section.loss == "click" or section.loss == "rating":
            place = f"{place}, loss = {section.loss!r}"
            check_labels(data, section.loss)
        elif isinstance(section, BoostedRankerSection):
            space = FeatureSpace.fit(data, plan.query, plan.candidate)
            check_tree_features((*space.query, *space.candidate), space.encodings)
    except (DataError, ConfigError) as error:
        raise placed(error, place) from error
