"""The dataset card."""

from __future__ import annotations

from importlib.metadata import version

from sentiment140_bert import schemas
from sentiment140_bert.cards import metadata
from sentiment140_bert.cards.facts import HUB_IDS
from sentiment140_bert.cards.markup import render
from sentiment140_bert.cards.merge import LAYOUT
from sentiment140_bert.data.corpora import identify_corpus
from sentiment140_bert.schemas import check_schema


def render_dataset_card(data: schemas.Data, repo_id: str, model_repo_id: str | None) -> str:
    """Return the README of a published dataset.

    Args:
        data: ``data.json``, with ``tokenizer`` and the sizes of the published ``configs``.
        repo_id: The dataset's.
        model_repo_id: Id of the model that was trained on it.

    Raises:
        RunError: ``data`` is not of the shape that this version writes.
    """
    check_schema(data, schemas.Data, "data.json")
    splits = {name: data["splits"][name] for name in data["configs"]["default"]}
    body = render(
        "dataset_card.md",
        version=version("sentiment140-bert"),
        layout=LAYOUT,
        title=repo_id.rpartition("/")[2],
        repo_id=repo_id,
        model_repo_id=model_repo_id,
        corpus=identify_corpus(data),
        data=data,
        has_neutral=schemas.count_labels(data) > 2,
        tokenizer_name=HUB_IDS.get(data["tokenizer"]["name"], data["tokenizer"]["name"]),
        splits=splits,
    )
    return metadata.format_front_matter(metadata.describe_dataset(data)) + "\n" + body
