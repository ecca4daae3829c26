"""Models learn on another device what they learn on the CPU, and answer from there."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import polars as pl
import pytest
import torch
from planted import parts, plain_towers, planted, rich_towers

import shortlist as sl
from shortlist.errors import ConfigError
from shortlist.export import export_funnel
from shortlist.models import Sequential, TwoTower
from shortlist.nn import Tower, bodies

QUERY = (sl.Id("user_id"), sl.Number("age"), sl.Category("device"))
CANDIDATE = (sl.Id("item_id"), sl.Tags("colours"), sl.Number("price"))


def towers(*, sparse: bool = False, table_dtype: torch.dtype | None = None, **task) -> TwoTower:
    tables = {"dim": 8, "sparse": sparse, "table_dtype": table_dtype}
    return TwoTower(
        query=Tower([sl.History("item_id", length=5)], **tables),
        candidate=Tower([sl.Id("item_id"), sl.Text("title"), sl.Vector("picture")], **tables),
        task=sl.tasks.Retrieval(**task),
    )


RETRIEVERS = {
    "plain": plain_towers,
    "rich": rich_towers,
    "mixed": partial(towers, negatives="mixed"),
    "catalogue": partial(towers, negatives="catalogue"),
    "queue": partial(towers, queue_size=100),
    "sparse": partial(towers, sparse=True),
    "bfloat16 tables": partial(towers, sparse=True, table_dtype=torch.bfloat16),
    "sasrec": partial(Sequential, dim=8, length=6, dropout=0.0, time_gaps=True),
    "hstu": partial(Sequential, dim=8, length=6, dropout=0.0, block="hstu", loss="in_batch"),
}


def losses_of(history: sl.training.TrainingHistory) -> list[float]:
    return [row["loss"] for row in history.epochs]


@pytest.mark.parametrize("name", RETRIEVERS)
def test_a_retriever_learns_there_and_its_answers_come_home(name, device, tmp_path: Path) -> None:
    train, test = parts()
    settings = {"epochs": 2, "batch_size": 256, "learning_rate": 0.02, "seed": 1}
    there, here = RETRIEVERS[name](), RETRIEVERS[name]()
    found, expected = there.fit(train, device=device, **settings), here.fit(train, **settings)
    assert losses_of(found) == pytest.approx(losses_of(expected), rel=1e-3)
    assert there.device.type == device.type
    users = ["u001", "u002", "somebody"]
    dear = pl.col("price") > 10
    for model in (there, sl.Funnel(retrieve=[sl.retrieve.Nearest(there), sl.retrieve.Popular()])):
        answer = model.recommend(users, 5, where=dear).frame
        assert answer["user_id"].unique(maintain_order=True).to_list() == users
        assert (answer["price"] > 10).all()
    some = torch.tensor([[1, 2, 3]])
    request = test.requests(torch.tensor([0]))
    torch.testing.assert_close(there.score(request, some), here.score(request, some), rtol=1e-2, atol=1e-2)
    assert there.evaluate(test)["hit_rate@10"] == pytest.approx(here.evaluate(test)["hit_rate@10"], abs=0.05)
    sl.Funnel(retrieve=[sl.retrieve.Nearest(there)]).save(tmp_path / "bundle")
    answers = (each.recommend("u001", 5).frame for each in (sl.Funnel.load(tmp_path / "bundle"), there))
    assert next(answers)["item_id"].to_list() == next(answers)["item_id"].to_list()


@pytest.mark.parametrize("body", [bodies.DCN(dropout=0.0), bodies.FM(), bodies.FinalMLP(dropout=0.0)])
def test_a_click_model_learns_there_and_is_validated(body, device) -> None:
    whole, features = planted(), (*QUERY, sl.History("item_id", pooling="target"))
    clicks = whole.interactions.with_columns(click=(pl.col("rating") > 3).cast(pl.Float64))
    schema = sl.Schema(timestamp="time", label="click")
    train, test = sl.Dataset(clicks, schema, users=whole.users, items=whole.items).split_random()
    histories = []
    for place in (device, None):
        ranker = sl.Ranker(features, CANDIDATE, body=body, loss="click")
        histories.append(
            ranker.fit(train, epochs=1, batch_size=128, device=place, validation=test, monitor="auc", seed=1)
        )
    there, here = (losses_of(each) for each in histories)
    assert there == pytest.approx(here, rel=1e-3)


def test_a_whole_funnel_is_trained_there_and_answers(device, tmp_path: Path) -> None:
    train, _ = parts()
    earlier, recent = train.split_leave_last_out(count=2)

    def retrievers(data: sl.Dataset) -> list[sl.retrieve.Nearest | sl.retrieve.Popular]:
        model = plain_towers()
        model.fit(data, epochs=2, device=device)
        return [sl.retrieve.Nearest(model, k=20), sl.retrieve.Popular()]

    ranker = sl.Ranker(candidate=[sl.Id("item_id")], scores=["score_twotower"])
    sl.rank.fit(ranker, retrievers(earlier), recent, epochs=2, device=device)
    funnel = sl.Funnel(
        retrieve=retrievers(train),
        rank=sl.rank.Scored(ranker),
        postrank=[sl.postrank.Diversity(), sl.postrank.Explore()],
        size=5,
    )
    answer = funnel.recommend(["u001", "u002"]).frame
    assert len(answer) == 10
    assert answer["score"].is_finite().all()
    assert list(funnel.explain("u001").stages) == list(funnel.stages)
    funnel.save(tmp_path / "bundle")
    assert len(sl.Funnel.load(tmp_path / "bundle").recommend(["u001"]).frame) == 5
    with pytest.raises(ConfigError, match=f"'twotower' lies on {device}.*to\\('cpu'\\)"):
        export_funnel(funnel, tmp_path / "export")
    for model in (funnel.retrievers[0].model, ranker):  # the funnel's ranker shares the weights
        model.to("cpu")
    export_funnel(funnel, tmp_path / "export")
    assert (tmp_path / "export" / "manifest.json").is_file()


def test_a_training_there_resumes_to_the_identical_weights(device, tmp_path: Path) -> None:
    train, _ = parts()
    settings = {"epochs": 2, "batch_size": 128, "device": device, "seed": 1}

    class Stop(sl.training.Callback):
        def on_step_end(self, state: sl.training.TrainingState) -> None:
            state.stop = state.step == 3

    straight, resumed = plain_towers(), plain_towers()
    straight.fit(train, **settings)
    plain_towers().fit(train, **settings, checkpoint_dir=tmp_path, callbacks=[Stop()])
    resumed.fit(train, **settings, checkpoint_dir=tmp_path, resume=True)
    states = zip(straight.state_dict().values(), resumed.state_dict().values(), strict=True)
    if device.type == "cuda":  # whose sums over repeated rows come in any order
        assert all(torch.allclose(one.cpu(), other.cpu(), atol=1e-3) for one, other in states)
    else:
        assert all(torch.equal(one.cpu(), other.cpu()) for one, other in states)
