"""The text of a new shortlist.toml: what was found in the tables, and every other key with its default."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shortlist.cli.figures import EASE_ITEMS
from shortlist.cli.findings import Findings
from shortlist.cli.template_models import ranker_lines, retriever_lines, training_lines
from shortlist.cli.toml_lines import comment_lines, commented, default_lines, defaults, key_line
from shortlist.cli.toml_values import toml_key
from shortlist.config.sections import BundleSection, FunnelSection, SplitSection
from shortlist.data import Category, EventType, Number, Tags
from shortlist.funnel.rank import Scored

NEGATIVE_NAMES = ("dislike", "downvote", "thumbs_down", "hide", "block", "not_interested", "unlike")


def config_text(found: Findings) -> str:
    """The text of a commented configuration.

    Args:
        found: what was found in the tables.

    Raises:
        ConfigError: a path or a column cannot be written in UTF-8.
    """
    head = comment_lines(
        "What `shortlist train` does with these tables. Paths are relative to the folder of this file. Keys "
        "that are commented out show the default, or an example where there is none; delete the # to change "
        "them."
    )
    parts = [head, _data(found), _split(found), retriever_lines(found), training_lines(), ranker_lines(found)]
    parts += [_funnel(found), _postrank(found), _bundle()]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _data(found: Findings) -> list[str]:
    schema = found.schema
    return [
        "[data]",
        *comment_lines(
            'A table is a file, a folder, a pattern such as "events/*.parquet" or a list of these; CSV, TSV, '
            "Parquet or JSON lines, the text formats also with .gz."
        ),
        key_line("interactions", _one_or_many(found.interactions), "one row an event"),
        key_line(
            "users", _one_or_many(found.users) or "users.parquet", "one row a user", given=bool(found.users)
        ),
        key_line(
            "items", _one_or_many(found.items) or "items.parquet", "one row an item", given=bool(found.items)
        ),
        key_line("user_id", schema.user_id, "column of user ids, here and in the table of users"),
        key_line("item_id", schema.item_id, "column of item ids, here and in the table of items"),
        _optional("timestamp", schema.timestamp, "time", "column of times: dates, or numbers since 1970"),
        _optional("label", schema.label, "rating", "numeric column, such as a rating"),
        _optional("event", schema.event, "event", "column with the type of each event: view, purchase, …"),
        "",
        *comment_lines(
            "What each type of event counts as: its weight in the loss and in popularity, whether models "
            "learn to predict it (label), whether it belongs to the user's history, and whether it says that "
            "the user did not want the item (negative). Rows of other types are dropped and counted."
        ),
        *_events(found.event_types),
    ]


def _events(types: Sequence[str]) -> list[str]:
    lines = []
    for name in types or ["purchase"]:
        negative = name.lower().replace("-", "_").replace(" ", "_") in NEGATIVE_NAMES
        values = defaults(EventType) | {"negative": negative}
        shown = [
            key_line(key, value, given=key == "weight" or value != defaults(EventType)[key])
            for key, value in values.items()
        ]
        lines += [f"[data.events.{toml_key(name)}]", *shown]
    return lines if types else commented(lines)


def _split(found: Findings) -> list[str]:
    default = "random" if found.schema.timestamp is None else "time"
    about = "the latest events, each user's last ones (leave_last_out), or random ones"
    values = defaults(SplitSection) | {"by": default}
    comments = {
        "by": about,
        "test": 'share of the events, for "time" and "random"',
        "count": 'events a user, for "leave_last_out"',
        "seed": 'of the draw, for "random"',
    }
    return ["[split]", *comment_lines("What is held out to measure on."), *default_lines(values, comments)]


def _funnel(found: Findings) -> list[str]:
    small = found.num_items <= EASE_ITEMS
    comments = {
        "keep": "candidates that the ranker lets through",
        "calibration": 'not set: none; or "Temperature", "Isotonic", "Spline": scores become chances',
        "size": "items that a user gets",
    }
    values = defaults(FunnelSection) | {"keep": defaults(Scored)["keep"], "calibration": "Platt"}
    ease = [
        "[[funnel.retrieve]]",
        key_line("kind", "EASE"),
        key_line("k", 100),
        key_line("l2", 500.0, given=False),
    ]
    neighbours = ["[[funnel.retrieve]]", key_line("kind", "ItemKNN"), key_line("k", 100)]
    popular = [
        "[[funnel.retrieve]]",
        key_line("kind", "Popular"),
        key_line("k", 100),
        key_line("half_life", "30d", given=False),
    ]
    return [
        "[funnel]",
        *default_lines(values, comments),
        "",
        *comment_lines(
            "Who finds the candidates, and how many (k): TwoTower, Sequential (the order of events), EASE "
            "(small catalogues), ItemKNN, ALS, Popular. What several find is merged. Two of one kind each "
            "need a name."
        ),
        "[[funnel.retrieve]]",
        key_line("kind", "TwoTower"),
        key_line("k", 200),
        "",
        *(ease if small else commented(ease)),
        "",
        *(commented(neighbours) if small else neighbours),
        "",
        *commented(popular),
    ]


def _postrank(found: Findings) -> list[str]:
    column = next((each.column for each in found.candidate if isinstance(each, Category | Tags)), "category")
    number = next((each.column for each in found.candidate if isinstance(each, Number)), "price")
    condition = f'"{number}" > 0' if not number.isidentifier() else f"{number} > 0"
    before: list[tuple[str, dict[str, Any]]] = [
        ("items that meet a condition rise", {"kind": "Boost", "where": condition, "by": 0.2}),
        ("newer items rise, by half for each half-life", {"kind": "Freshness", "half_life": "30d"}),
        ("items that never appear: ids, or a condition", {"kind": "Exclude", "where": condition}),
    ]
    after: list[tuple[str, dict[str, Any]]] = [
        ("at most so many items of one value of a column", {"kind": "Cap", "column": column, "at_most": 3}),
        ("places kept for items that would not get there", {"kind": "Explore", "slots": 1}),
    ]
    about = "what is alike stands apart; 0 keeps the ranker's order, 1 looks at nothing but variety"
    diversity = {"kind": "Diversity", "strength": 0.05}
    return [
        *comment_lines(
            "The last changes to the list, in this order. What changes scores comes before what changes the "
            "order."
        ),
        *(line for each in before for line in commented(_postranker(*each))),
        *_postranker(about, diversity),
        *(line for each in after for line in commented(_postranker(*each))),
    ][:-1]


def _postranker(about: str, given: Mapping[str, Any]) -> list[str]:
    keys = [key_line(key, value) for key, value in given.items()]
    return [*comment_lines(f"{given['kind']}: {about}."), "[[postrank]]", *keys, ""]


def _bundle() -> list[str]:
    comments = {
        "path": "the folder that `shortlist train` writes",
        "refit": "train again on all events at the end; nothing is left for `evaluate` then",
    }
    return ["[bundle]", *default_lines(defaults(BundleSection), comments)]


def _optional(name: str, value: str | None, example: str, comment: str) -> str:
    return key_line(name, example if value is None else value, comment, given=value is not None)


def _one_or_many(paths: Sequence[str]) -> str | list[str]:
    return paths[0] if len(paths) == 1 else list(paths)
