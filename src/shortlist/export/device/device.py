"""A funnel on a device: private, offline, instant."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.errors import ConfigError
from shortlist.export.device.adaptation import Feedback
from shortlist.export.device.answer import Recommended
from shortlist.export.device.candidates import Candidates, best_rows
from shortlist.export.device.inputs import Request, read_now
from shortlist.export.device.items import UNKNOWN, Id, Items, Rows
from shortlist.export.device.loading import Loaded, load_export
from shortlist.export.device.retrieval import retrieve
from shortlist.export.device.updates import update

NOTHING: tuple[Id, ...] = ()


class Device:
    """An exported funnel that answers where the person is; made by `Device.load`.

    It needs NumPy and ONNX Runtime, no PyTorch, and no network. Models run in one thread; so do NumPy's
    products where `OPENBLAS_NUM_THREADS=1` is set. Tables are decoded to float32 when it is loaded, 4 bytes a
    number, and the vectors that items are compared by are kept a second time at length one: 51 MB for 100,000
    items x 64. Tables that are searched are held in whole numbers too, of a byte, twice: 13 MB. What `adapt`
    learns is kept in memory only.

    Args:
        loaded: the export's content.
        path: its folder.
    """

    def __init__(self, loaded: Loaded, path: Path) -> None:
        self.path = path
        self._loaded = loaded
        self._feedback = Feedback()
        self._retrieval_is_all = loaded.ranker is None and not loaded.postrank

    def __len__(self) -> int:
        """The number of items."""
        return len(self._loaded.items)

    def __contains__(self, item: object) -> bool:
        """Whether the export holds an item."""
        return self._loaded.items.row(item) > 0

    @classmethod
    def load(cls, path: str | Path) -> Device:
        """Read an export; the size and the checksum of every file are verified.

        Args:
            path: the folder that `shortlist export` wrote.

        Raises:
            BundleError: a file is missing, damaged, newer, or does not fit the others; it is named.
            ConfigError: ONNX Runtime is not installed.
        """
        return cls(load_export(Path(path)), Path(path))

    def recommend(
        self,
        history: Sequence[Id | tuple[Id, int]],
        *,
        k: int | None = None,
        exclude: Iterable[Id] = NOTHING,
        where: Mapping[str, Any] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Recommended:
        """What to show to the person.

        Args:
            history: ids of the items that the person chose, oldest first, or pairs of an id and its time in
                seconds since 1970. Ids that the export does not hold are passed over.
            k: how many items; by default as many as the funnel gives.
            exclude: ids that must not come.
            where: an item comes only if, in every column named, it has the value or one of the values, such
                as `{"genres": ["Comedy", "Drama"]}`.
            context: what the models read beside the history, such as `{"device": "phone"}`; `now`, in seconds
                since 1970, is by default the device's own time.

        Returns:
            At most `k` items, best first, without the history (unless the export allows it) and without the
            items that `adapt` was told of.

        Raises:
            ConfigError: `k` is below 1, or the context has a name that no model reads.
            SchemaError: `where` names a column that the item table lacks.
        """
        loaded, context = self._loaded, context or {}
        loaded.inputs.check(context)
        size = loaded.manifest.size if k is None else _positive(k)
        rows, times = _known_history(history, loaded.items)
        request = Request(rows, times, context, read_now(context, time.time()), size)
        return self._answer(self._run(request, self._barred(rows, exclude, where)))

    def similar(self, item: Id, *, k: int = 12) -> Recommended:
        """The items nearest to one, by the cosine of their vectors.

        Args:
            item: its id.
            k: how many items.

        Raises:
            UnknownIdError: the export does not hold the item.
            ConfigError: `k` is below 1, or the export holds no vectors to compare items by.
        """
        units, row = self._loaded.units, self._loaded.items.known_row(item)
        if units is None:
            raise ConfigError(
                "the export holds no item vectors", remedy="export a funnel that has a model with embeddings"
            )
        return self._answer(best_rows(units @ units[row], _positive(k), np.array([0, row])))

    def adapt(self, *, liked: Iterable[Id] = (), disliked: Iterable[Id] = ()) -> None:
        """Learn from what the person said of some items; nothing leaves the device.

        From now on the person's vector is moved towards what was liked and away from what was disliked, and
        these items are no longer recommended. The latest 64 judgements count; a later one of the same item
        takes the place of the earlier. The same judgements in the same order give the same lists.

        Args:
            liked: ids; those that the export does not hold are passed over.
            disliked: ids, likewise.

        Source: Bishop, Pattern Recognition and Machine Learning (2006), sections 3.3.1 and 6.1; the formula
        stands in `shortlist.export.device.adaptation`.
        """
        for ids, sign in ((liked, 1), (disliked, -1)):
            for row in self._loaded.items.rows(ids).tolist():
                self._feedback.judge(row, sign)

    def forget(self) -> None:
        """Undo every `adapt`."""
        self._feedback.clear()

    def update(self, source: str | Path) -> Device:
        """Bring the export up to date; see `shortlist.export.update`.

        Args:
            source: the folder or the address of a newer export.

        Returns:
            A device of the newer export that knows what this one was told by `adapt`; this one goes on as it
            is.

        Raises:
            BundleError: the newer export is damaged, partial or cannot be reached; the older one stays.
        """
        update(self.path, source)
        fresh = Device.load(self.path)
        for row, sign in self._feedback:
            item = self._loaded.items.ids[row - 1]
            fresh.adapt(**{"liked" if sign > 0 else "disliked": [item]})
        return fresh

    def _barred(self, history: Rows, exclude: Iterable[Id], where: Mapping[str, Any] | None) -> Rows:
        """`[n]` the rows that must not be recommended."""
        loaded, barred = self._loaded, [UNKNOWN]
        if loaded.manifest.exclude_history:
            barred.append(history)
        if where:
            barred.append(loaded.items.others(where))
        if exclude is not NOTHING:
            barred.append(loaded.items.rows(exclude))
        if len(self._feedback):
            barred.append(self._feedback.rows)
        return np.concatenate(barred)

    def _run(self, request: Request, barred: Rows) -> Candidates:
        """The final list."""
        loaded = self._loaded
        rankings = [each.ranking(loaded.inputs, request, self._feedback) for each in loaded.retrievers]
        current = retrieve(
            loaded.retrievers, rankings, at_least=request.size, barred=barred, last=self._retrieval_is_all
        )
        if loaded.ranker is not None:
            named = {each.name: some for each, some in zip(loaded.retrievers, rankings, strict=True)}
            current = loaded.ranker.rank(current, loaded.inputs, request, named)
        for stage in loaded.postrank:
            current = stage(current, request)
        return current.head(request.size)

    def _answer(self, candidates: Candidates) -> Recommended:
        items, places = self._loaded.items, (candidates.rows - 1).tolist()
        ids = [items.ids[place] for place in places]
        return Recommended(ids, candidates.scores.tolist(), items.shown(places))


_PAIR = (tuple, list)


def _known_history(history: Iterable[Id | tuple[Id, int]], items: Items) -> tuple[Rows, Rows]:
    """The rows of what the export holds of a history, and their times, 0 where unknown."""
    history = history if isinstance(history, list) else list(history)
    rows = items.rows_of(history)
    if rows is not None:
        return rows, np.zeros(len(rows), np.int64)
    found = []
    for each in history:
        item, time_ = each if isinstance(each, _PAIR) else (each, 0)
        if row := items.row(item):
            found.append((row, time_))
    rows, times = np.array(found, np.int64).reshape(-1, 2).T
    return rows, times


def _positive(k: int) -> int:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigError(f"k must be at least 1, got {k!r}", remedy="ask for at least one item")
    return k
