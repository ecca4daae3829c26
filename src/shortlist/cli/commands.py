"""The commands and their options; the work of each is in the module of its name, loaded when it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from shortlist.cli import serving_commands
from shortlist.cli.failures import reporting
from shortlist.cli.options import Config, Debug, Json

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="A recommender system the whole way: shortlist init, train, evaluate, recommend, serve, export.",
)


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
def export(
    bundle: Annotated[Path, typer.Argument(help="The bundle that `shortlist train` wrote.")],
    out: Annotated[Path, typer.Argument(help="The folder to write.")],
    target: Annotated[
        str, typer.Option(help="What is to run it: onnx, web for a page, or litert beside onnx.")
    ] = "onnx",
    items: Annotated[
        int | None, typer.Option(min=1, help="How many items to keep, the most useful ones; else all.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of the tables: float32, float16, int8 or int4.")
    ] = None,
    max_bytes: Annotated[
        str | None, typer.Option(help="What all files may take, such as 2MB: the most precise that fits.")
    ] = None,
    runtime: Annotated[
        Path | None, typer.Option(help="Of web: the npm package onnxruntime-web, if it cannot be fetched.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write a bundle in the form that a device answers from, without a server."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.export import run

        numbers = {"encoding": encoding, "max_bytes": max_bytes}
        run(output, bundle, out, target=target, items=items, runtime=runtime, **numbers)


app.command()(serving_commands.serve)
app.command()(serving_commands.exposures)
app.command()(serving_commands.loadtest)
app.add_typer(serving_commands.keys_app, name="keys")
