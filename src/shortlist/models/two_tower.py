"""Two towers, one for the query and one for the item, whose dot product is the score."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.nn.functional import pad

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, dense
from shortlist.data.features import Feature
from shortlist.data.growth import replace_rows
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.errors import ConfigError, ShapeError
from shortlist.losses import mixed_probability
from shortlist.metrics import FactorizedTopK
from shortlist.models.embedded_requests import EmbeddedRequests
from shortlist.models.model import Model, TrainingOptions
from shortlist.models.recommender import Prepared, Recommender, answers_as, fitted_data
from shortlist.nn.tower import Tower
from shortlist.tasks import Retrieval
from shortlist.training import TrainingHistory
from shortlist.training.batches import Loader, to_device

ENCODING_BATCH = 8192  # rows of one forward pass when whole tables are embedded


class TwoTower(Model, Recommender):
    """Retrieval by a query tower and a candidate tower (Covington et al. 2016; Yi et al. 2019).

    Args:
        query: embeds the user, the moment and the history.
        candidate: embeds the item.
        task: computes the loss of a batch; in-batch softmax with the logQ correction and without accidental
            hits by default.
        mask_seen: whether the other items of a query's own user are left out of its negatives: they are
            wanted too, and where seen items are excluded nobody asks how they rank.

    Raises:
        ConfigError: seen items are to be masked in a queue of earlier batches.
        ShapeError: the towers' embeddings have different widths.
    """

    item_probability: Tensor
    item_vectors: Tensor

    def __init__(
        self, query: Tower, candidate: Tower, *, task: Retrieval | None = None, mask_seen: bool = False
    ) -> None:
        super().__init__()
        if query.dim != candidate.dim:
            raise ShapeError(
                f"the query tower gives {query.dim} numbers, the candidate tower {candidate.dim}",
                where="TwoTower",
                remedy="give both towers the same dim",
            )
        self.query, self.candidate = query, candidate
        self.task = Retrieval() if task is None else task
        if mask_seen and self.task.queue.size:
            raise ConfigError(
                "mask_seen can't look into the task's queue of earlier batches",
                where="TwoTower",
                remedy="leave mask_seen or queue_size out",
            )
        self.mask_seen = mask_seen

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal model, in a form that JSON can hold."""
        return {
            "query": self.query.config(),
            "candidate": self.candidate.config(),
            "task": self.task.config(),
            "mask_seen": self.mask_seen,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TwoTower:
        """The reverse of `config`."""
        rest = dict(config)
        query, candidate = (Tower.from_config(rest.pop(side)) for side in ("query", "candidate"))
        return cls(query, candidate, task=Retrieval(**rest.pop("task")), **rest)

    def features(self, data: Dataset) -> tuple[list[Feature], list[Feature]]:
        """The features of the two towers."""
        return list(self.query.features), list(self.candidate.features)

    def build_layers(self, *, seed: int = 0) -> None:
        """Make the towers' layers, and room for what is known of every item."""
        super().build_layers(seed=seed)
        num_items = self.fitted_space().num_items
        self.register_buffer("item_probability", torch.zeros(num_items))
        self.register_buffer("item_vectors", torch.zeros(num_items, self.candidate.dim))

    def fit(
        self,
        data: Dataset,
        *,
        epochs: int = 10,
        batch_size: int = 1024,
        learning_rate: float | None = 3e-3,
        validation: Dataset | None = None,
        loader: Loader | None = None,
        seed: int = 0,
        **options: Unpack[TrainingOptions],
    ) -> TrainingHistory:
        """Train on the positive events of a dataset, then embed all items; see `Model.fit`."""
        self.build(data, seed=seed)
        self.data = data
        self.item_probability.copy_(item_probability(data))
        history = super().fit(
            data,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            validation=validation,
            loader=loader,
            seed=seed,
            **options,
        )
        self.task.queue.clear()  # a model that is done needs no embeddings of its past
        self._embed_items_into(self.item_vectors)
        return history

    def validate(self, data: Dataset) -> Mapping[str, float]:
        """Hit rate and NDCG at 10 and 100 and MRR of a validation part, seen items excluded."""
        from shortlist.models.evaluation import measure  # it knows TwoTower by name

        self._embed_items_into(self.item_vectors)
        return measure(self, data, [FactorizedTopK(ks=(10, 100))])

    def compute_loss(self, batch: Batch) -> Tensor:
        """The task's loss: of the batch's queries against its items, drawn ones, or the whole catalogue."""
        items = dense(batch, "item_index")
        num_items = self.fitted_space().num_items - 1
        if self.task.negatives == "catalogue":
            catalogue = torch.arange(1, num_items + 1, device=items.device)
            return self.task(  # type: ignore[no-any-return]
                self.query(batch),
                self._embed(catalogue),
                targets=items - 1,
                sample_weight=dense(batch, "weight"),
                score_mask=self._mask(batch, catalogue),
            )
        embeddings, drawn = self.candidate(batch), self.task.draw_negatives(num_items).to(items.device)
        if len(drawn):
            embeddings = torch.cat([embeddings, self._embed(drawn)])
        candidates = torch.cat([items, drawn])
        return self.task(  # type: ignore[no-any-return]
            self.query(batch),
            embeddings,
            candidate_ids=candidates,
            sampling_probability=mixed_probability(
                self.item_probability[candidates],
                batch_size=len(items) + len(self.task.queue),
                num_uniform=len(drawn),
                num_items=num_items,
            ),
            sample_weight=dense(batch, "weight"),
            score_mask=self._mask(batch, candidates),
            # An item's embedding depends on the item alone, unless dropout draws anew for every row.
            one_embedding_per_id=not (self.training and self.candidate.dropout),
            num_items=num_items,
        )

    def _embed(self, items: Tensor) -> Tensor:
        batch = self.fitted_space().candidate_batch(items.cpu())
        embeddings: Tensor = self.candidate(to_device(batch, items.device))
        return embeddings

    def _mask(self, batch: Batch, items: Tensor) -> Tensor | None:
        return self._unseen(dense(batch, "user_index"), items) if self.mask_seen else None

    def _unseen(self, users: Tensor, items: Tensor) -> Tensor:
        """`[batch, len(items)]` bool: whether the item is none of the query's user's."""
        seen = fitted_data(self).seen.take(users.cpu())
        distinct, column = torch.unique(items, return_inverse=True)
        place = torch.full((self.fitted_space().num_items,), -1, device=items.device)
        place[distinct] = torch.arange(len(distinct), device=items.device)
        columns = place[seen.values.to(items.device)]
        rows = seen.row_ids().to(items.device)[columns >= 0]
        unseen = torch.ones(len(users), len(distinct), dtype=torch.bool, device=items.device)
        unseen[rows, columns[columns >= 0]] = False
        return unseen[:, column]

    @torch.inference_mode()
    def embed_items(self) -> Tensor:
        """The embeddings of the whole catalogue.

        Returns:
            `[num_items + 1, dim]` float32; row 0 is the unknown item's.
        """
        self.fitted_space()
        vectors = torch.empty_like(self.item_vectors)
        self._embed_items_into(vectors)
        return vectors

    @torch.inference_mode()
    def _embed_items_into(self, vectors: Tensor) -> None:
        # Block by block, since a second copy of a large catalogue may be what the memory has no room for.
        space = self.fitted_space()
        for items in torch.split(torch.arange(space.num_items), ENCODING_BATCH):
            batch = to_device(space.candidate_batch(items), self.device)
            vectors[items[0] : items[0] + len(items)] = self.candidate(batch)

    @torch.inference_mode()
    def embed_queries(self, requests: Requests) -> Tensor:
        """The embeddings of some requests.

        Args:
            requests: who asks.

        Returns:
            `[batch, dim]` float32.
        """
        batch = to_device(self.fitted_space().query_batch(requests), self.device)
        return self.query.embed(batch).float()

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The items whose embeddings have the largest dot products with the queries; exact."""
        return self._embedded(requests).retrieve(k, exclude=exclude, where=where)

    def score(self, requests: Requests, items: Tensor) -> Tensor:
        """The dot products of the queries with some items."""
        return self._embedded(requests).score(items)

    def prepare(self, requests: Requests) -> Prepared:
        """Embed some requests, to search and to score."""
        return self._embedded(requests) if answers_as(self, TwoTower) else Prepared(self, requests)

    def _embedded(self, requests: Requests) -> EmbeddedRequests:
        return EmbeddedRequests(self, requests, self.embed_queries(requests), self.item_vectors)

    @torch.no_grad()
    def with_items(self, data: Dataset, rows: Tensor) -> TwoTower:
        """The model for more items, whose embeddings their features give; see `Growing`."""
        grown = copy.copy(self)
        grown._buffers = dict(self._buffers)
        grown.data, grown.space = data, self.fitted_space().with_items(data, rows)
        parts = [
            self.candidate(to_device(grown.space.candidate_batch(some), self.device)).float()
            for some in torch.split(rows, ENCODING_BATCH)
        ]
        probability = self.item_probability
        grown.item_probability = pad(probability, (0, grown.space.num_items - len(probability)))
        vectors = replace_rows(self.item_vectors, rows, torch.cat([self.item_vectors[:0], *parts]))
        assert isinstance(vectors, Tensor)
        grown.item_vectors = vectors
        return grown

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return self.item_vectors.device


def item_probability(data: Dataset) -> Tensor:
    """How likely each item is to be in a batch, as a share of the positive events.

    Args:
        data: the train part.

    Returns:
        `[num_items + 1]` float32, summing to 1.
    """
    items = torch.from_numpy(data.item_index[data.targets])
    counts = torch.bincount(items, minlength=len(data.item_vocabulary)).float()
    return counts / counts.sum()
