"""A server that speaks TLS, and the command that measures what a server bears."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from cli.cli_cases import shortlist
from serving.test_serve_command import serving

from shortlist.cli.loadtest import requests_of
from shortlist.errors import ConfigError, DataError
from shortlist.serving import ServerSettings
from shortlist.serving.loadtest import Load, Sent, Target, arrivals, replay, some_user
from shortlist.serving.security.tls import tls_context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of this machine and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl: apt-get install openssl")
    folder = tmp_path_factory.mktemp("tls")
    files = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    subprocess.run([*command.split(), "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
    return files


@pytest.fixture(scope="module")
def secure(
    shop: Path, certificate: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of a server that speaks TLS."""
    folder = tmp_path_factory.mktemp("secure")
    options = [
        "--store",
        f"sqlite:///{folder / 'store.db'}",
        "--tls-cert",
        certificate[0],
        "--tls-key",
        certificate[1],
    ]
    with serving(shop / "first", *map(str, options)) as (address, process):
        yield address
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def test_a_server_with_a_certificate_is_measured_over_tls(
    secure: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    assert secure.startswith("https://")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    found = shortlist("loadtest", secure, "--seconds", "0.5", "--connections", "4", "--json").document
    assert set(found["statuses"]) == {"200"}
    assert found["failures"] == {}
    assert found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]
    monkeypatch.delenv("SSL_CERT_FILE")
    refused = shortlist("loadtest", secure, "--rate", "20", "--seconds", "0.3", "--json").document
    assert refused["statuses"] == {}
    assert set(refused["failures"]) == {"SSLCertVerificationError"}


def test_a_trace_is_replayed_at_its_moments(
    secure: str, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    rows = [
        {"time": 100.0, "body": {"user": "u001"}},
        {"time": 100.2, "body": {"k": 0}},
        {"time": 102.0, "path": "/healthz", "method": "GET", "body": {}},
    ]
    file = tmp_path / "trace.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = shortlist("loadtest", secure, "--trace", file, "--speed", "4", "--json").document
    assert found["statuses"] == {"200": 2, "400": 1}
    assert 0.5 <= found["seconds"] < 3


def test_files_that_do_not_fit_together_are_refused(certificate: tuple[Path, Path], tmp_path: Path):
    assert tls_context(*certificate).minimum_version.name == "TLSv1_2"
    for files in (certificate[::-1], (certificate[0], tmp_path / "nowhere"), (certificate[0], None)):
        with pytest.raises(ConfigError, match="PEM that belong together"):
            tls_context(*files)
    with pytest.raises(ConfigError, match="without tls_cert"):
        ServerSettings(tls_key=certificate[1])


@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_a_trace_has_moments_and_contents(tmp_path: Path, ending: str):
    table = pl.DataFrame(
        {
            "time": ["2026-01-01T00:00:03", "2026-01-01T00:00:01"],
            "user": ["ann", None],
            "history": [["i1"], ["i2"]],
        }
    )
    if ending == "parquet":
        table = table.with_columns(pl.col("time").str.to_datetime())
    file = tmp_path / f"trace.{ending}"
    table.write_parquet(file) if ending == "parquet" else table.write_ndjson(file)
    found = list(requests_of(file, speed=2.0))
    assert found == [Sent(0.0, b'{"history": ["i2"]}'), Sent(1.0, b'{"user": "ann", "history": ["i1"]}')]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "'.csv' is unknown"),
        ("t.jsonl", '{"user": 1}\n', "a column 'time'"),
        ("t.jsonl", '{"time": [1]}\n', "seconds, or moments"),
        ("t.jsonl", '{"time": "soon"}\n', "seconds, or moments"),
        ("t.parquet", "no parquet", "cannot be read"),
        ("nowhere/t.jsonl", None, "cannot be read"),
    ],
)
def test_a_trace_that_is_none_is_refused(tmp_path: Path, name: str, text: str | None, message: str):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        requests_of(tmp_path / name)


@pytest.mark.parametrize("url", ["", "localhost:8000", "ftp://x", "http://", "http://host:port"])
def test_an_address_of_no_server_is_refused(url: str):
    with pytest.raises(ConfigError, match=r"such as http://127\.0\.0\.1:8000"):
        Target.parse(url)


def test_a_server_that_is_not_there_is_a_failure_and_no_answer():
    load = asyncio.run(replay(Target("127.0.0.1", 9), [Sent(0.0, b""), Sent(0.01, b"")], connections=1))
    assert load.summary["failures"] == {"ConnectionRefusedError": 2}
    assert load.summary["requests"] == 2


def test_arrivals_have_their_rate_and_come_in_order():
    due = [each.due for each in arrivals(100, 10, some_user(5), seed=1)]
    assert due == sorted(due)
    assert 900 < len(due) < 1100
    assert max(due) < 10


def test_quantiles_are_those_of_the_answers():
    load = Load(seconds=2.0, times=[number / 1000 for number in range(1, 101)])
    assert load.summary["rps"] == 50
    assert [round(load.quantile(share)) for share in (0, 0.5, 0.99, 1)] == [1, 51, 100, 100]
