"""`shortlist train`: read, split, train, measure, write the bundle."""

from __future__ import annotations

import time
from pathlib import Path

from shortlist.cli.figures import (
    compare,
    flat,
    judge_ranker,
    measured_part,
    show,
    show_ranker,
)
from shortlist.cli.hints import recommend_command
from shortlist.cli.output import Output
from shortlist.config import Config, TrainedFunnel, load_config, train_funnel
from shortlist.data import Dataset
from shortlist.funnel.bundle import check_place, save_bundle
from shortlist.funnel.funnel import Funnel
from shortlist.funnel.retrieve import Nearest


def run(output: Output, file: Path, *, strict: bool) -> None:
    """Train the funnel of a configuration.

    Args:
        output: where to print.
        file: the configuration.
        strict: whether bad rows are refused.

    Raises:
        ConfigError: the configuration is wrong, or something else stands where the bundle is to be.
        DataError: a table cannot be used.
    """
    started = time.perf_counter()
    config = load_config(file)
    check_place(config.bundle)
    data = read(config, output, strict=strict)
    train, test = config.split(data)
    output.say(f"{train!r}; {len(test):,} events are held out")
    trained = _train(config, train, output)
    for line in searches(trained.funnel):
        output.say(line)
    asked = measured_part(test)
    figures = compare(trained.funnel, asked, output)
    predictions = judge_ranker(trained.funnel, asked, output)
    show(figures, output, title=described(asked, test))
    show_ranker(predictions, output)
    if config.settings.bundle.refit:
        output.say("training once more, on all events")
        trained = _train(config, data, output, epochs=trained.epochs)
    with output.step(f"writing {config.bundle}"):
        metrics = flat(figures) | flat(predictions, prefix="the ranker/")
        save_bundle(trained.funnel, config.bundle, metrics=metrics)
    output.say(f"wrote {config.bundle} after {time.perf_counter() - started:.0f} s")
    document = _summary(config, data, train, test, trained)
    output.document(document | {"figures": figures, "ranker": predictions, "warnings": output.warnings})
    output.next(*recommend_command(config.bundle, data.user_vocabulary.ids[0]))


def read(config: Config, output: Output, *, strict: bool = False) -> Dataset:
    """Read the tables of a configuration and say what was dropped.

    Args:
        config: names the tables.
        output: where to print.
        strict: whether bad rows are refused.
    """
    with output.step("reading the tables"):
        data = config.dataset(strict=strict)
    if data.report is not None:
        output.say(str(data.report))
    return data


def described(asked: Dataset, test: Dataset) -> str:
    """A line over a table of figures: of how many events they are.

    Args:
        asked: the part that was measured.
        test: the whole test part.
    """
    total = f" of the {len(test.targets):,}" if len(asked.targets) < len(test.targets) else ""
    return f"{len(asked.targets):,}{total} held-out events, items seen before are left out"


def searches(funnel: Funnel) -> list[str]:
    """A line for each retriever that searches through an approximate index: what recall that gives.

    Args:
        funnel: trained.
    """
    return [
        f"retriever {each.name!r}: the approximate index over {len(each.search.index):,} items finds "
        f"{each.search.recall:.1%} of the exact {each.k:,} candidates"
        for each in funnel.retrievers
        if isinstance(each, Nearest) and each.search is not None
    ]


def _train(config: Config, data: Dataset, output: Output, *, epochs: int | None = None) -> TrainedFunnel:
    return train_funnel(config, data, epochs=epochs, progress=output.progress, step=output.training_step)


def _summary(
    config: Config, data: Dataset, train: Dataset, test: Dataset, trained: TrainedFunnel
) -> dict[str, object]:
    return {
        "bundle": str(config.bundle),
        "events": len(data),
        "train_events": len(train),
        "test_events": len(test),
        "users": len(data.user_vocabulary) - 1,
        "items": len(data.item_vocabulary) - 1,
        "dropped": {} if data.report is None else data.report.causes,
        "epochs": trained.epochs,
        "refit": config.settings.bundle.refit,
    }
