"""`shortlist recommend`: what to show to some users, and why."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from shortlist.cli.evaluate import open_bundle
from shortlist.cli.hints import recommend_command
from shortlist.cli.output import Output
from shortlist.data import Vocabulary
from shortlist.errors import ConfigError, SchemaError
from shortlist.funnel import Explanation, Funnel
from shortlist.funnel.explain import TITLE_COLUMNS
from shortlist.postrank.predicate import parse_predicate

SHOWN = 10  # rows of a history or of a stage that people see
Rows = list[dict[str, Any]]


def run(
    output: Output,
    users: Sequence[str],
    bundle: Path,
    *,
    size: int | None,
    where: str | None,
    explain: bool,
    include_seen: bool,
) -> None:
    """Print recommendations.

    Args:
        output: where to print.
        users: ids as written on the command line.
        bundle: the folder of the funnel.
        size: how many items; None is the funnel's own number.
        where: a condition on the item columns, or None.
        explain: whether the list after every stage is shown.
        include_seen: whether items that the user had may come again.

    Raises:
        BundleError: the bundle is missing or damaged.
        ConfigError: the condition is none.
        SchemaError: the condition names a column that the items have not.
    """
    condition = None if where is None else parse_predicate(where, stage="--where")
    funnel = open_bundle(bundle, output)
    _check(condition, funnel)
    answers = []
    for text in users:
        user, known = known_id(text, funnel.data.user_vocabulary)
        if not known:
            output.say(
                f"user {user!r} is not among the {len(funnel.data.user_vocabulary) - 1:,} known: no history"
            )
        options: dict[str, Any] = {"exclude_seen": not include_seen, "where": condition}
        found = funnel.recommend(user, size, **options).frame
        rows = found.drop(funnel.data.schema.user_id).to_dicts()
        answer: dict[str, Any] = {"user": user, "known": known, "items": rows}
        if not explain:
            _show_list(output, f"for user {user}", rows, funnel)
        else:
            output.text(f"the way to the list for user {user}")
            explanation = funnel.explain(user, size, **options)
            _show_stages(output, explanation, funnel)
            answer |= _stages(explanation)
        answers.append(answer)
    output.document({"bundle": str(bundle), "recommendations": answers})
    output.next(*(["shortlist", "evaluate"] if explain else recommend_command(bundle, users[0], "--explain")))


def known_id(text: str, vocabulary: Vocabulary) -> tuple[str | int, bool]:
    """A user id as the tables hold it.

    Args:
        text: as written on the command line.
        vocabulary: the user ids.

    Returns:
        The id, an integer where the vocabulary holds integers, and whether it is known.

    Raises:
        ConfigError: the text is not UTF-8.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError(f"user id {text!r} is not UTF-8", remedy="check the terminal's encoding") from error
    index = int(vocabulary.encode([text])[0])
    return (vocabulary.decode([index])[0], True) if index else (text, False)


def _check(condition: pl.Expr | None, funnel: Funnel) -> None:
    """Refuse a condition before anything is printed."""
    if condition is None:
        return
    try:
        funnel.catalogue.mask(condition)
    except SchemaError as error:
        raise SchemaError(error.what, where="--where", remedy=error.remedy) from error


def _show_list(output: Output, title: str, rows: Rows, funnel: Funnel) -> None:
    if not rows:
        output.text(f"{title}: no item is left")
        return
    columns = {"rank": "rank", funnel.data.schema.item_id: "item"}
    columns |= {name: name for name in TITLE_COLUMNS if name in rows[0]}
    columns |= {"score": "score", "found_by": "found by", "why": "why"}
    present = {name: head for name, head in columns.items() if name in rows[0]}
    output.table(
        list(present.values()), [[_cell(row[name]) for name in present] for row in rows], title=title
    )


def _show_stages(output: Output, explanation: Explanation, funnel: Funnel) -> None:
    history = explanation.history
    names = [name for name in (funnel.data.schema.item_id, *TITLE_COLUMNS) if name in history.columns]
    rows = [[_cell(value) for value in row] for row in history.tail(SHOWN).select(names).iter_rows()]
    output.table(names, rows, title=f"history: the last {len(rows)} of {len(history):,} events")
    for name, frame in explanation.stages.items():
        title = f"after {name}: the first {min(SHOWN, len(frame))} of {len(frame):,} items"
        _show_list(output, title, frame.head(SHOWN).to_dicts(), funnel)


def _stages(explanation: Explanation) -> dict[str, Any]:
    stages = {name: frame.to_dicts() for name, frame in explanation.stages.items()}
    return {"history": explanation.history.to_dicts(), "stages": stages}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
