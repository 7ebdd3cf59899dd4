"""``s140 prepare``, and the data of every other verb."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import DataError, HubError, RecipeError
from sentiment140_bert.recipe import DataConfig, Recipe
from sentiment140_bert.runs import without_folders

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.data.preview import Preview

log = logging.getLogger(__name__)
Data = tuple["Prepared", "Prepared", Any]  # splits, their tokens, and the tokenizer


def prepare(recipe: Recipe) -> dict[str, Any]:
    """Reads, cleans, folds, splits and tokenizes the recipe's tweets.

    Returns:
        ``data.json``, and ``cached`` (nothing had to be done) and ``folder`` (where the tokens lie).

    Raises:
        DataError: The tweets cannot be used.
        ModelError: The tokenizer cannot be loaded.
    """
    prepared, tokens, _ = tokenized(recipe)
    return tokens.report | {
        "cached": {"splits": prepared.cached, "tokens": tokens.cached},
        "folder": str(tokens.folder),
        "bad_rows_file": str(bad) if (bad := prepared.folder / "bad_rows.jsonl").is_file() else None,
    }


def preview(recipe: Recipe) -> Preview:
    """``s140 prepare --dry-run``: how the recipe's dataset is understood, and its first rows.

    Raises:
        DataError: It cannot be used.
    """
    from sentiment140_bert.data import preview as previews

    return previews.preview(recipe.data)


def splits(data: DataConfig) -> tuple[Prepared, Path | None]:
    """The splits, and the folder of the published dataset that they are, if they are one."""
    if not data.max_train_samples:
        return _whole_splits(data)
    from sentiment140_bert.data import subset

    whole, folder = _whole_splits(data.model_copy(update={"max_train_samples": None}))
    part = subset.cut(whole, data.max_train_samples)
    return part, folder if part.folder == whole.folder else None


def _whole_splits(data: DataConfig) -> tuple[Prepared, Path | None]:
    from sentiment140_bert.data import publication, source
    from sentiment140_bert.data.prepare import prepare

    if not source.is_hub_id(data.dataset):
        return prepare(data), None
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    try:
        found = fetch.download_published_dataset(Hub(), data.dataset, data.dataset_revision)
    except HubError as error:
        if error.status not in (401, 404):
            raise
        raise DataError(
            f"The dataset {data.dataset!r} is neither a file here nor found on the Hub: {error.message}",
            "Check the spelling and the path; a private dataset needs `hf auth login`.",
        ) from None
    if not found:
        return prepare(data), None
    folder, commit = found
    if data.drop_suspects:
        raise DataError(
            f"The splits of {data.dataset} are used as they were published: no tweet of {data.drop_suspects} can be "
            "left out of them.",
            "Give --drop-suspects with the tweets that they were made from.",
        )
    prepared = publication.read(folder, data.dataset, commit)
    differing = [
        f"{key} {value!r} (here {getattr(data, key)!r})"
        for key, value in prepared.report["settings"].items()
        if key in publication.DECIDED and getattr(data, key) != value
    ]
    if data.label_map and data.label_map != prepared.report["settings"].get("label_map"):
        differing.append(f"label_map (here {data.label_map})")
    if data.manual_test and data.manual_test != "none":
        differing.append(f"manual_test (here {data.manual_test})")
    said = f"; decided there: {', '.join(differing)}" if differing else ""
    log.info("data: the splits of %s are used as they were published%s", data.dataset, said)
    return prepared, folder


def tokenized(recipe: Recipe) -> Data:
    """Splits, their tokens, and the tokenizer."""
    if recipe.data.max_train_samples:
        whole = tokenized(recipe.with_values({"max_train_samples": None}))
        return cut(whole, recipe.data.max_train_samples)
    from sentiment140_bert import models
    from sentiment140_bert.data import clean, publication
    from sentiment140_bert.data.prepare import tokenized as tokens_of

    prepared, folder = splits(recipe.data)
    name = recipe.model.model_name_or_path
    commit = models.resolve_commit(name, recipe.model.model_revision)
    normalizer = clean.normalizer(prepared.report["settings"]["cleaning"])
    tokenizer = models.load_tokenizer(name, commit, normalizer)
    if recipe.data.max_length > tokenizer.model_max_length:
        limit = tokenizer.model_max_length
        raise RecipeError([f"max_length: {recipe.data.max_length} is more than the model takes, {limit} tokens"])
    at_hand = partial(publication.tokens_of, folder, prepared) if folder else None
    tokens = tokens_of(prepared, tokenizer, recipe.data.max_length, at_hand)
    tokens.report["tokenizer"] |= {"name": without_folders(name), "revision": commit}
    log.info("data: %s", ", ".join(f"{split['rows']:,} {name}" for name, split in tokens.report["splits"].items()))
    if tokens.cached:
        log.info("data: taken from the cache, nothing was tokenized")
    return prepared, tokens, tokenizer


def cut(whole: Data, rows: int) -> Data:
    """The same with ``rows`` training tweets: nothing is read or tokenized again.

    Raises:
        DataError: There are fewer, or they do not hold both labels.
    """
    from sentiment140_bert.data import subset

    prepared, tokens, tokenizer = whole
    part = subset.cut(prepared, rows)
    log.info("data: %s training tweets are drawn of %s", f"{rows:,}", f"{prepared.report['splits']['train']['rows']:,}")
    return part, subset.cut_tokens(prepared, tokens, part, tokenizer), tokenizer
