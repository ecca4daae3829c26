"""The commands and their options; the work of each is in the module of its name, loaded when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli.failures import reporting

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A recommender system the whole way: shortlist init, train, evaluate, recommend, serve.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys of the server.")
app.add_typer(keys_app, name="keys")

Config = Annotated[Path, typer.Option("--config", help="The configuration, which `shortlist init` writes.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from shortlist import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder that holds MovieLens-100K.")] = None,
    bundle: Annotated[Path, typer.Option(help="Where to write the bundle.")] = Path("bundle"),
    seed: Annotated[int, typer.Option(min=0, max=(1 << 31) - 1, help="Of the training.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train, evaluate and explain a whole funnel on MovieLens-100K."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.demo import run

        run(output, data, bundle, seed=seed)


@app.command()
def init(
    events: Annotated[
        list[str],
        typer.Argument(
            metavar="EVENTS", help="The interactions: CSV, Parquet or JSON lines; files or patterns."
        ),
    ],
    users: Annotated[list[str] | None, typer.Option(help="A table of users, one row each.")] = None,
    items: Annotated[list[str] | None, typer.Option(help="A table of items, one row each.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Column of user ids, where no name tells.")] = None,
    item_id: Annotated[str | None, typer.Option(help="Column of item ids, where no name tells.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("shortlist.toml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at the tables and write a commented shortlist.toml."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.init import run

        run(output, events, users=users, items=items, user_id=user_id, item_id=item_id, out=out, force=force)


@app.command()
def train(
    config: Config = Path("shortlist.toml"),
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse tables with bad rows instead of dropping these.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Train the funnel of a configuration, measure it on held-out events and write its bundle."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.train import run

        run(output, config, strict=strict)


@app.command()
def evaluate(
    config: Config = Path("shortlist.toml"),
    bundle: Annotated[
        Path | None, typer.Option(help="The bundle; by default that of the configuration.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure a trained funnel on held-out events, beside baselines and stage by stage."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.evaluate import run

        run(output, config, bundle)


@app.command()
def recommend(
    users: Annotated[list[str], typer.Argument(metavar="USER", help="User ids as in the tables.")],
    bundle: Annotated[Path, typer.Option(help="The bundle that `shortlist train` wrote.")] = Path("bundle"),
    size: Annotated[
        int | None, typer.Option("-k", min=1, max=1_000_000, help="How many items; else as configured.")
    ] = None,
    where: Annotated[
        str | None, typer.Option(help="A condition on item columns, such as 'year > 1990'.")
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Show the list after every stage.")] = False,
    include_seen: Annotated[
        bool, typer.Option("--include-seen", help="Items that the user had before may come again.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Recommend items to users."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.recommend import run

        run(output, users, bundle, size=size, where=where, explain=explain, include_seen=include_seen)


@app.command()
def serve(
    bundle: Annotated[Path, typer.Argument(help="The bundle that `shortlist train` wrote.")] = Path("bundle"),
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine needs --keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    store: Annotated[
        str, typer.Option(help="Where events are kept: sqlite:///FILE, postgresql://… or redis://….")
    ] = "sqlite:///store.db",
    keys: Annotated[Path | None, typer.Option(help="API keys, which `shortlist keys create` writes.")] = None,
    bundles: Annotated[
        Path | None, typer.Option(help="Folder that other bundles may come from; else that of the bundle.")
    ] = None,
    audit: Annotated[Path | None, typer.Option(help="File that changes by administrators go to.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Requests a second of one client.")] = None,
    budget: Annotated[float, typer.Option(min=0.001, help="Seconds that an answer may take.")] = 0.2,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer requests over HTTP, and keep events as they happen."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import run

        given = {"store": store, "keys": keys, "bundles": bundles, "audit": audit, "rate": rate}
        run(output, bundle, host=host, port=port, budget=budget, **given)


KeyFile = Annotated[Path, typer.Option("--file", help="The file of the keys.")]


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Whose key it is.")],
    scope: Annotated[
        list[str], typer.Option(help="What it may do: recommend, events, items, users, bundles, metrics.")
    ],
    file: KeyFile = Path("keys.json"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a key and print it once."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import create_key as run

        run(output, file, name, scope)


@keys_app.command("list")
def list_keys(file: KeyFile = Path("keys.json"), json: Json = False, debug: Debug = False) -> None:
    """Show whose keys there are."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import list_keys as run

        run(output, file)


@keys_app.command("revoke")
def revoke_key(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `shortlist keys list` shows it.")],
    file: KeyFile = Path("keys.json"),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove a key."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import revoke_key as run

        run(output, file, id_)
