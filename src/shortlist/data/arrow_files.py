"""Arrow files that may come from strangers, read without trusting what they say of themselves."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from shortlist.errors import BundleError


def read_arrow(source: Path | bytes, *, where: str = "") -> pl.DataFrame:
    """Read an Arrow file as a table.

    PyArrow reads and validates it, since Polars takes lengths and offsets on trust: a forged one ends the
    whole process there.

    Args:
        source: a file, which is mapped rather than copied, or its content.
        where: what to call it in errors; the file's path by default.

    Returns:
        The table.

    Raises:
        BundleError: it is not a whole Arrow file.
    """
    import pyarrow as pa  # only who loads a file waits for it

    try:
        opened = pa.memory_map(str(source)) if isinstance(source, Path) else pa.py_buffer(source)
        table = pa.ipc.open_file(opened).read_all()
        table.validate(full=True)
        frame = pl.from_arrow(table)
        if isinstance(frame, pl.DataFrame):
            return frame
        reason = "it holds no table"
    except (pa.ArrowException, OSError, ValueError, pl.exceptions.PolarsError) as error:
        reason = str(error)
    place = where or (str(source) if isinstance(source, Path) else "")
    raise BundleError(f"not an Arrow file: {reason}", where=place, remedy="restore the file or save it again")
