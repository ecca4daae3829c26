"""The command line: `shortlist demo` and `shortlist --version`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, help="A recommender system the whole way.")


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(installed("shortlist"))
        raise typer.Exit


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder that holds MovieLens-100K.")] = None,
    bundle: Annotated[Path, typer.Option(help="Where to write the bundle.")] = Path("bundle"),
    seed: Annotated[int, typer.Option(help="Of the training.")] = 0,
) -> None:
    """Train, evaluate and explain a whole funnel on MovieLens-100K."""
    from shortlist.cli.demo import run

    run(data, bundle, seed)


def main() -> None:
    """Run the command line; a mistake of the user's is one line and exit code 1."""
    from shortlist.errors import Error

    try:
        app()
    except Error as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
