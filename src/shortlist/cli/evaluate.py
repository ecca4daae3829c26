"""`shortlist evaluate`: a trained funnel on held-out events, beside baselines and stage by stage."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from shortlist.cli.figures import compare, judge_ranker, measured_part, show, show_ranker, stages
from shortlist.cli.hints import recommend_command
from shortlist.cli.output import Output
from shortlist.cli.train import described, read
from shortlist.config import Config, load_config
from shortlist.data import Dataset
from shortlist.errors import ConfigError
from shortlist.evaluation import funnel_report
from shortlist.funnel import Funnel, load_bundle


def run(output: Output, file: Path, bundle: Path | None) -> None:
    """Print the figures of a bundle.

    Args:
        output: where to print.
        file: the configuration, which says what is held out.
        bundle: the bundle; None is that of the configuration.

    Raises:
        ConfigError: the configuration is wrong, or the bundle was trained on the held-out events.
        BundleError: the bundle is missing or damaged.
        DataError: a table cannot be used.
    """
    config = load_config(file)
    place = config.bundle if bundle is None else bundle
    funnel = open_bundle(place, output)
    test = held_out(config, read(config, output), funnel, place)
    asked = measured_part(test)
    figures = compare(funnel, asked, output)
    predictions = judge_ranker(funnel, asked, output)
    with output.step("following the wanted items through the stages"):
        report = funnel_report(funnel, asked)
    show(figures, output, title=described(asked, test))
    show_ranker(predictions, output)
    output.text(f"\nWhere the funnel loses what users wanted:\n{report}")
    output.document(
        {
            "bundle": str(place),
            "test_events": len(test.targets),
            "measured_events": len(asked.targets),
            "figures": figures,
            "ranker": predictions,
            "stages": stages(report),
            "warnings": output.warnings,
        }
    )
    output.next(*recommend_command(place, funnel.data.user_vocabulary.ids[0], "--explain"))


def open_bundle(place: Path, output: Output) -> Funnel:
    """Load a bundle.

    Args:
        place: its folder.
        output: where to print.

    Raises:
        ConfigError: there is no such folder.
        BundleError: it is damaged, foreign or newer.
    """
    if not place.is_dir():
        raise ConfigError(
            "there is no bundle",
            where=str(place),
            remedy="write one with: shortlist train, or name it: --bundle",
        )
    with output.step(f"loading {place}"):
        return load_bundle(place)


def held_out(config: Config, data: Dataset, funnel: Funnel, place: Path) -> Dataset:
    """The test part of a configuration, with the past and the vocabularies of a funnel.

    Args:
        config: says what is held out.
        data: all events.
        funnel: a loaded one.
        place: of its bundle, for the message.

    Raises:
        ConfigError: the funnel was trained on these events, or on tables with other columns.
    """
    if funnel.data.schema != data.schema:
        raise ConfigError(
            "the bundle was trained on other columns than [data] names",
            where=f"{place} and {config.file}",
            remedy="train again with: shortlist train",
        )
    _, test = config.split(data)
    columns = data.schema.columns
    known = _texts(test, columns).join(_texts(funnel.data, columns).unique(), on=columns, how="semi")
    if len(known) > len(test) // 2:
        raise ConfigError(
            f"the bundle was trained on {len(known):,} of the {len(test):,} held-out events",
            where=str(place),
            remedy="its manifest.json has the figures from before that; or set refit = false "
            "in [bundle] and train again",
        )
    return Dataset(
        test.interactions, test.schema, users=data.users, items=data.items, name=test.name, past=funnel.data
    )


def _texts(data: Dataset, columns: list[str]) -> pl.DataFrame:
    """The events in one form, whatever type their columns had when they were read."""
    return data.interactions.select(pl.col(columns).cast(pl.String))
