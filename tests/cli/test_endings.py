"""How commands end: exit codes, one line for a mistake, a traceback only when asked for."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer
from cli.cli_cases import shortlist

import shortlist as package
from shortlist.cli.failures import reporting
from shortlist.errors import DataError

SOURCE = Path(package.__file__).parent.parent
COMMAND = [sys.executable, "-c", "from shortlist.cli import main; main()"]
# What `shortlist --help` loads; the work of each command is loaded when it runs.
LIGHT = ("__init__", "commands", "failures", "options", "output", "serving_commands")


def process(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        capture_output=True,
        check=False,
        timeout=60,
        **options,
    )


def ending(error, capsys, **options):
    with pytest.raises(typer.Exit) as caught, reporting(**options):
        raise error
    return caught.value.exit_code, *capsys.readouterr()


def test_an_error_of_ours_is_one_line(capsys):
    error = DataError("a cell is\nwrong", where="t.csv", remedy="mend it")
    assert ending(error, capsys) == (1, "", "error: a cell is wrong (t.csv); mend it\n")


def test_an_unexpected_error_is_one_line_too(capsys):
    code, out, err = ending(RuntimeError("odd"), capsys)
    assert (code, out) == (1, "")
    assert err == "error: internal error: RuntimeError: odd; run again with --debug\n"


def test_debug_shows_the_traceback(capsys):
    code, _, err = ending(RuntimeError("odd"), capsys, debug=True)
    assert code == 1
    assert "Traceback (most recent call last)" in err


def test_json_gets_the_error_as_a_document(capsys):
    _, out, _ = ending(DataError("wrong", where="t.csv", remedy="mend it"), capsys, json=True)
    assert json.loads(out)["error"] == {
        "kind": "DataError",
        "message": "wrong (t.csv); mend it",
        "what": "wrong",
        "where": "t.csv",
        "remedy": "mend it",
    }


def test_an_interrupt_is_one_line_and_130(capsys):
    assert ending(KeyboardInterrupt(), capsys) == (130, "", "interrupted; nothing was written\n")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"), "use less data"),
        (PermissionError(13, "Permission denied", "there.toml"), "there.toml: Permission denied"),
    ],
)
def test_what_the_machine_refuses_is_said_plainly(capsys, error, said):
    code, _, err = ending(error, capsys)
    assert code == 1
    assert said in err
    assert "internal" not in err


def test_warnings_are_lines(capsys):
    with reporting() as output:
        warnings.warn("look out", UserWarning, stacklevel=1)
    assert output.warnings == ["look out"]
    assert capsys.readouterr().err == "warning: look out\n"


def test_wrong_usage_is_2():
    for arguments in (
        ["nothing"],
        ["recommend"],
        ["train", "--nothing"],
        ["recommend", "x", "-k", "0"],
        ["init"],
    ):
        assert shortlist(*arguments).code == 2, arguments


def test_every_command_has_help():
    for command in ("demo", "init", "train", "evaluate", "recommend"):
        answer = shortlist(command, "--help")
        assert answer.code == 0
        assert "--debug" in answer.out


def test_the_version_is_the_packages():
    assert shortlist("--version").out == f"{package.__version__}\n"


def test_a_process_keeps_the_document_and_the_messages_apart(trained):
    good = process("recommend", "u01", "nobody", "-k", 2, "--json", cwd=trained)
    assert good.returncode == 0
    assert len(json.loads(good.stdout)["recommendations"]) == 2
    assert b"not among" in good.stderr


def test_a_reader_that_goes_away_is_no_traceback(trained):
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*COMMAND, "recommend", "u01", "--json"],
        env=environment, stdout=writer, stderr=subprocess.PIPE, cwd=trained, check=False, timeout=60,
    )  # fmt: skip
    os.close(writer)
    assert done.stderr == b""
    assert done.returncode == 1


@pytest.mark.parametrize("name", LIGHT)
def test_the_command_line_loads_no_command_before_it_runs(name):
    tree = ast.parse((SOURCE / "shortlist" / "cli" / f"{name}.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    named = {f"{node.module}.{each.name}" for node in imports for each in node.names}
    light = (*(f"shortlist.cli.{each}" for each in LIGHT), "shortlist.errors")
    assert [each for each in named if each.startswith("shortlist") and not each.startswith(light)] == []
