from __future__ import annotations

import json
from dataclasses import dataclass

import polars as pl
import pytest
from postrank_cases import POST_RANKERS

from shortlist.errors import ConfigError
from shortlist.postrank import Boost, Cap, Exclude, from_dict, to_dict


@pytest.mark.parametrize("post_ranker", POST_RANKERS, ids=str)
def test_a_post_ranker_comes_back_from_json_equal(post_ranker):
    assert from_dict(json.loads(json.dumps(to_dict(post_ranker)))) == post_ranker


def test_defaults_may_be_left_out():
    assert from_dict({"kind": "Cap", "column": "genres", "at_most": 3}) == Cap("genres", 3)


def test_what_is_saved_holds_no_null():
    assert to_dict(Boost("year > 3")) == {"kind": "Boost", "where": "year > 3", "by": 0.2, "how": "multiply"}


@pytest.mark.parametrize("kind", [Exclude, Boost])
def test_a_polars_expression_must_be_written_as_text_to_be_saved(kind):
    with pytest.raises(ConfigError, match=r"Polars expression.*where=\"year >= 1990"):
        to_dict(kind(where=pl.col("year") > 1990))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "Caps"}, "kind is 'Caps'.*did you mean 'Cap'"),
        ({}, "kind is None"),
        ({"kind": ["Cap"]}, "kind is"),
        ({"kind": "Cap", "column": "genres"}, "Cap cannot be built.*at_most"),
        ({"kind": "Cap", "colum": "genres", "at_most": 1}, "no setting 'colum'.*did you mean 'column'"),
        ({"kind": "Cap", "column": "genres", "at_most": "3"}, "at_most is '3'"),
        ({"kind": "Exclude", "seen": "yes"}, "seen is 'yes'"),
        ({"kind": "Exclude", "items": None}, "items is 'None'"),
    ],
)
def test_a_wrong_table_of_settings_is_refused_with_the_nearest_name(settings, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(settings)


def test_a_post_ranker_of_ones_own_cannot_be_saved():
    @dataclass(frozen=True)
    class Mine:
        def rerank(self, candidates, **_):
            return candidates

    with pytest.raises(ConfigError, match="class 'Mine' cannot be saved"):
        to_dict(Mine())
