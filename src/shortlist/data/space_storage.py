"""A feature space on disk: features and encodings as JSON, vocabularies as Arrow files beside it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from shortlist.data.dataset import Dataset
from shortlist.data.encodings import (
    BucketEncoding,
    Encoding,
    HashEncoding,
    SeenEncoding,
    StandardEncoding,
    TagsEncoding,
    TextEncoding,
    TimeEncoding,
    VectorEncoding,
    VocabularyEncoding,
)
from shortlist.data.feature_space import FeatureSpace
from shortlist.data.features import feature_from_dict
from shortlist.data.vocabulary import Vocabulary
from shortlist.errors import BundleError

FILE = "features.json"
_ENCODINGS: Mapping[str, Callable[..., Encoding]] = {
    cls.__name__: cls
    for cls in (
        BucketEncoding,
        HashEncoding,
        SeenEncoding,
        StandardEncoding,
        TagsEncoding,
        TextEncoding,
        TimeEncoding,
        VectorEncoding,
        VocabularyEncoding,
    )
}


def save_space(space: FeatureSpace, folder: Path) -> None:
    """Write what a feature space learned; the encoded tables are made anew when it is loaded.

    Args:
        space: the feature space.
        folder: where to write.
    """
    encodings = {}
    for number, (name, encoding) in enumerate(space.encodings.items()):
        values: dict[str, Any] = {"kind": type(encoding).__name__}
        for field in fields(encoding):
            value = getattr(encoding, field.name)
            if isinstance(value, Vocabulary):
                value.save(folder / f"vocabulary-{number}.arrow")
                value = f"vocabulary-{number}.arrow"
            values[field.name] = value
        del values["shape"]
        encodings[name] = values
    described = {
        "query": [feature.to_dict() for feature in space.query],
        "candidate": [feature.to_dict() for feature in space.candidate],
        "encodings": encodings,
    }
    (folder / FILE).write_text(json.dumps(described, indent=2), encoding="utf-8")


def load_space(data: Dataset, folder: Path) -> FeatureSpace:
    """Read what `save_space` wrote.

    Args:
        data: the dataset whose users and items the space encodes.
        folder: where it was written.

    Raises:
        BundleError: the file is missing or is not what it should be.
    """
    try:
        described = json.loads((folder / FILE).read_text(encoding="utf-8"))
        query = [feature_from_dict(each) for each in described["query"]]
        candidate = [feature_from_dict(each) for each in described["candidate"]]
        encodings = {name: _encoding(values, folder) for name, values in described["encodings"].items()}
        return FeatureSpace(data, query, candidate, encodings)
    except BundleError:
        raise  # it names the file already
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"not a saved feature space: {type(error).__name__}: {error}"
        raise BundleError(problem, where=str(folder / FILE), remedy="save it again") from error


def _encoding(values: Mapping[str, Any], folder: Path) -> Encoding:
    arguments = dict(values)
    kind = _ENCODINGS[arguments.pop("kind")]
    if "vocabulary" in arguments:
        arguments["vocabulary"] = Vocabulary.load(folder / arguments["vocabulary"])
    if "bounds" in arguments:
        arguments["bounds"] = tuple(arguments["bounds"])
    return kind(**arguments)
