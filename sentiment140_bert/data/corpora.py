"""Identify the corpus of the training tweets, and decide the facts that cards may state of it.

Cards state what is known of the source, or what the publisher says of it, and nothing else.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, cast

from sentiment140_bert import schemas
from sentiment140_bert.recipe import CardConfig

# The sha256 under which several public dataset registries record Stanford's archive.
STANFORD_SHA256 = "004a3772c8a7ff9bbfeb875880f47f0679d93fc63e5cf9cff72d54a8a6162e57"
SAMPLE_SHA256 = "05de39a2b3b4d2e0d554d17535f4eff608f87ea0d79990a18980e624b292912a"
HUB_NAMES = ("stanfordnlp/sentiment140", "sentiment140")
GO_ET_AL = """\
@techreport{go2009twitter,
  title = {Twitter Sentiment Classification using Distant Supervision},
  author = {Go, Alec and Bhayani, Richa and Huang, Lei},
  institution = {Stanford University},
  type = {CS224N Project Report},
  year = {2009}
}"""


@dataclass(frozen=True)
class Corpus:
    """The facts of a corpus, empty if unknown; ``license`` is of the tweets, ``hub_id`` of their dataset on the Hub."""

    kind: Literal["sentiment140", "sample", "other"] = "other"
    name: str | None = None
    language: tuple[str, ...] = ()
    license: str | None = None
    citations: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    hub_id: str | None = None


SENTIMENT140 = Corpus(
    "sentiment140",
    name="Sentiment140",
    language=("en",),
    citations=(GO_ET_AL,),
    tags=("sentiment140", "twitter"),
    hub_id=HUB_NAMES[0],
)
SAMPLE = Corpus("sample", name="invented tweets", language=("en",), license="mit")
FILES = {STANFORD_SHA256: SENTIMENT140, SAMPLE_SHA256: SAMPLE}


def identify_source(source: schemas.Source) -> Corpus:
    """Identify a source of ``data.json``: a dataset of the Hub by its name, a file by its sha256.

    A file's name proves nothing, for anyone may choose it.
    """
    if source["on_hub"]:
        return SENTIMENT140 if source["name"] in HUB_NAMES else Corpus()
    return FILES.get(source["sha256"], Corpus()) if source["sha256_of"] == "file" else Corpus()


def identify_corpus(data: schemas.Data) -> Corpus:
    """Return the facts that cards may state of the training tweets.

    Args:
        data: ``data.json``; the publisher's ``description`` overrides known facts, except the citation, which is added.
    """
    corpus, description = identify_source(data["sources"]["training"]), data.get("description", {})
    if data["settings"].get("label_map"):
        # Its labels mean other things.
        corpus = Corpus(name=corpus.name, language=corpus.language, license=corpus.license)
    return dataclasses.replace(
        corpus,
        name=description.get("dataset_name", corpus.name),
        language=tuple(description.get("language", corpus.language)),
        license=description.get("license", corpus.license),
        citations=tuple(dict.fromkeys([*corpus.citations, *filter(None, [description.get("citation")])])),
    )


def list_decided_keys(data: schemas.Data) -> tuple[str, ...]:
    """Return the keys of a card's front matter that the description in ``data.json`` decides."""
    return ("license",) if "license" in data.get("description", {}) else ()


def add_description(data: schemas.Data, description: CardConfig | None) -> schemas.Data:
    """Return ``data.json`` with the publisher's description of the tweets; values that are not set stay."""
    values = description.model_dump() if description else {}
    now = {key: list(value) if isinstance(value, tuple) else value for key, value in values.items() if value}
    return cast(schemas.Data, {**data, "description": data.get("description", {}) | now}) if now else data
