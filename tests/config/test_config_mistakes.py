"""Mistakes in shortlist.toml: each is one error that names the place and the nearest right name."""

from __future__ import annotations

import pytest
from config.config_cases import DATA, config_of, write_tables

from shortlist.config import load_config
from shortlist.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[retreiver]\n", r"unknown key 'retreiver'.*did you mean 'retriever'"),
        ("[retriever]\ndims = 8\n", r"unknown key 'dims' .*\[retriever\].*did you mean 'dim'"),
        ("[training]\nepoch = 8\n", r"\[training\].*did you mean 'epochs'"),
        ("[split]\nby = 'tine'\n", r"by is 'tine'.*\[split\].*did you mean 'time'"),
        ("[split]\ntest = 1.0\n", r"test is 1.0.*less than 1 .*\[split\]"),
        ("[training]\nepochs = 0\n", r"epochs is 0.*\[training\]"),
        ("[training]\nepochs = '3'\n", r"epochs is '3'.*\[training\]"),
        ("[training]\nlearning_rate = -1.0\n", r"learning_rate is -1.0"),
        ("[retriever]\ndropout = 1.5\n", r"dropout is 1.5"),
        ("[retriever]\nhidden = [0]\n", r"is 0.*hidden"),
        (
            "[retriever]\nquery = [{ kind = 'Idd' }]\n",
            r"kind 'Idd' is unknown.*retriever.query.* no. 1.*'Id'",
        ),
        ("[retriever]\nquery = [{ column = 'x' }]\n", r"'kind' is missing"),
        ("[retriever]\nquery = [{ kind = 'Id' }]\n", r"'column' is missing"),
        ("[retriever]\ncandidate = [{ kind = 'Tags', column = 'genres', seperator = '|' }]\n", "'separator'"),
        (
            "[retriever]\nquery = [{ kind = 'History', column = 'item_id', dropout = 1.0 }]\n",
            "dropout must be",
        ),
        ("[[funnel.retrieve]]\nkind = 'Eese'\n", r"kind 'Eese' is unknown.*did you mean 'EASE'"),
        ("[[funnel.retrieve]]\nkind = 'EASE'\nl2 = -1.0\n", r"l2 must be a positive.*EASE"),
        ("[[funnel.retrieve]]\nkind = 'EASE'\nk = 0\n", r"k is 0.*funnel.retrieve.*EASE"),
        ("[[funnel.retrieve]]\nkind = 'TwoTower'\nrecall = 1.5\n", r"recall is 1.5.*TwoTower"),
        ("[[funnel.retrieve]]\nkind = 'Sequential'\nepochs = 0\n", r"epochs.*Sequential"),
        ("[[funnel.retrieve]]\nkind = 'Sequential'\nblock = 'lstm'\n", r"block.*Sequential"),
        ("[[funnel.retrieve]]\nkind = 'Sequential'\nlenght = 9\n", r"lenght.*did you mean 'length'"),
        (
            "[[funnel.retrieve]]\nkind = 'TwoTower'\ndim = 8\n",
            r"unknown key 'dim'.*the rest is in \[retriever\]",
        ),
        (
            "[[funnel.retrieve]]\nkind = 'EASE'\n[[funnel.retrieve]]\nkind = 'EASE'\n",
            "two retrievers are named",
        ),
        ("[funnel]\nretrieve = []\n", r"'retrieve' is empty"),
        ("[[postrank]]\nkind = 'Cop'\n", r"postrank.* no. 1.*did you mean 'Cap'"),
        ("[[postrank]]\nkind = 'Cap'\ncolumn = 'genres'\n", r"'at_most' is missing"),
        ("[[postrank]]\nkind = 'Freshness'\nhalf_life = 'soon'\n", r"soon.*postrank"),
        ("[bundle]\npath = ''\n", r"path is ''.*\[bundle\]"),
        ("[ranker]\ncross_layers = -1\n", r"cross_layers is -1"),
        (
            "[[postrank]]\nkind = 'Cap'\ncolumn = 'genres'\nat_most = 99999999999999999999\n",
            r"at_most is 9+ .*postrank.* no. 1.*64 bits",
        ),
        ("dim = 3 = 4\n", "not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, text, said):
    with pytest.raises(ConfigError, match=said):
        config_of(tmp_path, text)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("", r"table \[data\] is missing"),
        ("[data]\n", r"'interactions' is missing .*\[data\]"),
        ("[data]\ninteractions = []\n", "interactions is"),
        ("[data]\ninteractions = 'e.csv'\nuser = 'u'\n", r"unknown key 'user'.*did you mean"),
        (
            "[data]\ninteractions = 'e.csv'\nuser_id = 'x'\nitem_id = 'x'\n",
            r"'x' is named for two purposes.*\[data\]",
        ),
        ("[data]\ninteractions = 'e.csv'\n[data.events.view]\n", r"no column of them.*\[data\]"),
        (
            "[data]\ninteractions = 'e.csv'\nevent = 'e'\n[data.events.view]\nwieght = 1.0\n",
            r"\[data.events.view\].*'weight'",
        ),
        (
            "[data]\ninteractions = 'e.csv'\nevent = 'e'\n[data.events.view]\nweight = -1.0\n",
            r"weight is -1.0",
        ),
    ],
)
def test_a_mistake_in_the_data_table_is_named(tmp_path, data, said):
    with pytest.raises(ConfigError, match=said):
        config_of(tmp_path, "", data=data)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[retriever]\nquery = [{ kind = 'Number', column = 'aeg' }]\n",
            r"column 'aeg' is missing from the users.*'age'",
        ),
        ("[retriever]\ncandidate = [{ kind = 'Text', column = 'titel' }]\n", r"from the items.*'title'"),
        ("[retriever]\ncandidate = [{ kind = 'History', column = 'item_id' }]\n", "cannot describe an item"),
        (
            "[retriever]\nquery = [{ kind = 'Id', column = 'item_id' }]\n",
            r"Id\('item_id'\) cannot describe a user",
        ),
        ("[ranker]\ncandidate = [{ kind = 'Tags', column = 'genre' }]\n", r"ranker.candidate.*'genres'"),
        ("[[postrank]]\nkind = 'Cap'\ncolumn = 'genre'\nat_most = 1\n", r"postrank.* no. 1.*'genres'"),
        ("[[postrank]]\nkind = 'Boost'\nwhere = 'yeer > 1'\n", r"(?s)yeer.*postrank.* no. 1"),
    ],
)
def test_a_missing_column_is_named_with_its_table(tmp_path, text, said):
    write_tables(tmp_path)
    config = config_of(tmp_path, text)
    with pytest.raises(ConfigError, match=said):
        config.dataset()


def test_a_missing_column_of_the_schema_is_named_with_its_key(tmp_path):
    write_tables(tmp_path)
    config = config_of(tmp_path, "", data=DATA.replace('"timestamp"', '"tiemstamp"'))
    with pytest.raises(
        ConfigError, match=r"'tiemstamp' is missing .*timestamp = 'tiemstamp' in \[data\].*did you mean"
    ):
        config.dataset()


def test_a_table_that_is_not_there_is_named(tmp_path):
    config = config_of(tmp_path, "", data="[data]\ninteractions = 'nowhere.csv'\n")
    with pytest.raises(DataError, match=r"no such file.*nowhere\.csv"):
        config.dataset()


@pytest.mark.parametrize("path", ["~nobody-of-that-name/e.csv", "e\\u0000.csv", "\\u007f"])
def test_a_path_that_cannot_be_one_is_refused(tmp_path, path):
    config = config_of(tmp_path, "", data=f'[data]\ninteractions = "{path}"\n')
    with pytest.raises((ConfigError, DataError)):
        config.dataset()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe", "^the file is not in UTF-8"),
        (b"[data", "not TOML"),
        (b"a = " + b"[" * 5000, "not TOML"),
        (b"a = " + b"9" * 5000, "not TOML"),
        (b"", r"\[data\] is missing"),
        (b"#" * ((1 << 24) + 1), "^the file is larger than 16 MB"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, said):
    file = tmp_path / "shortlist.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=said):
        load_config(file)


def test_a_missing_file_comes_with_the_command_that_writes_one(tmp_path):
    with pytest.raises(ConfigError, match=r"^there is no such file .*shortlist init"):
        load_config(tmp_path / "shortlist.toml")


@pytest.mark.parametrize("path", ["a\0.toml", "."])
def test_what_cannot_be_read_is_no_configuration(path):
    with pytest.raises(ConfigError):
        load_config(path)
