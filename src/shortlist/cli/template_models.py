"""The tables of a new shortlist.toml that say which models are trained, and how."""

from __future__ import annotations

from shortlist.cli.findings import Findings
from shortlist.cli.toml_lines import (
    comment_lines,
    commented,
    default_lines,
    defaults,
    feature_lines,
    key_line,
)
from shortlist.config.sections import TrainingSection
from shortlist.data import Category, Number, Tags
from shortlist.models import Ranker, TwoTower
from shortlist.nn import Tower
from shortlist.tasks import Retrieval

FEWEST_EVENTS = 1000  # fewer teach a ranker nothing
RANKED = (Category, Number, Tags)  # features that a few thousand lists are enough to learn from

FEATURE_KINDS = """\
A feature is a table with `kind`, `column` and perhaps `name`, where two would have the same. The kinds:
  Id         an embedding for each user or item; dim
  History    what the user did before; length = 200, dropout = 0.5, dim; pooling = "attention",
             "mean" or, in a ranker, "target": in the light of each candidate
  Category   a column with repeating values; buckets = N hashes them into N rows, dim
  Number     a number, standardised; buckets = N cuts it into N quantiles, dim
  Timestamp  hour, weekday, season and age of a time
  Text       words; ngrams = 2, buckets = 16384, dim
  Tags       several values a row, in a list or joined by separator = "|"; dim
  Vector     a ready-made embedding: equally long lists of numbers"""

RANKER_KINDS = """\
The kind "BoostedRanker" has keys of its own: query and candidate, without histories and texts,
  loss = "lambdarank" or "xe_ndcg", trees = 300, num_leaves = 31, learning_rate = 0.05,
  min_data_in_leaf = 20
A Ranker may have two tables of its own, one or the other:
  [ranker.body]        another click model in place of the layers: kind = "LR", "FM", "WideDeep",
                       "DeepFM", "DCN", "XDeepFM", "AutoInt", "FinalMLP", "MaskNet" or "DIN"; its arguments
  [ranker.objectives]  columns with labels, learned at once: losses = { like = "click", stars = "rating" };
                       sharing = "mmoe", "ple" or "shared_bottom"; experts = 4; head = [32];
                       balance = "uncertainty", "gradnorm" or "pcgrad", else weights = { like = 1.0 };
                       score = { like = 1.0, stars = 0.2 }: what each counts in the order"""


def retriever_lines(found: Findings) -> list[str]:
    """The tables `[retriever]` and its features.

    Args:
        found: what was found in the tables.
    """
    comments = {
        "dim": "width of the embeddings",
        "hidden": "widths of hidden layers; without any, the features' embeddings are added up",
        "dropout": "share of the inputs and hidden units that training hides",
        "normalise": "embeddings of length 1: a score is a cosine",
        "temperature": "divides the scores; 1.0 for embeddings of free length",
        "correct_sampling_bias": "logQ correction: popular items are negatives more often than they deserve",
        "remove_accidental_hits": "a negative that is the wanted item does not count",
        "num_hard_negatives": "not set: all negatives count; else only so many, the highest scores",
        "negatives": 'the "batch", "mixed" with drawn items, "sampled" items alone, or the "catalogue"',
        "num_negatives": 'items drawn for each batch, for "mixed" and "sampled"',
        "queue_size": "items of earlier batches that are negatives too",
        "objective": '"softmax", or "gbce" for sampled negatives',
        "calibration": 'of "gbce", from 0 to 1',
        "precision": 'of the softmax: "float32" or "bfloat16"',
        "mask_seen": "a user's other items are no negatives",
    }
    values = defaults(Tower) | defaults(Retrieval) | defaults(TwoTower) | {"num_hard_negatives": 100}
    return [
        "[retriever]",
        *comment_lines("Two towers, one for the user and one for the item; the dot product is the score."),
        *default_lines(values, comments),
        "",
        *comment_lines(FEATURE_KINDS),
        *feature_lines("query", found.query, "features of the user, the moment and the history"),
        *feature_lines("candidate", found.candidate, "features of the item"),
    ]


def training_lines() -> list[str]:
    """The table `[training]`."""
    comments = {
        "epochs": "how often training goes through the events",
        "batch_size": "events a step; more are also more negatives",
        "learning_rate": "of Adam",
        "schedule": 'not set: constant; "cosine" or "linear" falls to 0, "plateau" once epochs are no better',
        "warmup_steps": "steps over which the learning rate first rises",
        "max_grad_norm": "not set: no clipping; else the largest norm of the gradients",
        "precision": '"float32", "bfloat16" or "float16"',
        "patience": "not set: all epochs; else stop after so many without a better validation part",
        "seed": "of the weights and the order",
    }
    fit = defaults(TwoTower.fit)
    values = defaults(TrainingSection) | {"learning_rate": fit["learning_rate"], "schedule": "cosine"}
    values |= {"warmup_steps": 0, "max_grad_norm": 1.0, "precision": "float32", "patience": 2}
    return ["[training]", *comment_lines("Of the two towers."), *default_lines(values, comments)]


def ranker_lines(found: Findings) -> list[str]:
    """The table `[ranker]`, commented out where there are too few events.

    Args:
        found: what was found in the tables.
    """
    comments = {
        "kind": 'or "BoostedRanker": LightGBM\'s trees, see below',
        "loss": 'or "lambdaloss", "approx_ndcg", "list_mle"; of events, "click" or "rating"',
        "dim": "width of the features' embeddings",
        "embedding_scale": "not set: by the width; the deviation of the first weights",
        "cross_layers": "how many times features are crossed",
        "hidden": "widths of the layers after the crosses",
        "dropout": "share of the hidden units that training hides",
        "batch_size": "lists a step, or events",
        "learning_rate": "of Adam",
    }
    values = defaults(Ranker) | {
        "kind": "Ranker",
        "embedding_scale": 0.01,
        "batch_size": 64,
        "learning_rate": defaults(Ranker.fit_lists)["learning_rate"],
    }
    ranked = [feature for feature in found.candidate if isinstance(feature, RANKED)]
    lines = [
        "[ranker]",
        key_line("epochs", 4, "how often training goes through the lists; there are few, so more overfit"),
        *feature_lines("query", [], "features of the user; without the key, the retriever's"),
        *feature_lines("candidate", ranked, "features of the item; without the key, the retriever's"),
        *default_lines(values, comments),
        *comment_lines(RANKER_KINDS),
    ]
    about = (
        "Orders what the retrievers found, by their scores and by features. It learns from recent events "
        'that they had not seen; with the loss "click" or "rating", or with objectives, from every event '
        "that has a label, and without their scores. Ids and histories want many events here. Without this "
        "table, the retrieval's order stays."
    )
    return [*comment_lines(about), *(lines if found.num_events >= FEWEST_EVENTS else commented(lines))]
