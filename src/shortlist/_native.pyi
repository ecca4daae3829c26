import numpy as np
from numpy.typing import NDArray

BLOCK_ROWS: int
LIST_ROOM: int
MAX_DIM: int

class Segment:
    def __init__(
        self,
        rows: NDArray[np.float32],
        codes: NDArray[np.uint8] | None,
        stats: NDArray[np.float64] | None,
        order: NDArray[np.uint32] | None,
        labels: NDArray[np.int64] | None,
    ) -> None: ...
    @property
    def count(self) -> int: ...

def top_k(
    segments: list[Segment],
    dead: list[NDArray[np.bool_]],
    queries: NDArray[np.float32],
    squared_distance: bool,
    where: NDArray[np.bool_] | None,
    excluded: NDArray[np.int64] | None,
    excluded_offsets: NDArray[np.int64] | None,
    threads: int,
    labels: NDArray[np.int64],
    scores: NDArray[np.float64],
) -> int: ...
def row_norms(rows: NDArray[np.float32], threads: int, norms: NDArray[np.float64]) -> None: ...
def encode(
    rows: NDArray[np.float32],
    order: NDArray[np.uint32],
    norms: NDArray[np.float64],
    threads: int,
    codes: NDArray[np.uint8],
    stats: NDArray[np.float64],
) -> None: ...
def softmax_loss(
    queries: NDArray[np.generic],
    candidates: NDArray[np.generic],
    positives: NDArray[np.generic],
    bias: NDArray[np.generic] | None,
    own_bias: NDArray[np.generic] | None,
    masked_score: float,
    mask: NDArray[np.generic] | None,
    by_id: NDArray[np.generic] | None,
    run_begins: NDArray[np.generic] | None,
    run_ends: NDArray[np.generic] | None,
    weights: NDArray[np.generic] | None,
    products: str,
    threads: int,
    losses: NDArray[np.float32],
    grad_queries: NDArray[np.float32] | None,
    grad_candidates: NDArray[np.float32] | None,
    grad_bias: NDArray[np.float32] | None,
    grad_own_bias: NDArray[np.float32] | None,
) -> None: ...
def fastest_short_products() -> str: ...
def advise_huge_pages(address: int, bytes: int) -> None: ...
def update_rows(
    weight: NDArray[np.float32],
    first: NDArray[np.float32] | None,
    second: NDArray[np.float32] | None,
    rule: str,
    learning_rate: float,
    eps: float,
    beta1: float,
    beta2: float,
    correction1: float,
    correction2: float,
    ids: NDArray[np.int64],
    values: NDArray[np.float32],
    offsets: NDArray[np.int64] | None,
    factors: NDArray[np.float32] | None,
    threads: int,
) -> None: ...

# Of tables in bfloat16, whose bits NumPy holds as uint16.
def update_half_rows(
    weight: NDArray[np.uint16],
    first: NDArray[np.uint16] | None,
    second: NDArray[np.uint16] | None,
    accumulators: NDArray[np.float32] | None,
    rule: str,
    learning_rate: float,
    eps: float,
    beta1: float,
    beta2: float,
    correction1: float,
    correction2: float,
    seed: int,
    step: int,
    ids: NDArray[np.int64],
    values: NDArray[np.float32],
    offsets: NDArray[np.int64] | None,
    factors: NDArray[np.float32] | None,
    threads: int,
) -> None: ...
def gather_rows(
    weight: NDArray[np.float32] | NDArray[np.uint16],
    ids: NDArray[np.int64],
    rows: NDArray[np.float32],
    threads: int,
) -> None: ...
def pool_rows(
    weight: NDArray[np.float32] | NDArray[np.uint16],
    ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    factors: NDArray[np.float32] | None,
    sums: NDArray[np.float32],
    threads: int,
) -> None: ...
def pool_factor_gradients(
    weight: NDArray[np.float32] | NDArray[np.uint16],
    ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    gradients: NDArray[np.float32],
    factors: NDArray[np.float32],
    threads: int,
) -> None: ...
def pool_mean_factors(
    ids: NDArray[np.int64], offsets: NDArray[np.int64], factors: NDArray[np.float32]
) -> None: ...
def add_bag_means(
    weight: NDArray[np.float32],
    ids: NDArray[np.int64],
    offsets: NDArray[np.int64],
    row_scores: NDArray[np.float32] | None,
    distance_scores: NDArray[np.float32] | None,
    sums: NDArray[np.float32],
    column: int,
    threads: int,
) -> None: ...

LEAF_BLOCK: int
LEAF_MAX_DIM: int
NO_ROW: int

class LeafPart:
    def __init__(
        self,
        dim: int,
        count: int,
        rows: NDArray[np.float32] | None,
        labels: NDArray[np.int64] | None,
        origin: NDArray[np.float32],
        mirrors: NDArray[np.float32] | None,
        order: NDArray[np.uint32],
        codes: NDArray[np.uint8],
        rest: NDArray[np.uint8] | None,
        scale: NDArray[np.float32],
        bias: NDArray[np.float32] | None,
    ) -> None: ...

class LeafTable:
    def __init__(
        self,
        begins: NDArray[np.int64],
        codes: NDArray[np.uint8],
        rest: NDArray[np.uint8] | None,
        scale: NDArray[np.float32],
        bias: NDArray[np.float32],
        spreads: NDArray[np.float32],
        rest_spreads: NDArray[np.float32] | None,
        reach: float,
        slack: float,
    ) -> None: ...

class LeafView:
    def __init__(
        self,
        part: LeafPart,
        leaves: LeafTable | None,
        sizes: NDArray[np.float32] | None,
        allowed: NDArray[np.uint16] | None,
    ) -> None: ...

def leaf_search(
    views: list[LeafView],
    queries: NDArray[np.float32],
    squared_distance: bool,
    keep: int,
    effort: float,
    excluded: NDArray[np.int64] | None,
    excluded_offsets: NDArray[np.int64] | None,
    threads: int,
    labels: NDArray[np.int64],
    scores: NDArray[np.float32],
) -> None: ...
def leaf_pack(
    rows: NDArray[np.float32],
    origin: NDArray[np.float32],
    mirrors: NDArray[np.float32] | None,
    order: NDArray[np.uint32],
    threads: int,
    codes: NDArray[np.uint8],
    rest: NDArray[np.uint8] | None,
    scale: NDArray[np.float32],
) -> None: ...
def leaf_train(
    rows: NDArray[np.float32],
    origin: NDArray[np.float32],
    members: NDArray[np.uint32],
    iterations: int,
    seed: int,
    threads: int,
    centroids: NDArray[np.float32],
    leaf_of: NDArray[np.uint32],
) -> None: ...
def leaf_assign(
    rows: NDArray[np.float32],
    origin: NDArray[np.float32],
    members: NDArray[np.uint32],
    centroids: NDArray[np.float32],
    threads: int,
    leaf_of: NDArray[np.uint32],
) -> None: ...
def leaf_allow(view: LeafView, where: NDArray[np.bool_], allowed: NDArray[np.uint16]) -> None: ...
def leaf_sizes(
    allowed: NDArray[np.uint16], begins: NDArray[np.int64], sizes: NDArray[np.float32]
) -> None: ...
def leaf_copy_allowed(
    view: LeafView,
    allowed: NDArray[np.uint16],
    begins: NDArray[np.int64],
    codes: NDArray[np.uint8],
    rest: NDArray[np.uint8] | None,
    scale: NDArray[np.float32],
    bias: NDArray[np.float32] | None,
    order: NDArray[np.uint32],
) -> None: ...

class DynamicTable:
    def __init__(
        self,
        dim: int,
        seed: int,
        scale: float,
        shared_rows: int,
        admit_after: int,
        sketch_bytes: int,
        memory_bytes: int,
        folder: str,
    ) -> None: ...
    def look_up(
        self, ids: NDArray[np.int64], training: bool, threads: int, out: NDArray[np.float32]
    ) -> None: ...
    def step(
        self,
        rule: str,
        learning_rate: float,
        eps: float,
        beta1: float,
        beta2: float,
        correction1: float,
        correction2: float,
        initial: float,
        ids: NDArray[np.int64],
        gradients: NDArray[np.float32],
        threads: int,
    ) -> None: ...
    def remove(self, ids: NDArray[np.int64]) -> int: ...
    def rows(self, only_changed: bool) -> NDArray[np.int64]: ...
    def copy_facts(
        self,
        rows: NDArray[np.int64],
        ids: NDArray[np.int64],
        counts: NDArray[np.int64],
        last_seen: NDArray[np.int64],
    ) -> None: ...
    def copy_numbers(
        self, rows: NDArray[np.int64], threads: int, weights: NDArray[np.float32], state: NDArray[np.float32]
    ) -> None: ...
    def copy_in(
        self,
        ids: NDArray[np.int64],
        weights: NDArray[np.float32],
        state: NDArray[np.float32],
        counts: NDArray[np.int64],
        last_seen: NDArray[np.int64],
    ) -> None: ...
    def copy_in_shared(self, weights: NDArray[np.float32], state: NDArray[np.float32]) -> None: ...
    def copy_waiting(self, ids: NDArray[np.int64], counts: NDArray[np.int64]) -> None: ...
    def set_waiting(self, ids: NDArray[np.int64], counts: NDArray[np.int64]) -> None: ...
    def sketch(self) -> NDArray[np.uint8]: ...
    def settle(self) -> None: ...
    def drop_state(self) -> None: ...
    def hold_state(self, rule: str, initial: float) -> None: ...
    @property
    def rule(self) -> str: ...
    @property
    def initial(self) -> float: ...
    @property
    def state_width(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    @property
    def size(self) -> int: ...
    @property
    def bytes(self) -> int: ...
    @property
    def file_bytes(self) -> int: ...
    @property
    def spilled(self) -> int: ...
    clock: int

def enter_lookup(ids: NDArray[np.int64], buckets: NDArray[np.int64]) -> None: ...
def read_lookup(
    buckets: NDArray[np.int64],
    rows: NDArray[np.float32],
    shared: NDArray[np.float32],
    seed: int,
    ids: NDArray[np.int64],
    threads: int,
    out: NDArray[np.float32],
) -> None: ...
def hash_strings(bytes: NDArray[np.uint8], offsets: NDArray[np.int64], ids: NDArray[np.int64]) -> None: ...
def list_logistic(
    scores: NDArray[np.generic],
    offsets: NDArray[np.generic],
    labels: NDArray[np.generic],
    weights: NDArray[np.generic] | None,
    gains: NDArray[np.generic] | None,
    near: NDArray[np.generic] | None,
    lift: NDArray[np.generic] | None,
    single: NDArray[np.generic] | None,
    top_n: int,
    threads: int,
    values: NDArray[np.generic],
    totals: NDArray[np.generic],
    slopes: NDArray[np.generic] | None,
) -> None: ...
def list_smooth_ranks(
    scores: NDArray[np.generic], offsets: NDArray[np.generic], threads: int, ranks: NDArray[np.generic]
) -> None: ...
def list_smooth_rank_slopes(
    scores: NDArray[np.generic],
    offsets: NDArray[np.generic],
    by_rank: NDArray[np.generic],
    threads: int,
    slopes: NDArray[np.generic],
) -> None: ...
def list_cross_entropy(
    scores: NDArray[np.generic],
    offsets: NDArray[np.generic],
    targets: NDArray[np.generic],
    threads: int,
    values: NDArray[np.generic],
    totals: NDArray[np.generic],
    slopes: NDArray[np.generic] | None,
) -> bool: ...
def list_products(
    values: NDArray[np.generic],
    offsets: NDArray[np.generic],
    factors: NDArray[np.generic],
    products: NDArray[np.generic],
) -> None: ...
def list_ideal_dcg(
    gains: NDArray[np.generic],
    offsets: NDArray[np.generic],
    discounts: NDArray[np.generic],
    ideal: NDArray[np.generic],
) -> None: ...
def list_best(
    scores: NDArray[np.generic],
    offsets: NDArray[np.generic],
    items: NDArray[np.generic],
    keep: int,
    order: NDArray[np.generic],
) -> None: ...
def list_marginal_relevance(
    scores: NDArray[np.generic],
    offsets: NDArray[np.generic],
    items: NDArray[np.generic],
    vectors: NDArray[np.generic],
    strength: float,
    picks: int,
    order: NDArray[np.generic],
    penalty: NDArray[np.generic],
) -> None: ...
def list_relative_scores(
    scores: NDArray[np.generic], offsets: NDArray[np.generic], column: int, columns: NDArray[np.generic]
) -> None: ...
def network_scores(
    kinds: NDArray[np.generic],
    widths: NDArray[np.generic],
    weights: NDArray[np.generic],
    offsets: NDArray[np.generic],
    query: NDArray[np.generic],
    table: NDArray[np.generic],
    items: NDArray[np.generic],
    own: NDArray[np.generic],
    threads: int,
    scores: NDArray[np.generic],
) -> None: ...
def event_loss_and_gradients(
    rows: list[NDArray[np.generic] | None],
    index: list[NDArray[np.generic] | None],
    grad_rows: list[NDArray[np.generic] | None],
    weights: list[NDArray[np.generic] | None],
    biases: list[NDArray[np.generic] | None],
    grad_weights: list[NDArray[np.generic] | None],
    grad_biases: list[NDArray[np.generic] | None],
    crosses: int,
    start: float,
    dropout: float,
    seed: int,
    loss: int,
    labels: NDArray[np.generic],
    loss_weights: NDArray[np.generic],
    products: str,
    threads: int,
) -> float: ...
def find_distinct(ids: NDArray[np.generic], rows: NDArray[np.generic], index: NDArray[np.generic]) -> int: ...
def normalise(rows: NDArray[np.float32], normalised: NDArray[np.float32]) -> None: ...
def checksum(bytes: NDArray[np.uint8], threads: int) -> int: ...
def use_kernels(name: str) -> None: ...
def kernels_in_use() -> str: ...

class Turnstile:
    def __init__(
        self, first_line: bytes, before: bytes, between: bytes, after: bytes, length: int
    ) -> None: ...
    def fileno(self) -> int: ...
    def add(self, socket: int) -> None: ...
    def remove(self, socket: int) -> None: ...
    def turn(self, room: int, most: int, headers: bytes) -> tuple[int, list[tuple[int, bytes, bool]]]: ...

def plain_request_id(bytes: bytes, first_line: bytes) -> bytes | None: ...
