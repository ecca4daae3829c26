"""Where a newer export is fetched from: a folder, or an address."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from shortlist.errors import BundleError, ConfigError

SECONDS = 30.0  # without a byte
REACH = "check the address and the network, and try again; the export that is there stays in use"


def fetcher(source: str | Path) -> Callable[[str, int], bytes]:
    """A function that reads a file of an export.

    Args:
        source: a folder, or an http or https address.

    Returns:
        From a path below the source and the greatest size expected to the file's bytes; of a file that is
        larger, one byte more than expected.

    Raises:
        ConfigError: the address is of another kind.
    """
    scheme = urlsplit(source).scheme.lower() if isinstance(source, str) and "://" in source else ""
    if scheme in ("http", "https"):
        return partial(_download, _opener(), str(source).rstrip("/"))
    if scheme:
        raise ConfigError(
            f"the address {str(source)!r} is of the kind {scheme!r}",
            where="update",
            remedy="give http:// or https://, or a folder",
        )
    return partial(_read, Path(source))


def _read(folder: Path, path: str, size: int) -> bytes:
    try:
        with (folder / path).open("rb") as stream:
            return stream.read(size + 1)
    except OSError as error:
        raise BundleError(
            f"the file cannot be read: {error.strerror}", where=str(folder / path), remedy=REACH
        ) from error


def _download(opener: urllib.request.OpenerDirector, base: str, path: str, size: int) -> bytes:
    address = f"{base}/{path}"
    try:
        with opener.open(address, timeout=SECONDS) as answer:
            content: bytes = answer.read(size + 1)
            return content
    except urllib.error.HTTPError as error:
        problem = f"the server answers {error.code} {error.reason}"
        raise BundleError(problem, where=address, remedy=REACH) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise BundleError(f"the file cannot be fetched: {error}", where=address, remedy=REACH) from error


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https alone: a redirection must not lead to a file of the device."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener
