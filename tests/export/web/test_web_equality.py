"""The web runtime answers as the Python one does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from export.device_cases import NOW, RANK, Case
from export.export_cases import CONTEXT, ranker
from export.web.web_cases import ITEMS, RULES, Site, cinema, save_app
from planted import parts
from serving.console.console_cases import Watched

from shortlist.data import History
from shortlist.export import Device, export_funnel
from shortlist.funnel import Funnel, rank
from shortlist.funnel.retrieve import Popular

ANSWERS = """async ({ folder, asked }) => {
  const { load } = await import("./device/index.js");
  const device = await load(folder);
  const answers = [];
  for (const { history, options, liked, disliked } of asked) {
    device.forget();
    device.adapt({ liked, disliked });
    answers.push((await device.recommend(history, options)).map(({ id, score }) => [id, score]));
  }
  return answers;
}"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_app(cinema(), tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def runtime(browser: Any, home: Path) -> Iterator[Any]:
    """A page of the app in which any export of its folder can be asked."""
    served = Site(home)
    watched = Watched(browser, served.address)
    watched.page.goto(served.address)
    watched.page.wait_for_selector("section[aria-busy=false] .list li")
    yield watched.page
    watched.context.close()
    served.stop()
    assert watched.wrong == []


def requests(case: Case, count: int, seed: int = 0) -> list[dict[str, Any]]:
    """Histories from none to longer than the model reads, some with judgements."""
    random = np.random.default_rng(seed)
    asked = []
    for number in range(count):
        history = random.choice(case.ids, number % 15, replace=False).tolist()
        judged = random.choice(case.ids, 6, replace=False).tolist() if number % 3 == 0 else []
        asked.append({"history": history, "liked": judged[:4], "disliked": judged[4:], "options": {}})
    return asked


def by_python(folder: Path, asked: list[dict[str, Any]]) -> list[list[list[Any]]]:
    device = Device.load(folder)
    answers = []
    for each in asked:
        device.forget()
        device.adapt(liked=each["liked"], disliked=each["disliked"])
        found = device.recommend(each["history"], **each["options"])
        answers.append([[id_, score] for id_, score in zip(found.items, found.scores, strict=True)])
    return answers


def compare(page: Any, home: Path, name: str, asked: list[dict[str, Any]]) -> None:
    for each in asked:
        each["options"] = {"context": {"now": NOW}, **each["options"]}
    expected = by_python(home / name, asked)
    found = page.evaluate(ANSWERS, {"folder": f"{name}/", "asked": asked})
    assert [[id_ for id_, _ in answer] for answer in found] == [[id_ for id_, _ in a] for a in expected]
    scores = [score for answer in found for _, score in answer]
    wanted = [score for answer in expected for _, score in answer]
    # A logistic function is not the same to the last bits in WebAssembly.
    np.testing.assert_allclose(scores, wanted, rtol=1e-4, atol=1e-5)


def test_the_first_twelve_are_pythons_for_a_hundred_histories(runtime: Any, home: Path):
    compare(runtime, home, "model", requests(cinema(), 100))


CASES: dict[str, dict[str, Any]] = {
    "plain": {"rank": None, "postrank": ()},
    "calibrated": {"rank": RANK.__class__(**{**RANK.__dict__, "keep": 30, "calibrated": True})},
    "dpp": {"postrank": ({"kind": "Diversity", "strength": 0.4, "method": "dpp"},)},
    "tags": {"postrank": ({"kind": "Diversity", "strength": 0.5, "method": "mmr", "by": "genres"},)},
    "tags by determinant": {
        "postrank": ({"kind": "Diversity", "strength": 0.5, "method": "dpp", "by": "genres"},)
    },
    "cap": {"postrank": ({"kind": "Cap", "column": "genres", "at_most": 1, "fill": False},)},
    "filled": {"postrank": ({"kind": "Cap", "column": "year", "at_most": 1, "fill": True},)},
    "half": {"encodings": {"vectors": "float16", "rank_items": "float16"}},
    "with the history": {
        "exclude_history": False,
        "postrank": ({"kind": "Exclude", "table": None, "seen": True}, *RULES),
    },
}


@pytest.mark.parametrize("name", CASES)
def test_every_stage_gives_pythons_list(runtime: Any, home: Path, name: str):
    case = cinema(**CASES[name])
    folder = name.replace(" ", "-")
    case.write(home / folder)
    compare(runtime, home, folder, requests(case, 12))


def test_a_trained_ranker_gives_pythons_list(runtime: Any, home: Path):
    trained = ranker(*CONTEXT, History("item_id", pooling="target", length=8))
    export_funnel(
        Funnel(retrieve=[Popular(30)], rank=rank.Scored(trained, keep=15), data=parts()[0], size=12),
        home / "trained",
    )
    random, ids = np.random.default_rng(6), parts()[0].items["item_id"].to_list()
    asked = [
        {
            "history": random.choice(ids, number, replace=False).tolist(),
            "liked": [],
            "disliked": [],
            "options": {"context": {"now": NOW, "device": "phone", "age": 20 + number}},
        }
        for number in range(12)
    ]
    compare(runtime, home, "trained", asked)


@pytest.mark.parametrize("how", ["multiply", "add"])
def test_tables_drop_and_lift_as_in_python(runtime: Any, home: Path, how: str):
    random = np.random.default_rng(3)
    tables = {
        "blocked": (random.random((ITEMS + 1, 1)) < 0.3).astype(np.float32),
        "margin": random.random((ITEMS + 1, 1)).astype(np.float32),
    }
    rules = (
        {"kind": "Exclude", "table": "blocked", "seen": False},
        {"kind": "Boost", "table": "margin", "by": 0.4, "how": how},
    )
    cinema(tables=tables, postrank=rules).write(home / how)
    compare(runtime, home, how, requests(cinema(), 12))


def test_what_is_asked_for_is_given_as_in_python(runtime: Any, home: Path):
    case = cinema()
    asked = requests(case, 6)
    options: list[dict[str, Any]] = [
        {"k": 1},
        {"k": 150},
        {"where": {"genres": ["Crime", "Drama"], "adult": False}},
        {"where": {"year": 1992}},
        {"exclude": case.ids[:200]},
        {"where": {"genres": "no such genre"}},
    ]
    for each, wanted in zip(asked, options, strict=True):
        each["options"] = wanted
    compare(runtime, home, "model", asked)


def test_similar_items_are_pythons(runtime: Any, home: Path):
    device = Device.load(home / "model")
    ids = cinema().ids[:20]
    similar = """async (ids) => {
      const { load } = await import("./device/index.js");
      const device = await load("model/");
      return ids.map((id) => device.similar(id, { k: 7 }).map((each) => each.id));
    }"""
    assert runtime.evaluate(similar, ids) == [device.similar(id_, k=7).items for id_ in ids]


REFUSED = {
    "device.recommend([], { k: 0 })": "k is 0; ask for at least one item",
    "device.recommend([], { where: { colour: 'red' } })": "no column 'colour' (where); it has title",
    "device.recommend([], { context: { mood: 1 } })": "no model reads 'mood' (context)",
    "device.recommend([], { context: { now: 'soon' } })": "'now' is 'soon' (context); give a number",
    "device.similar('nobody')": "'nobody' is not in this export",
    "load('nowhere/')": "the file 'manifest.json' is missing: the server answers 404",
}


def test_what_cannot_be_answered_is_said(browser: Any, home: Path):
    served = Site(home)
    page = browser.new_page()
    page.goto(served.address)
    calls = ", ".join(f"async () => {call}" for call in REFUSED)
    said = page.evaluate(f"""async () => {{
      const {{ load }} = await import("./device/index.js");
      const device = await load("model/"), said = [];
      for (const call of [{calls}]) {{
        const refused = await call().then(() => "nothing", (error) => error.message);
        said.push(refused.replaceAll('"', "'"));
      }}
      return said;
    }}""")
    for text, message in zip(said, REFUSED.values(), strict=True):
        assert message in text
    page.close()
    served.stop()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "it has format 2, and this runtime reads up to 1"),
        ({"kind": "other"}, "it is no export for devices"),
        ({"postrank": [{"kind": "Explore"}]}, 'kind is "Explore"'),
        ({"retrieve": []}, "it has no retriever"),
        ({"diversity_table": "nothing"}, "names the table 'nothing', which is not there"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(
    runtime: Any, home: Path, change: dict[str, Any], message: str
):
    content = "async () => JSON.stringify(await (await fetch('model/manifest.json')).json())"
    read = """async ([content, change]) => {
      const { readManifest } = await import("./device/manifest.js");
      try { readManifest(JSON.stringify({ ...JSON.parse(content), ...change }), "here"); return ""; }
      catch (error) { return `${error.name}: ${error.message}`; }
    }"""
    said = runtime.evaluate(read, [runtime.evaluate(content), change])
    assert said.startswith("ExportError")
    assert message in said
