"""The commands of the server and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from shortlist.cli.failures import reporting
from shortlist.cli.options import Debug, Json, Store

DEFAULT_STORE = "sqlite:///store.db"
keys_app = typer.Typer(no_args_is_help=True, help="API keys of the server.")


def serve(
    bundle: Annotated[Path, typer.Argument(help="The bundle that `shortlist train` wrote.")] = Path("bundle"),
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine needs --keys.")] = (
        "127.0.0.1"
    ),
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    store: Store = DEFAULT_STORE,
    keys: Annotated[Path | None, typer.Option(help="API keys, which `shortlist keys create` writes.")] = None,
    bundles: Annotated[
        Path | None, typer.Option(help="Folder that other bundles may come from; else that of the bundle.")
    ] = None,
    audit: Annotated[Path | None, typer.Option(help="File that changes by administrators go to.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Requests a second of one client.")] = None,
    budget: Annotated[float, typer.Option(min=0.001, help="Seconds that an answer may take.")] = 0.2,
    longest_wait: Annotated[
        float, typer.Option(min=0.0001, help="Seconds that a request may have to wait for others.")
    ] = 0.05,
    workers: Annotated[int, typer.Option(min=1, max=1000, help="Processes that answer.")] = 1,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate in PEM: the server speaks TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="The certificate's private key in PEM.")] = None,
    log: Annotated[
        Path | None, typer.Option(help="File for a line of JSON an answer and a message; - is stderr.")
    ] = None,
    trace: Annotated[
        bool, typer.Option("--trace", help="Send spans to OpenTelemetry, as OTEL_… variables say.")
    ] = False,
    model_name: Annotated[
        str, typer.Option(help="What clients of TensorFlow Serving and KServe call the funnel.")
    ] = "default",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer requests over HTTP, and keep events as they happen."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import run

        given: dict[str, Any] = {
            "store": store,
            "keys": keys,
            "bundles": bundles,
            "audit": audit,
            "rate": rate,
        }
        given |= {
            "budget": budget,
            "longest_wait": longest_wait,
            "workers": workers,
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "log": log,
        }
        run(output, bundle, host=host, port=port, trace=trace, model_name=model_name, **given)


def exposures(
    file: Annotated[Path, typer.Argument(help="File to write: .parquet, .arrow or .jsonl.")],
    store: Store = DEFAULT_STORE,
    experiment: Annotated[str | None, typer.Option(help="Name of one experiment; else all.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write what users were shown in experiments into a file."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import need_packages

        need_packages()
        from shortlist.cli.exposures import run

        run(output, file, store=store, experiment=experiment)


def loadtest(
    url: Annotated[str, typer.Argument(help="Address of the server.")] = "http://127.0.0.1:8000",
    trace: Annotated[
        Path | None, typer.Option(help="Requests and their moments, as Parquet or JSON lines.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="How many times faster a trace is sent.")] = 1.0,
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Drawn requests a second; else as many as are answered.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long requests are drawn.")] = 10.0,
    connections: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 32,
    users: Annotated[int, typer.Option(min=1, help="Users that are drawn: 0, 1, 2, …")] = 1000,
    key: Annotated[str, typer.Option(envvar="SHORTLIST_KEY", help="API key.")] = "",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask a server as a trace says, or at random, and print how fast it answers."""
    with reporting(json=json, debug=debug) as output:
        from shortlist.cli.serve import need_packages

        need_packages()
        from shortlist.cli.loadtest import run

        given: dict[str, Any] = {"trace": trace, "speed": speed, "rate": rate, "seconds": seconds}
        run(output, url, connections=connections, users=users, key=key, **given)


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
