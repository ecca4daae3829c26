"""`shortlist export`: a bundle in the form that a device answers from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from shortlist.cli.evaluate import open_bundle
from shortlist.cli.output import Output
from shortlist.errors import ConfigError, did_you_mean
from shortlist.export import ExportReport, export_bundle
from shortlist.export.manifest import ENCODINGS

TARGETS = ("onnx", "web", "litert")


def run(
    output: Output,
    bundle: Path,
    out: Path,
    *,
    target: str,
    items: int | None,
    encoding: str | None,
    max_bytes: str | None,
    runtime: Path | None,
) -> None:
    """Write an export and say what it holds.

    Args:
        output: where to print.
        bundle: the folder of the funnel.
        out: the folder to write.
        target: what is to run it.
        items: how many items to keep; None keeps all.
        encoding: of the tables, or None.
        max_bytes: what all files may take, or None.
        runtime: of `"web"`, the package that holds ONNX Runtime Web; None fetches it.

    Raises:
        BundleError: the bundle is missing or damaged.
        DataError: ONNX Runtime Web cannot be had.
        ConfigError: an option is wrong, a device cannot run a part of the funnel, or it does not fit.
    """
    if target not in TARGETS:
        raise ConfigError(
            f"the target {target!r} is unknown", where="--target", remedy=did_you_mean(target, TARGETS)
        )
    chosen = next((each for each in ENCODINGS if each == encoding), None)
    if encoding is not None and chosen is None:
        raise ConfigError(
            f"encoding {encoding!r} is unknown", where="--encoding", remedy=did_you_mean(encoding, ENCODINGS)
        )
    if not bundle.is_dir():
        open_bundle(bundle, output)  # says what is missing
    if runtime is not None and target != "web":
        raise ConfigError(f"the target {target!r} takes none", where="--runtime", remedy="add --target web")
    with output.step(f"exporting {bundle}"):
        litert = target == "litert"
        export = partial(
            export_bundle, bundle, items=items, encoding=chosen, max_bytes=max_bytes, litert=litert
        )
        report = _export_app(export, out, runtime) if target == "web" else export(out)
    for kind in report.left_out:
        output.say(f"{kind} is left out: what it would learn on a device never leaves it")
    _show(output, report)
    if target == "web":
        output.say(f"serve it as plain files over HTTPS, or here: python -m http.server --directory {out}")
    output.document(
        {
            "path": str(out),
            "bytes": report.bytes,
            "files": {name: each.bytes for name, each in report.manifest.files.items()},
            "encodings": report.encodings,
            "items": report.manifest.items.count,
            "traffic": report.manifest.items.traffic,
            "reach": report.manifest.items.reach,
            "overlap": report.overlap,
            "recall_cost": report.recall_cost,
            "left_out": list(report.left_out),
            "checks": [_check(each) for each in report.checks],
        }
    )


def _export_app(export: Callable[[Path], ExportReport], out: Path, runtime: Path | None) -> ExportReport:
    from shortlist.export.web.app import refuse_other, write_app

    refuse_other(out)  # before the work
    with TemporaryDirectory() as folder:
        report = export(Path(folder) / "model")
        write_app(report.path, out, runtime=runtime)
    return replace(report, path=out)


def _show(output: Output, report: ExportReport) -> None:
    manifest, encodings = report.manifest, report.encodings
    rows = [[name, encodings.get(name, "–"), f"{each.bytes:,}"] for name, each in manifest.files.items()]
    output.table(["file", "encoding", "bytes"], rows, title=f"{report.path}: {report.bytes:,} bytes")
    checks = [
        [
            each.stage,
            str(each.requests),
            f"{each.overlap:.1%}",
            _share(each.recall_before),
            _share(each.recall),
        ]
        for each in report.checks
    ]
    head = ["stage", "requests", "top 12 as before", "recall@12 before", "recall@12"]
    output.table(head, checks, title="compared with the funnel, on histories of its own data")
    items = manifest.items
    output.text(
        f"{items.count:,} items, which {_share(items.traffic)} of past events were of "
        f"and {_share(items.reach)} of past users had"
    )


def _check(check: Any) -> dict[str, Any]:
    return {
        "stage": check.stage,
        "requests": check.requests,
        "overlap": check.overlap,
        "recall": check.recall,
        "recall_before": check.recall_before,
    }


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"
