"""The tables of `shortlist.toml`; a key that is left out has the default of the class it stands for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Seed = Annotated[int, Field(ge=0, lt=1 << 31)]
Text = Annotated[str, Field(min_length=1)]
Paths = Text | Annotated[list[Text], Field(min_length=1)]


class Section(BaseModel):
    """A table of the file: unknown keys are refused, and no value is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    def given(self, *names: str) -> dict[str, Any]:
        """The keys that the file gives and that are among the names: arguments for a class."""
        return {name: getattr(self, name) for name in names if name in self.model_fields_set}


class EventSection(Section):
    """`[data.events.NAME]`: what one type of event counts as; see `shortlist.data.EventType`."""

    weight: Annotated[float, Field(ge=0)] = 1.0
    label: bool = True
    history: bool = True
    negative: bool = False


class DataSection(Section):
    """`[data]`: the files, relative to the TOML file, and their columns; see `shortlist.data.Schema`."""

    interactions: Paths
    users: Paths | None = None
    items: Paths | None = None
    user_id: Text = "user_id"
    item_id: Text = "item_id"
    timestamp: Text | None = None
    label: Text | None = None
    event: Text | None = None
    events: dict[Text, EventSection] = Field(default_factory=dict)


class SplitSection(Section):
    """`[split]`: what is held out to measure on.

    Without `by`, the latest events are, or random ones where there are no times.
    """

    by: Literal["time", "leave_last_out", "random"] | None = None
    test: Annotated[float, Field(gt=0, lt=1)] = 0.1
    count: Count = 1
    seed: Seed = 0


class RetrieverSection(Section):
    """`[retriever]`: a `TwoTower`, both its `Tower`s and its `Retrieval` task."""

    query: list[dict[str, Any]] | None = None
    candidate: list[dict[str, Any]] | None = None
    dim: Width | None = None
    hidden: list[Width] | None = None
    dropout: Share | None = None
    normalise: bool | None = None
    temperature: Positive | None = None
    correct_sampling_bias: bool | None = None
    remove_accidental_hits: bool | None = None
    num_hard_negatives: Count | None = None
    negatives: Literal["batch", "mixed", "sampled", "catalogue"] | None = None
    num_negatives: Count | None = None
    queue_size: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    objective: Literal["softmax", "gbce"] | None = None
    calibration: Annotated[float, Field(ge=0, le=1)] | None = None
    precision: Literal["float32", "bfloat16"] | None = None
    mask_seen: bool | None = None


class TrainingSection(Section):
    """`[training]`: what `TwoTower.fit` takes.

    With `patience`, a validation part of the train part decides after how many epochs to stop; then the model
    is trained anew on the whole train part for as many. The schedule "plateau" goes by that validation part,
    and by the training loss where there is none.
    """

    epochs: Count = 10
    batch_size: Count = 1024
    learning_rate: Positive | None = None
    schedule: Literal["cosine", "linear", "plateau"] | None = None
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    max_grad_norm: Positive | None = None
    precision: Literal["float32", "bfloat16", "float16"] | None = None
    patience: Count | None = None
    seed: Seed = 0


class ObjectivesSection(Section):
    """`[ranker.objectives]`: several labels that a `Ranker` learns at once; see `Objectives`."""

    losses: dict[Text, Literal["click", "rating"]]
    sharing: Literal["shared_bottom", "mmoe", "ple"] | None = None
    experts: Annotated[int, Field(ge=1, le=1024)] | None = None
    head: list[Width] | None = None
    balance: Literal["uncertainty", "gradnorm", "pcgrad"] | None = None
    weights: dict[Text, Annotated[float, Field(ge=0)]] | None = None
    score: dict[Text, float] | None = None


class RankerSection(Section):
    """`[ranker]`: a `Ranker` and its training; the features are the retriever's by default."""

    kind: Literal["Ranker"] = "Ranker"
    query: list[dict[str, Any]] | None = None
    candidate: list[dict[str, Any]] | None = None
    body: dict[str, Any] | None = None
    dim: Width | None = None
    embedding_scale: Positive | None = None
    cross_layers: Annotated[int, Field(ge=0, le=64)] | None = None
    hidden: list[Width] | None = None
    dropout: Share | None = None
    loss: Literal["softmax", "lambdaloss", "approx_ndcg", "list_mle", "click", "rating"] | None = None
    objectives: ObjectivesSection | None = None
    epochs: Count | None = None
    batch_size: Count | None = None
    learning_rate: Positive | None = None


class BoostedRankerSection(Section):
    """`[ranker]` with `kind = "BoostedRanker"`: LightGBM's trees.

    The features are by default those of the retriever that trees can read: no histories and no texts.
    """

    kind: Literal["BoostedRanker"] = "BoostedRanker"
    query: list[dict[str, Any]] | None = None
    candidate: list[dict[str, Any]] | None = None
    loss: Literal["lambdarank", "xe_ndcg"] | None = None
    trees: Annotated[int, Field(ge=1, le=100_000)] | None = None
    num_leaves: Annotated[int, Field(ge=2, le=131_072)] | None = None
    learning_rate: Positive | None = None
    min_data_in_leaf: Count | None = None


def _ranker_kind(table: Any) -> str:
    """Which of the two rankers a table describes: what its `kind` says, else a `Ranker`."""
    kind = table.get("kind", "Ranker") if isinstance(table, dict) else "Ranker"
    return kind if isinstance(kind, str) else "Ranker"


RankerTable = Annotated[
    Annotated[RankerSection, Tag("Ranker")] | Annotated[BoostedRankerSection, Tag("BoostedRanker")],
    Discriminator(_ranker_kind),
]


class FunnelSection(Section):
    """`[funnel]`: the sizes, how the ranker's scores are calibrated, and who finds candidates."""

    retrieve: list[dict[str, Any]] | None = None
    keep: Count | None = None
    calibration: Literal["Temperature", "Platt", "Isotonic", "Spline"] | None = None
    size: Count = 12


class BundleSection(Section):
    """`[bundle]`: where the funnel is written, and whether it is first trained again on all events."""

    path: Text = "bundle"
    refit: bool = False


class Settings(Section):
    """The whole file."""

    data: DataSection
    split: SplitSection = SplitSection()
    retriever: RetrieverSection = RetrieverSection()
    training: TrainingSection = TrainingSection()
    ranker: RankerTable | None = None
    funnel: FunnelSection = FunnelSection()
    postrank: list[dict[str, Any]] = Field(default_factory=list)
    bundle: BundleSection = BundleSection()
