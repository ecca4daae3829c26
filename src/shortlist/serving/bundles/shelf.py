"""The bundle in use, the one before, and the items that came since."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shortlist.data.sealed_folder import MANIFEST
from shortlist.errors import BundleError, ConfigError
from shortlist.funnel.bundle import load_bundle
from shortlist.funnel.funnel import Funnel
from shortlist.serving.engine.engine import Engine, Timed
from shortlist.serving.engine.items import apply
from shortlist.serving.engine.past import Past
from shortlist.serving.engine.stages import Watch
from shortlist.serving.schemas.api import Bundles, RecommendRequest
from shortlist.serving.stores import Store, StoredItem

NAME_DIGITS = 12  # of a bundle's seal


@dataclass(frozen=True, eq=False)
class Loaded:
    """A bundle as it was read.

    Args:
        name: the first digits of its seal.
        path: its folder.
        funnel: without the store's items.
    """

    name: str
    path: Path
    funnel: Funnel


class Shelf:
    """Which bundle answers. A request sees one engine from beginning to end, and never a mixture of two.

    Args:
        first: the first bundle.
        store: whose items take part.
        root: folder that further bundles may come from.
        watch: told the seconds of each stage.
    """

    def __init__(
        self, first: Loaded, store: Store, *, root: Path, watch: Watch = lambda stage, seconds: None
    ) -> None:
        self.store, self.root, self.watch = store, root.resolve(), watch
        self._changing = threading.Lock()
        self._loaded = first
        self._previous: Loaded | None = None
        self._version = 0
        self.engine = self._ready(self._loaded)

    def use(self, path: str) -> Bundles:
        """Answer from another bundle, once it is verified and warm; the present one is kept.

        Args:
            path: relative to the folder of bundles, or within it.

        Raises:
            ConfigError: it lies elsewhere.
            BundleError: it is missing, damaged or newer.
        """
        loaded = load(self.folder(path))
        with self._changing:
            self._put(loaded)
            return self.bundles

    def folder(self, path: str) -> Path:
        """The folder that a path means.

        Args:
            path: relative to the folder of bundles, or within it.

        Raises:
            ConfigError: it lies elsewhere.
        """
        try:
            folder = (self.root / path).resolve()
        except (OSError, ValueError, RuntimeError) as error:  # too long, a null character, links in a circle
            raise ConfigError(
                f"{path!r:.100} is no path: {error!s:.100}", where="path", remedy="name a folder of bundles"
            ) from error
        if not folder.is_relative_to(self.root):
            raise ConfigError(
                f"{path!r} is not below the server's folder of bundles",
                where="path",
                remedy="put the bundle there, or start the server with another --bundles",
            )
        return folder

    def roll_back(self) -> Bundles:
        """Answer from the bundle before; the present one is then the one before.

        Raises:
            ConfigError: there is none.
        """
        with self._changing:
            if self._previous is None:
                raise ConfigError("there is no bundle to go back to", where="rollback", remedy="give a path")
            self._put(self._previous)
            return self.bundles

    def refresh(self) -> bool:
        """Take up what changed in the store's items since the last time; returns whether anything did."""
        with self._changing:
            changed = self.store.items_since(self._version)
            if changed:
                funnel, removed = apply(self.engine.funnel, _latest(changed), self.engine.removed)
                self.engine = self._engine(funnel, removed, self._loaded.name)
                self._version = changed[-1].version
        return bool(changed)

    @property
    def bundles(self) -> Bundles:
        """Which bundles there are."""
        previous = None if self._previous is None else self._previous.name
        return Bundles(current=self._loaded.name, path=str(self._loaded.path), previous=previous)

    @property
    def previous_path(self) -> str | None:
        """Where the bundle before lies, or None."""
        return None if self._previous is None else str(self._previous.path)

    def _put(self, loaded: Loaded) -> None:
        engine = self._ready(loaded)
        self._previous, self._loaded, self.engine = self._loaded, loaded, engine

    def _ready(self, loaded: Loaded) -> Engine:
        """An engine over a bundle and all of the store's items, warm."""
        changed = self.store.items_since(0)
        self._version = changed[-1].version if changed else 0
        funnel, removed = apply(loaded.funnel, _latest(changed), torch.zeros(0, dtype=torch.int64))
        engine = self._engine(funnel, removed, loaded.name)
        user = funnel.data.user_vocabulary.ids[0] if len(funnel.data.user_vocabulary) > 1 else None
        for request in (RecommendRequest(user=user), RecommendRequest()):
            (answer,) = engine.recommend([Timed(request, deadline=float("inf"))], Past())
            if isinstance(answer, Exception):
                raise BundleError(
                    f"it cannot answer: {answer}", where=str(loaded.path), remedy="train it again"
                ) from answer
        return engine

    def _engine(self, funnel: Funnel, removed: Tensor, name: str) -> Engine:
        return Engine(funnel, name=name, removed=removed, watch=self.watch)


def load(folder: Path) -> Loaded:
    """Read a bundle that is to answer.

    Args:
        folder: of the bundle.

    Raises:
        BundleError: it is missing, damaged or newer.
    """
    funnel = load_bundle(folder)  # which verifies the seal
    seal = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["seal"]
    return Loaded(seal[:NAME_DIGITS], folder, funnel)


def _latest(changed: list[StoredItem]) -> list[StoredItem]:
    """Each item once, as it is now."""
    return list({each.item: each for each in changed}.values())
