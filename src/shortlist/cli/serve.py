"""`shortlist serve` and `shortlist keys`: a bundle behind HTTP, and who may ask it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shortlist.cli.output import Output
from shortlist.errors import ConfigError


def run(output: Output, bundle: Path, **settings: Any) -> None:
    """Serve a bundle until the process is told to stop.

    Args:
        output: where to print.
        bundle: folder of the bundle.
        **settings: of `ServerSettings`; those that are None have their defaults.

    Raises:
        ConfigError: the server's packages are not installed, or the settings do not fit together.
        BundleError: the bundle is missing or damaged.
        StoreError: the store cannot be opened.
    """
    need_packages()
    from shortlist.serving import ServerSettings, serve

    given = {name: value for name, value in settings.items() if value is not None}
    serve(bundle, ServerSettings(**given), started=lambda address: output.say(f"listening on {address}"))


def create_key(output: Output, file: Path, name: str, scopes: Sequence[str]) -> None:
    """Make an API key and print it, the only time that it is seen.

    Args:
        output: where to print.
        file: of the keys.
        name: whose it is.
        scopes: what it may do.

    Raises:
        ConfigError: a scope is unknown, or the file holds something else.
    """
    need_packages()
    from shortlist.serving import KeyFile

    key = KeyFile(file).create(name, scopes)
    output.text(key)
    output.say(f"the key of {name} is not kept: only its hash is, in {file}; a running server reads it anew")
    output.document({"key": key, "name": name, "scopes": list(scopes)})


def list_keys(output: Output, file: Path) -> None:
    """Print whose keys there are.

    Args:
        output: where to print.
        file: of the keys.

    Raises:
        ConfigError: the file holds something else.
    """
    need_packages()
    from shortlist.serving import KeyFile

    keys = list(KeyFile(file).keys.values())
    output.table(["id", "name", "scopes"], [[each.id, each.name, " ".join(each.scopes)] for each in keys])
    found = [{"id": each.id, "name": each.name, "scopes": list(each.scopes)} for each in keys]
    output.document({"keys": found})


def revoke_key(output: Output, file: Path, id_: str) -> None:
    """Remove an API key.

    Args:
        output: where to print.
        file: of the keys.
        id_: as `list_keys` shows it.

    Raises:
        ConfigError: there is no such key.
    """
    need_packages()
    from shortlist.serving import KeyFile

    KeyFile(file).revoke(id_)
    output.say(f"key {id_} is revoked")
    output.document({"revoked": id_})


def need_packages() -> None:
    """Refuse to go on without the packages of the server.

    Raises:
        ConfigError: one is not installed.
    """
    try:
        import msgspec  # noqa: F401
        import prometheus_client  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the server needs {error.name!r}, which is not installed",
            remedy="pip install 'shortlist[serve]'",
        ) from error
