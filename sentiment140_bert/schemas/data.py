"""The types of ``data.json``."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Commit, Count, RepoId, Sha256
from sentiment140_bert.schemas.metrics import Leakage


class Source(TypedDict):
    """A source of tweets."""

    name: str
    on_hub: bool
    revision: str | None
    sha256: Sha256
    sha256_of: Literal["file", "rows"]
    rows: Count
    bad_rows: Count
    encoding: NotRequired[str | None]
    labels: NotRequired[str]


class Sources(TypedDict):
    """The sources of the training tweets and of those labeled by hand."""

    training: Source
    manual: NotRequired[Source]


class Tokens(TypedDict):
    """Quantiles of the number of tokens of a split's tweets."""

    p50: Count
    max: Count
    truncated: Count


class DataSplit(TypedDict):
    """The content of a split."""

    rows: Count
    sha256: Sha256
    negative: NotRequired[Count]
    positive: NotRequired[Count]
    neutral: NotRequired[Count]
    token_length: Tokens


class Tokenizer(TypedDict):
    """The tokenizer that made the tokens."""

    name: str
    revision: str | None
    sha256: Sha256
    max_length: Count
    splits: NotRequired[dict[str, Sha256]]


class DataSettings(TypedDict):
    """The settings that cards show."""

    cleaning: Literal["raw", "mask", "repair"]
    conflicts: str
    split_by: str
    split_seed: int
    max_length: Count
    label_map: NotRequired[Any]
    max_train_samples: NotRequired[int | None]


class PublishedDataset(TypedDict):
    """A dataset on the Hub."""

    repo_id: RepoId
    revision: Commit


class SplitSize(TypedDict):
    """The size of a published split."""

    num_examples: Count
    num_bytes: Count


class Suspects(TypedDict):
    """The file of ``--drop-suspects``, and how many of its texts are in the training data."""

    name: str
    sha256: Sha256
    rows: Count
    found: Count


def _require_train(splits: dict[str, DataSplit]) -> dict[str, DataSplit]:
    if not {"train", "validation"} <= splits.keys():
        raise ValueError("train or validation is missing")
    return splits


Splits = Annotated[dict[str, DataSplit], AfterValidator(_require_train)]


class Description(TypedDict, total=False):
    """The publisher's description of the tweets, for the cards."""

    language: list[str]
    license: str
    dataset_name: str
    citation: str


class Data(TypedDict):
    """``data.json``."""

    sources: Sources
    steps: dict[str, Count]
    splits: Splits
    fingerprint: Sha256
    settings: DataSettings
    seed: int
    tokenizer: Tokenizer
    leakage: NotRequired[dict[str, Leakage]]
    suspects: NotRequired[Suspects]
    description: NotRequired[Description]
    published: NotRequired[PublishedDataset]
    configs: NotRequired[dict[str, dict[str, SplitSize]]]
    versions: NotRequired[dict[str, str]]


def count_labels(data: Data) -> int:
    """Return how many labels the training tweets have: 3 with neutral, else 2."""
    return 3 if data["splits"]["train"].get("neutral") else 2
