"""Checkpoints of a dynamic table that write the rows that changed, and no others."""

from __future__ import annotations

import math
import re
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from shortlist.data.section_files import MISFITS, FileKind, Sections, read_sections, write_sections
from shortlist.errors import BundleError, ConfigError, Error
from shortlist.kernels.dynamic import RowTable
from shortlist.kernels.row_records import RULES, RowRecords, state_width
from shortlist.nn.dynamic.embedding import DynamicEmbedding

KIND = FileKind(
    b"shortlist-table\n", 1, called="a checkpoint of rows", again="go back to an older copy of the folder"
)
_NAME = re.compile(r"(base|delta)-(\d{8,})\.rows")
_UNFINISHED = re.compile(r"\.(base|delta)-\d+\.rows\.[0-9a-f]+\.tmp")
_RECORDS = ("ids", "weights", "state", "counts", "last_seen")

Read = tuple[Path, dict[str, Any], Sections]


class TableCheckpoints:
    """A folder that holds a dynamic table as one whole checkpoint and the changes after it.

    The first `save` writes all rows, the next ones write those that were looked up in training, stepped,
    imported or removed since the one before. When `save` returns, its file is on the disk: a process killed
    at any moment, or a power cut, leaves the table as the last `save` that returned left it, or the one
    under way. Training that runs in another thread waits meanwhile.

    Shared rows and the sightings of ids that wait are written whole each time. With exact sightings of very
    many ids that makes large files; a sketch has a fixed size.

    Args:
        folder: made if it isn't there. One table and one writer a folder.
        max_deltas: changes to keep before all rows are written again and older files removed; 0 always
            writes all.

    Raises:
        ConfigError: the folder cannot be made, or `max_deltas` is negative.
    """

    def __init__(self, folder: Path | str, *, max_deltas: int = 50) -> None:
        if max_deltas < 0:
            raise ConfigError(f"max_deltas is {max_deltas}", remedy="pass 0 or more")
        self.folder, self.max_deltas = Path(folder), max_deltas
        self._known: RowTable | None = None  # the table whose checkpoints these are
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the folder {str(folder)!r} cannot be made: {error.strerror}",
                remedy="give a folder that can be written to",
            ) from error
        for path in self.folder.iterdir():
            if _UNFINISHED.fullmatch(path.name):
                path.unlink()

    def save(self, embedding: DynamicEmbedding) -> Path:
        """Write what changed since the last checkpoint, or everything.

        Everything is written where the folder's last checkpoint is not of this very table: the first time,
        when the table was loaded from elsewhere, when its optimizer's rule is another, and after
        `max_deltas` changes.

        Args:
            embedding: the table.

        Returns:
            The file, which is on the disk.

        Raises:
            ConfigError: the folder holds the checkpoints of another table.
        """
        table = embedding.table
        with table.lock:
            chain = self._chain()
            last = self._header(chain[-1]) if chain else {}
            if last and self._known is not table and last["name"] != table.saved_as:
                raise ConfigError(
                    "the folder holds the checkpoints of another table",
                    where=str(self.folder),
                    remedy="restore() it into this one to go on from it, or name another folder",
                )
            self._known = table
            goes_on = bool(last) and (last["name"], last["rule"]) == (table.saved_as, table.rule)
            is_delta = goes_on and len(chain) <= self.max_deltas
            number = _number(self._files()[-1]) + 1 if self._files() else 0
            header = {"number": number, "follows": last["name"] if is_delta else ""}
            path = self._write(embedding, header, is_delta=is_delta)
        if not is_delta:
            self._remove_all_but(path)
        return path

    def restore(self, embedding: DynamicEmbedding) -> None:
        """Make a table what the last checkpoint says.

        Args:
            embedding: made with the same arguments; what it holds is lost. It stays as it was when this
                fails.

        Raises:
            ConfigError: it was made with other arguments.
            BundleError: there is no checkpoint, or a file is missing, damaged, foreign or newer than this
                version.
        """
        read = [(path, *read_sections(path, kind=KIND, threads=None)) for path in self._chain()]
        if not read:
            raise BundleError(
                "there is no checkpoint", where=str(self.folder), remedy="give a folder that save() wrote to"
            )
        for before, after in zip([None, *read], read, strict=False):
            _check(before, after)
        if (config := read[0][1]["config"]) != _meaning(embedding):
            raise ConfigError(
                f"the checkpoint is of DynamicEmbedding({_arguments(config)})",
                where=str(self.folder),
                remedy="make the table with the same arguments",
            )
        table = embedding.table
        with table.lock:
            table.saved_as = ""
            table.clear()
            initial = read[-1][1]["initial"]
            table.start_state(read[0][1]["rule"], math.nan if initial is None else initial)
            for _, _, sections in read:
                table.remove(sections["removed"])
                table.put(RowRecords(*(sections[name] for name in _RECORDS)))
            table.put_shared(sections["shared_weights"], sections["shared_state"])
            table.set_waiting(*(sections[name] for name in ("waiting_ids", "waiting_counts", "sketch")))
            table.set_clock(read[-1][1]["clock"])
            table.settle(read[-1][1]["name"])
            self._known = table

    def compact(self) -> Path:
        """Merge the whole checkpoint and the changes after it into one, which the next changes can follow.

        Returns:
            The file.

        Raises:
            BundleError: as `restore`.
        """
        chain = self._chain()
        if len(chain) == 1:
            return chain[0]
        if not chain:
            raise BundleError("there is no checkpoint", where=str(self.folder), remedy="save one first")
        last = self._header(chain[-1])
        merged = DynamicEmbedding(**last["config"])
        self.restore(merged)
        path = self._write(
            merged, {"number": last["number"], "follows": ""}, is_delta=False, name=last["name"]
        )
        self._remove_all_but(path)
        return path

    def _write(
        self, embedding: DynamicEmbedding, header: dict[str, Any], *, is_delta: bool, name: str | None = None
    ) -> Path:
        table = embedding.table
        name = name or secrets.token_hex(16)
        header |= {"name": name, "config": _meaning(embedding)}
        header |= {"rule": table.rule, "initial": _finite(table.initial), "clock": table.clock}
        path = self.folder / f"{'delta' if is_delta else 'base'}-{header['number']:08d}.rows"
        write_sections(path, header, _sections(table, is_delta=is_delta), kind=KIND, threads=None)
        table.settle(name)
        return path

    def _files(self) -> list[Path]:
        return sorted((path for path in self.folder.iterdir() if _NAME.fullmatch(path.name)), key=_number)

    def _chain(self) -> list[Path]:
        """The last whole checkpoint and the changes after it, in order."""
        files = self._files()
        bases = [path for path in files if path.name.startswith("base")]
        if not bases:
            if files:
                raise BundleError(
                    f"{files[0].name} has no whole checkpoint before it",
                    where=str(self.folder),
                    remedy="put the missing file back",
                )
            return []
        deltas = [path for path in files if path.name.startswith("delta")]
        return [bases[-1], *(path for path in deltas if _number(path) > _number(bases[-1]))]

    def _header(self, path: Path) -> dict[str, Any]:
        header, _ = read_sections(path, kind=KIND, threads=None, check=False)
        return header

    def _remove_all_but(self, kept: Path) -> None:
        for path in self._files():
            if path != kept:
                path.unlink()


def _number(path: Path) -> int:
    return int(_NAME.findall(path.name)[0][1])


def _sections(table: RowTable, *, is_delta: bool) -> Sections:
    records, shared = table.records(changed=is_delta), table.shared()
    waiting_ids, waiting_counts = table.waiting()
    return {
        **{name: getattr(records, name) for name in _RECORDS},
        "removed": table.removed() if is_delta else np.zeros(0, np.int64),
        "shared_weights": shared.weights,
        "shared_state": shared.state,
        "waiting_ids": waiting_ids,
        "waiting_counts": waiting_counts,
        "sketch": table.sketch(),
    }


def _check(before: Read | None, after: Read) -> None:
    """Refuse a file that does not follow the one before it, or whose arrays make no rows."""
    path, header, sections = after
    try:
        follows = before[1]["name"] if before else ""
        if header["follows"] != follows or (before and header["rule"] != before[1]["rule"]):
            raise KIND.refused(
                path, "it does not follow the file before it: one is missing or from elsewhere"
            )
        dim, shared = header["config"]["dim"], header["config"]["shared_rows"]
        width, rule = state_width(header["rule"], dim), header["rule"]
        n, waiting = len(sections["ids"]), len(sections["waiting_ids"])
        shapes = {
            **{"ids": (n,), "weights": (n, dim), "state": (n, width), "counts": (n,), "last_seen": (n,)},
            **{
                "removed": (len(sections["removed"]),),
                "waiting_ids": (waiting,),
                "waiting_counts": (waiting,),
            },
            **{"shared_weights": (shared, dim), "shared_state": (shared, width)},
        }
        wrong = [name for name, shape in shapes.items() if sections[name].shape != shape]
        if wrong or rule not in RULES or not isinstance(header["name"], str):
            raise KIND.refused(path, f"its parts do not fit together: {wrong or rule}")
        header["clock"] = int(header["clock"])
        header["initial"] = None if header["initial"] is None else float(header["initial"])
    except Error:
        raise
    except MISFITS as error:
        raise KIND.refused(path, f"its parts do not fit together: {error!r}") from error


def _meaning(embedding: DynamicEmbedding) -> dict[str, Any]:
    """The arguments that decide what a table holds, and not where."""
    names = ("dim", "scale", "seed", "admit_after", "shared_rows", "sketch_bytes")
    return {name: value for name, value in embedding.config().items() if name in names}


def _finite(value: float) -> float | None:
    """JSON knows no NaN."""
    return value if math.isfinite(value) else None


def _arguments(config: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in config.items())
