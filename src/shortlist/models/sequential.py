"""The user is what they did: the next item from the sequence of those before it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from shortlist.data.dataset import Dataset
from shortlist.data.feature_space import Batch, dense
from shortlist.data.features import Feature, History, Id
from shortlist.data.ragged import Ragged
from shortlist.data.requests import Requests
from shortlist.data.sequences import SequenceLoader
from shortlist.errors import ConfigError
from shortlist.losses.retrieval.fused_softmax import Precision
from shortlist.metrics import FactorizedTopK
from shortlist.models.embedded_requests import EmbeddedRequests
from shortlist.models.model import Model, TrainingOptions
from shortlist.models.next_item_loss import Loss, NextItemLoss
from shortlist.models.recommender import Recommender
from shortlist.models.two_tower import item_probability
from shortlist.nn.embedding import Embedding
from shortlist.nn.sequence.encoder import Block, SequenceEncoder, check_settings
from shortlist.training import TrainingHistory
from shortlist.training.batches import Loader

# Small, since what is random in an embedding is noise until its item was seen often: most items are rare.
INITIAL_SCALE = 0.02
ENCODED_EVENTS = 1 << 15  # events of one forward pass when many requests are answered


class Sequential(Model, Recommender):
    """A causal model of what comes next, trained on every position of the users' histories at once.

    The score of an item is the dot product of its embedding, the same that the encoder reads, with the
    encoder's output at the user's last event. Users have no embeddings of their own: somebody new is
    answered by the history of a session, and somebody without any by what most begin with.

    Args:
        dim: width of the embeddings.
        block: `"transformer"` (SASRec), `"hstu"` or `"gru"` (GRU4Rec).
        num_blocks: how many of them.
        heads: attention heads.
        length: how many of the latest events count.
        dropout: share that training hides of the events and in the blocks.
        time_gaps: whether the time between events counts.
        loss: `"full"`, softmax over the whole catalogue; `"sampled"`, gBCE against `negatives` items drawn
            for each batch, for catalogues of millions; or `"in_batch"`, softmax against the batch's targets.
        negatives: of the sampled loss.
        calibration: of the sampled loss: from 0, plain binary cross-entropy, to 1, fully calibrated.
        sparse: whether the gradient of the item table names the rows of the batch and holds no others, as in
            `Tower`: for items by the million; not with the full loss, which touches all of them.
        precision: of the products of a softmax loss, "float32" or "bfloat16"; see `full_softmax`.

    Raises:
        ConfigError: a block or a loss is unknown, a number is out of range, or the full loss is sparse.

    Source: Kang & McAuley, Self-attentive sequential recommendation (ICDM 2018); Klenitskiy & Vasilev,
    Turning dross into gold loss (RecSys 2023), for the softmax over the catalogue.
    """

    item_probability: Tensor
    item_vectors: Tensor

    def __init__(
        self,
        *,
        dim: int = 64,
        block: Block = "transformer",
        num_blocks: int = 2,
        heads: int = 1,
        length: int = 200,
        dropout: float = 0.2,
        time_gaps: bool = False,
        loss: Loss = "full",
        negatives: int = 256,
        calibration: float = 0.75,
        sparse: bool = False,
        precision: Precision = "float32",
    ) -> None:
        super().__init__()
        check_settings(dim, block=block, num_blocks=num_blocks, heads=heads, length=length, dropout=dropout)
        if sparse and loss == "full":
            raise ConfigError(
                "the softmax over the catalogue gives every item a gradient, so it cannot be sparse",
                remedy='leave sparse out, or use loss="sampled" or "in_batch"',
            )
        self.dim, self.length, self.loss, self.sparse = dim, length, loss, sparse
        self.negatives, self.calibration, self.precision = negatives, calibration, precision
        self._next_item_loss()  # refuses what is out of range
        self.encoding: dict[str, Any] = {
            "block": block,
            "num_blocks": num_blocks,
            "heads": heads,
            "length": length,
            "dropout": dropout,
            "time_gaps": time_gaps,
        }

    def config(self) -> dict[str, Any]:
        """The arguments that make an equal model, in a form that JSON can hold."""
        return {
            "dim": self.dim,
            **self.encoding,
            "loss": self.loss,
            "negatives": self.negatives,
            "calibration": self.calibration,
            "sparse": self.sparse,
            "precision": self.precision,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sequential:
        """The reverse of `config`."""
        return cls(**config)

    def features(self, data: Dataset) -> tuple[list[Feature], list[Feature]]:
        """What is read: the history of item ids, and the item's own."""
        item_id = data.schema.item_id
        return [History(item_id, length=self.length, dropout=0.0)], [Id(item_id)]

    def build_layers(self, *, seed: int = 0) -> None:
        """Make the item table, the encoder, and room for what is known of every item."""
        num_items = self.fitted_space().num_items
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.items = Embedding(num_items, self.dim, scale=INITIAL_SCALE, sparse=self.sparse)
            self.start = nn.Parameter(torch.zeros(self.dim))  # stands for a history without events
            self.encoder = SequenceEncoder(self.dim, **self.encoding)
        self.register_buffer("item_probability", torch.zeros(num_items))
        self.register_buffer("item_vectors", torch.zeros(num_items, self.dim))

    def fit(
        self,
        data: Dataset,
        *,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float | None = 2e-3,
        validation: Dataset | None = None,
        loader: Loader | None = None,
        seed: int = 0,
        **options: Unpack[TrainingOptions],
    ) -> TrainingHistory:
        """Train on the histories of a dataset, then keep all items' embeddings; see `Model.fit`.

        Args:
            data: the train part; its schema must name a timestamp.
            epochs: how often to go through it.
            batch_size: histories, or windows of long ones, a step.
            learning_rate: of the optimizer to be made (Adam by default); None for one that is given.
            validation: a test part to evaluate on after each epoch; `monitor="ndcg@10"` and `patience` then
                stop early.
            loader: batches to go through instead, as `shortlist.data.sequences.SequenceLoader` makes them.
            seed: of the initial weights, the order, the windows and dropout.
            **options: see `shortlist.training.fit`.

        Returns:
            Loss, validation metrics and seconds of each epoch.
        """
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
        self.item_vectors.copy_(self.embed_items())
        return history

    def make_loader(  # type: ignore[override]  # it yields sequences in place of events
        self, data: Dataset, *, batch_size: int, seed: int
    ) -> SequenceLoader:
        """The batches that `fit` goes through: windows of the users' histories.

        Args:
            data: the train part.
            batch_size: windows a batch.
            seed: of the order.
        """
        return SequenceLoader(data, length=self.length, batch_size=batch_size, seed=seed)

    def validate(self, data: Dataset) -> Mapping[str, float]:
        """Hit rate and NDCG at 10 and 100 and MRR of a validation part, seen items excluded."""
        from shortlist.models.evaluation import measure  # it knows Sequential by name

        self.item_vectors.copy_(self.embed_items())
        return measure(self, data, [FactorizedTopK(ks=(10, 100))])

    def compute_loss(self, batch: Batch) -> Tensor:
        """The loss of what followed every event of a batch; see `SequenceLoader`."""
        sequence, times = batch["sequence"], batch["sequence_times"]
        assert isinstance(sequence, Ragged)
        assert isinstance(times, Ragged)
        encoded = torch.cat([self.encode(sequence, times), self.start[None]])
        queries = nn.functional.embedding(dense(batch, "target_place"), encoded)
        return self._next_item_loss()(
            queries,
            dense(batch, "target"),
            items=self.items,
            item_probability=self.item_probability,
            sample_weight=dense(batch, "weight"),
        )

    def _next_item_loss(self) -> NextItemLoss:
        return NextItemLoss(self.loss, self.negatives, self.calibration, self.precision)

    def encode(self, sequence: Ragged, times: Ragged) -> Tensor:
        """What may come next after each event.

        Args:
            sequence: rows of item indices, oldest first, at most `length` each.
            times: int64 seconds, aligned with it.

        Returns:
            `[total, dim]`.
        """
        # Small rows for the dot products; for the encoder they are to stand beside the positions.
        embedded = self.items(sequence.values) * self.dim**0.5
        return self.encoder(Ragged(embedded, sequence.offsets), times)  # type: ignore[no-any-return]

    def embed_items(self) -> Tensor:
        """The embeddings of the whole catalogue.

        Returns:
            `[num_items + 1, dim]` float32; row 0 is the unknown item's.
        """
        self.fitted_space()
        return self.items.weight.detach().float()

    @torch.inference_mode()
    def embed_queries(self, requests: Requests) -> Tensor:
        """The encoder's output at the last event of some requests' histories.

        Args:
            requests: who asks.

        Returns:
            `[batch, dim]` float32.
        """
        self.fitted_space()
        sequence, times = requests.latest_known(self.length, num_items=len(self.items.weight))
        order = sequence.lengths.argsort(descending=True, stable=True)
        queries = self.start.float().repeat(len(requests), 1)
        asked = order[: int((sequence.lengths > 0).sum())]
        batches = (sequence.lengths[asked].cumsum(0) - 1) // ENCODED_EVENTS
        for rows in torch.split(asked, torch.bincount(batches).tolist()):
            if len(rows):
                part, when = (each.take(rows).to(self.device) for each in (sequence, times))
                queries[rows.to(self.device)] = self.encode(part, when)[part.offsets[1:] - 1].float()
        return queries

    @torch.no_grad()
    def with_items(self, data: Dataset, rows: Tensor) -> Sequential:
        """The model for more items, which it does not retrieve before it is trained again; see `Growing`."""
        grown = copy.copy(self)
        grown._buffers = dict(self._buffers)
        grown.data, grown.space = data, self.fitted_space().with_items(data, rows)
        more = grown.space.num_items - len(self.item_vectors)
        grown.item_probability = pad(self.item_probability, (0, more))
        grown.item_vectors = pad(self.item_vectors, (0, 0, 0, more))
        return grown

    def retrieve(
        self, requests: Requests, k: int, *, exclude: Ragged | None = None, where: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The items whose embeddings have the largest dot products with the queries; exact."""
        self.fitted_space()
        trained = len(self.items.weight)
        allowed = None if where is None else where[:trained]
        return self._embedded(requests, self.item_vectors[:trained]).retrieve(
            k, exclude=exclude, where=allowed
        )

    def score(self, requests: Requests, items: Tensor) -> Tensor:
        """The dot products of the queries with some items."""
        return self._embedded(requests, self.item_vectors).score(items)

    def _embedded(self, requests: Requests, item_vectors: Tensor) -> EmbeddedRequests:
        return EmbeddedRequests(self, requests, self.embed_queries(requests), item_vectors)

    @property
    def device(self) -> torch.device:
        """Where the weights live."""
        return next(self.parameters()).device
