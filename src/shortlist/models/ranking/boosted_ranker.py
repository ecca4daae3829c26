"""A ranker of gradient-boosted trees, for tables of numbers and scores."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from shortlist.data.candidates import Candidates
from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.features import Feature, History, feature_from_dict
from shortlist.data.rebinding import check_same_ids, rebound
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, NotFittedError, did_you_mean
from shortlist.models.ranking.list_loader import RankingLists, list_batch
from shortlist.models.ranking.tree_columns import (
    TreeColumns,
    check_tree_features,
    check_tree_lists,
    tree_table,
)
from shortlist.models.ranking.trees import TreeLists, grow_trees, library, predict, read_trees
from shortlist.training import TrainingHistory

if TYPE_CHECKING:
    import lightgbm

TreeLoss = Literal["lambdarank", "xe_ndcg"]
OBJECTIVES: dict[TreeLoss, str] = {"lambdarank": "lambdarank", "xe_ndcg": "rank_xendcg"}
REQUEST_BATCH = 256  # requests whose features are made together; bounds the memory


class BoostedRanker:
    """LightGBM's trees over user, item, context and retrieval scores, in the place of a `Ranker`.

    Trees are hard to beat where features are numbers, need no scaling, and are trained in seconds. They
    cannot read histories; ids and categories are columns without an order, tags one column each.

    Args:
        query: features of the user and of the moment.
        candidate: features of the item.
        scores: names of score features of the candidates, such as `score_twotower`; each is read relative to
            the other candidates of its request.
        loss: `"lambdarank"` or `"xe_ndcg"`.
        trees: how many at most.
        num_leaves: leaves of a tree at most, from 2.
        learning_rate: how much of each tree's correction is taken, positive.
        min_data_in_leaf: candidates that a leaf needs.

    Raises:
        ConfigError: LightGBM is not installed, the loss is unknown, a number is out of range, a feature is a
            history, or there is no feature at all.

    Source: Burges, From RankNet to LambdaRank to LambdaMART (2010); Ke et al., LightGBM (NeurIPS 2017);
    Bruch, An alternative cross entropy loss for learning-to-rank (WWW 2021).
    """

    def __init__(
        self,
        query: Sequence[Feature] = (),
        candidate: Sequence[Feature] = (),
        *,
        scores: Sequence[str] = (),
        loss: TreeLoss = "lambdarank",
        trees: int = 300,
        num_leaves: int = 31,
        learning_rate: float = 0.05,
        min_data_in_leaf: int = 20,
    ) -> None:
        library()
        if loss not in OBJECTIVES:
            remedy = did_you_mean(loss, OBJECTIVES)
            raise ConfigError(f"loss {loss!r} is unknown", where="BoostedRanker", remedy=remedy)
        if not (query or candidate or scores):
            raise ConfigError(
                "a ranker needs at least one feature", remedy='such as candidate=[sl.Id("item_id")]'
            )
        least = {"trees": 1, "num_leaves": 2, "min_data_in_leaf": 1}
        given = {"trees": trees, "num_leaves": num_leaves, "min_data_in_leaf": min_data_in_leaf}
        for name, value in given.items():
            if not isinstance(value, int) or value < least[name]:
                raise ConfigError(
                    f"{name} is {value!r}", where="BoostedRanker", remedy=f"pass at least {least[name]}"
                )
        if not learning_rate > 0:
            raise ConfigError(
                f"learning_rate is {learning_rate}", remedy="pass a positive number such as 0.05"
            )
        self.query_features, self.candidate_features = tuple(query), tuple(candidate)
        check_tree_features([each for each in query if isinstance(each, History)], {})
        self.scores, self.loss, self.trees, self.num_leaves = tuple(scores), loss, trees, num_leaves
        self.learning_rate, self.min_data_in_leaf = learning_rate, min_data_in_leaf
        self.space: FeatureSpace | None = None
        self.booster: lightgbm.Booster | None = None

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal ranker, in a form that JSON can hold."""
        return {
            "query": [feature.to_dict() for feature in self.query_features],
            "candidate": [feature.to_dict() for feature in self.candidate_features],
            "scores": list(self.scores),
            "loss": self.loss,
            "trees": self.trees,
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> BoostedRanker:
        """The reverse of `config`."""
        sides = {side: [feature_from_dict(each) for each in config[side]] for side in ("query", "candidate")}
        return cls(**{**config, **sides})

    def features(self, data: Dataset) -> tuple[list[Feature], list[Feature]]:
        """The features of the query and of the candidate."""
        return list(self.query_features), list(self.candidate_features)

    def fit_lists(
        self,
        data: Dataset,
        lists: RankingLists,
        *,
        validation_share: float = 0.1,
        patience: int = 30,
        seed: int = 0,
    ) -> TrainingHistory:
        """Train on the candidates that retrievers found, so that the ranker learns to mend their mistakes.

        Args:
            data: the train part, for the features' encodings.
            lists: requests, candidates and labels; the retrievers should not have seen the labels.
            validation_share: share of the lists that decide how many trees are kept; 0 keeps all.
            patience: trees without improvement there after which to stop.
            seed: of the choice of these lists.

        Returns:
            NDCG@10 on these lists after each tree, one row a tree.

        Raises:
            ConfigError: a share or number is out of range, the ranker was trained on other data, or a bag of
                tags has too many values.
            DataError: none of the candidates was wanted, a list is too long, or a label is no whole number
                that LightGBM takes.
        """
        if not 0 <= validation_share < 1 or patience < 1:
            raise ConfigError(
                f"validation_share is {validation_share} and patience {patience}",
                remedy="pass a share in [0, 1) and at least 1 tree",
            )
        check_tree_lists(lists)
        if self.space is None:
            space = FeatureSpace.fit(data, self.query_features, self.candidate_features)
            check_tree_features((*space.query, *space.candidate), space.encodings)
            self.space = space
        remedy = "make a new ranker and fit that"
        check_same_ids(self.space, data, what="this BoostedRanker", remedy=remedy)
        taught = lists.labelled()  # the others have nothing to compare
        order = torch.randperm(len(taught), generator=torch.Generator().manual_seed(seed))
        held_out = min(round(validation_share * len(taught)), len(taught) - 1)
        parts = [taught.take(order[held_out:])] + ([taught.take(order[:held_out])] if held_out else [])
        return self._train(parts, patience, seed)

    def _train(self, parts: Sequence[RankingLists], patience: int, seed: int) -> TrainingHistory:
        lists = [
            TreeLists(self._table(part.requests, part.candidates), part.labels, part.candidates.lengths)
            for part in parts
        ]
        settings = {
            "objective": OBJECTIVES[self.loss],
            "num_leaves": self.num_leaves,
            "learning_rate": self.learning_rate,
            "min_data_in_leaf": self.min_data_in_leaf,
            "seed": seed,
        }
        categorical = TreeColumns.of(self.fitted_space(), self.scores).categorical
        self.booster, history = grow_trees(
            lists, settings, trees=self.trees, categorical=categorical, patience=patience
        )
        return history

    def score_candidates(self, requests: Requests, candidates: Candidates) -> Tensor:
        """How much each request wants each of its candidates.

        Args:
            requests: who asks.
            candidates: one row a request, with the score features that the ranker was trained with.

        Returns:
            `[total]` float32.

        Raises:
            NotFittedError: the ranker is not trained.
        """
        booster = self.fitted_booster()
        return predict(booster, self._table(requests, candidates))

    def importances(self) -> dict[str, float]:
        """How much each column lowered the loss, all its splits together, the most first.

        Returns:
            Gains by the column's name; those of a score end with how it is read, such as `_rank`.

        Raises:
            NotFittedError: the ranker is not trained.
        """
        gains = self.fitted_booster().feature_importance("gain")
        names = TreeColumns.of(self.fitted_space(), self.scores).names
        found = dict(zip(names, map(float, gains), strict=True))
        return dict(sorted(found.items(), key=lambda each: -each[1]))

    def bound_to(self, data: Dataset) -> BoostedRanker:
        """This ranker for the users and items of other data than it was trained on; see `Ranker.bound_to`.

        Args:
            data: whose users and items it will score.

        Raises:
            NotFittedError: it was not trained.
        """
        space = rebound(self.fitted_space(), data)
        return self if space is self.space else self._with_space(space)

    def with_items(self, data: Dataset, rows: Tensor) -> BoostedRanker:
        """This ranker for more items.

        Args:
            data: that `shortlist.data.growth.with_items` made.
            rows: `[n]` int64 indices of the items that are new or described anew.

        Returns:
            A ranker with the same trees.
        """
        return self._with_space(self.fitted_space().with_items(data, rows))

    def trees_text(self) -> str:
        """The trees in LightGBM's text format.

        Raises:
            NotFittedError: the ranker is not trained.
        """
        return self.fitted_booster().model_to_string()

    def restore(self, space: FeatureSpace, text: str) -> None:
        """Take trees that were trained before.

        Args:
            space: what the features had learned.
            text: the trees.

        Raises:
            BundleError: the text is damaged, or belongs to other features.
        """
        check_tree_features((*space.query, *space.candidate), space.encodings)
        self.booster = read_trees(text, columns=len(TreeColumns.of(space, self.scores).names))
        self.space = space

    def fitted_space(self) -> FeatureSpace:
        """The feature space.

        Raises:
            NotFittedError: the ranker is not trained.
        """
        if self.space is None:
            raise NotFittedError("BoostedRanker is not trained", remedy="call shortlist.rank.fit first")
        return self.space

    def fitted_booster(self) -> lightgbm.Booster:
        """The trees, as LightGBM's own object.

        Raises:
            NotFittedError: the ranker is not trained.
        """
        if self.booster is None:
            raise NotFittedError("BoostedRanker is not trained", remedy="call shortlist.rank.fit first")
        return self.booster

    def _with_space(self, space: FeatureSpace) -> BoostedRanker:
        changed = copy.copy(self)
        changed.space = space
        return changed

    def _table(self, requests: Requests, candidates: Candidates) -> np.ndarray:
        """The features of all candidates, `[total, columns]` float32."""
        space, bounds = self.fitted_space(), candidates.items.offsets
        parts = [np.zeros((0, len(TreeColumns.of(space, self.scores).names)), np.float32)]
        for first in range(0, len(requests), REQUEST_BATCH):
            rows = torch.arange(first, min(first + REQUEST_BATCH, len(requests)))
            positions = torch.arange(int(bounds[rows[0]]), int(bounds[rows[-1] + 1]))
            part = candidates.take(positions, candidates.lengths[rows])
            batch = list_batch(requests.take(rows), part, space, self.scores)
            parts.append(tree_table(batch, space, self.scores))
        return np.concatenate(parts)
