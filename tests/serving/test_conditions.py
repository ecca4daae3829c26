"""Conditions that clients may write, and those that would cost the server."""

from __future__ import annotations

import pytest
from serving.serving_cases import Client

from shortlist.errors import ConfigError
from shortlist.serving.engine.conditions import check_condition

HARMLESS = [
    "year >= 1990 AND (price < 20 OR price IS NULL)",
    "\"group\" IN ('red', 'blue') AND NOT (price > 3)",
    "title LIKE '%lpad(%' OR title = 'it''s (so)'",
    "lower(title) = 'x' AND array_contains(colours, 'red')",
]
COSTLY = [
    "LPAD(title, 2000000000) = 'x'",
    'price > 1 AND "lpad" (title, 9) = 1',
    "`rpad`(title, 9) = 'a'",
    """"a'b" IS NULL OR lpad(title, 9) = 'x'""",
    "x(1)",
]
HIDDEN = ["lpad/* */(title, 9) = 'x'", "lpad--\n(title, 9) = 'x'", "$$'$$ = title OR lpad(title, 9) = $$'$$"]


@pytest.mark.parametrize("where", HARMLESS)
def test_comparisons_and_plain_functions_are_allowed(where: str):
    check_condition(where)


@pytest.mark.parametrize("where", COSTLY)
def test_no_other_function_can_be_called(where: str, client: Client):
    with pytest.raises(ConfigError, match="cannot be called"):
        check_condition(where)
    for request in ({"where": where}, {"postrank": [{"kind": "Exclude", "where": where}]}):
        answer = client.post("/v1/recommend", json={"user": "u001", **request})
        assert answer.status_code == 400
        assert "cannot be called" in answer.json()["error"]["what"]


@pytest.mark.parametrize("where", HIDDEN)
def test_nothing_can_be_hidden(where: str):
    with pytest.raises(ConfigError, match=r"cannot stand|cannot be called"):
        check_condition(where)


def test_an_allowed_function_is_evaluated(client: Client):
    where = "array_contains(colours, 'red') AND upper(\"group\") = 'RED'"
    asked = {"user": "u001", "k": 48, "exclude_seen": False, "where": where, "fields": ["group"]}
    answer = client.post("/v1/recommend", json=asked).json()
    assert answer["columns"]["group"] == ["red"] * 12
