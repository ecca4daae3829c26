"""The names of `shortlist` bring their packages when they are asked for, and not before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import shortlist

HEAVY = ("torch", "polars", "pyarrow", "numpy", "scipy")


def loaded_after(code: str) -> set[str]:
    """Which heavy packages a new process has loaded."""
    code += f"\nimport sys; print(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_library_imports_nothing_heavy() -> None:
    assert loaded_after("import shortlist; shortlist.__version__; shortlist.Error; dir(shortlist)") == set()


def test_asking_for_a_name_imports_what_it_needs() -> None:
    assert "torch" in loaded_after("import shortlist as sl; sl.Tower")


def test_every_name_is_there_and_listed() -> None:
    assert set(shortlist.__all__) <= set(dir(shortlist))
    for name in shortlist.__all__:
        assert getattr(shortlist, name) is not None


def test_a_name_is_the_same_object_as_that_of_its_package() -> None:
    from shortlist.data import Dataset
    from shortlist.funnel import retrieve
    from shortlist.nn import Tower

    assert (shortlist.Dataset, shortlist.retrieve, shortlist.Tower) == (Dataset, retrieve, Tower)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'shortlist' has no attribute 'Towers'"):
        shortlist.Towers  # noqa: B018
    with pytest.raises(ImportError, match="Towers"):
        exec("from shortlist import Towers")
