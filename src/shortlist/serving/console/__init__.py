"""The console: a page that shows how lists come about. Plain files, which a browser runs as they are."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from shortlist.serving.operations import Text

PAGE = "index.html"
# What the page may do: run and show its own files, and ask the server that it came from. Nothing inline.
POLICY = (
    "script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@cache
def assets() -> dict[str, Text]:
    """The files of the console by name."""
    found = {}
    for file in files(__package__).iterdir():
        kind = MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if kind is not None:
            found[file.name] = Text(file.read_bytes(), kind, policy=POLICY if file.name == PAGE else "")
    return found
