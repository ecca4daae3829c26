"""The reference covers the whole interface, and every name of it is shown in use."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import FunctionType

import pytest
from docs.public_names import public_names, public_packages

import shortlist

REPOSITORY = Path(__file__).resolve().parent.parent.parent
REFERENCE = sorted((REPOSITORY / "docs" / "reference").glob("*.md"))
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.py"))
COVERED = {
    name for page in REFERENCE for name in re.findall(r"^::: ([\w.]+)", page.read_text(), re.MULTILINE)
}


def names_used(file: Path) -> set[str]:
    """The identifiers and attributes of a script, without its comments and texts."""
    tree = ast.parse(file.read_text())
    return (
        {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        | {each.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for each in node.names}
    )


USED = set().union(*map(names_used, EXAMPLES))


@pytest.mark.parametrize(("package", "name"), public_names(), ids=lambda value: value)
def test_a_public_name_stands_in_the_reference(package: str, name: str) -> None:
    value = getattr(public_packages()[package], name)
    if isinstance(value, type | FunctionType):
        assert value.__doc__, f"shortlist.{package}.{name} has no docstring, so the reference leaves it out"
    full_name = f"shortlist.{package}.{name}"
    if getattr(value, "__module__", "") == full_name:
        # A function that is called like its module: the package's page shows neither of them by itself.
        assert f"{full_name}.{name}" in COVERED
    assert {f"shortlist.{package}", full_name} & COVERED


@pytest.mark.parametrize(("package", "name"), public_names(), ids=lambda value: value)
def test_a_public_name_stands_in_an_example(package: str, name: str) -> None:
    assert name in USED, f"no script of examples/ uses {name}"


@pytest.mark.parametrize("name", shortlist.__all__)
def test_a_name_of_sl_stands_on_its_page_and_in_an_example(name: str) -> None:
    page = (REPOSITORY / "docs" / "reference" / "shortlist.md").read_text()
    assert f"sl.{name}]" in page or f"`sl.{name}`" in page
    assert name in USED


def test_every_page_is_in_the_navigation() -> None:
    navigation = (REPOSITORY / "mkdocs.yml").read_text()
    pages = [path.relative_to(REPOSITORY / "docs") for path in (REPOSITORY / "docs").rglob("*.md")]
    assert [str(page) for page in pages if f" {page}\n" not in navigation] == []
