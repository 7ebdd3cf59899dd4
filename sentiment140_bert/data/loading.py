"""Prepare the data of a recipe: the verb ``s140 prepare``, and the data of every other verb."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from sentiment140_bert import schemas
from sentiment140_bert.errors import DataError, HubError, RecipeError
from sentiment140_bert.recipe import DataConfig, Recipe, RecipeName, as_recipe
from sentiment140_bert.recipe.privacy import strip_folders

if TYPE_CHECKING:
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.data.reading import Preview

log = logging.getLogger(__name__)


class Preparation(schemas.Data):
    """``data.json``, with what :func:`prepare` found in the cache, and the paths of the tokens and the bad rows."""

    cached: dict[str, bool]
    folder: str
    bad_rows_file: str | None


class PreparedData(NamedTuple):
    """Splits, their tokens, and the tokenizer."""

    splits: Prepared
    tokens: Prepared
    tokenizer: Any


def prepare(recipe: RecipeName) -> Preparation:
    """Read, clean, deduplicate, split and tokenize the recipe's tweets.

    Returns:
        ``data.json``, with ``cached`` (True for steps that were loaded), and the paths ``folder`` (of the tokens) and
        ``bad_rows_file``.

    Raises:
        DataError: The tweets cannot be used.
        ModelError: The tokenizer cannot be loaded.
    """
    splits, tokens, _ = load_data(as_recipe(recipe))
    bad_rows = splits.folder / "bad_rows.jsonl"
    return {
        **tokens.report,
        "cached": {"splits": splits.cached, "tokens": tokens.cached},
        "folder": str(tokens.folder),
        "bad_rows_file": str(bad_rows) if bad_rows.is_file() else None,
    }


def preview(recipe: RecipeName) -> Preview:
    """Show the format of the recipe's dataset and its first rows: ``s140 prepare --dry-run``.

    Raises:
        DataError: It cannot be used.
    """
    from sentiment140_bert.data.reading import preview_source

    return preview_source(as_recipe(recipe).data)


def load_data(recipe: Recipe) -> PreparedData:
    """Prepare splits and tokens, or load them from the cache."""
    if recipe.data.max_train_samples:
        full = load_data(recipe.with_values({"max_train_samples": None}))
        return draw_subset(full, recipe.data.max_train_samples)
    from sentiment140_bert import models
    from sentiment140_bert.data import clean, data_json, pipeline, published_dataset

    splits, folder = load_splits(recipe.data)
    name = recipe.model.model_name_or_path
    commit = models.resolve_commit(name, recipe.model.model_revision)
    normalizer = clean.make_normalizer(splits.report["settings"]["cleaning"])
    tokenizer = models.load_tokenizer(name, commit, normalizer)
    if recipe.data.max_length > tokenizer.model_max_length:
        limit = tokenizer.model_max_length
        raise RecipeError([f"max_length: {recipe.data.max_length} is more than the model's limit of {limit} tokens"])
    read_published = partial(published_dataset.read_tokens, folder, splits) if folder else None
    tokens = pipeline.tokenize_splits(splits, tokenizer, recipe.data.max_length, read_published)
    tokens.report["tokenizer"] |= {"name": strip_folders(name), "revision": commit}
    log.info("data: %s", ", ".join(f"{split['rows']:,} {name}" for name, split in tokens.report["splits"].items()))
    _check_metric(recipe, tokens.report)
    if schemas.count_labels(tokens.report) > 2:
        log.info("data: three labels: negative, neutral, positive (--labels 2 would leave neutral tweets out)")
    if left_out := data_json.describe_left_out(tokens.report.get("steps", {})):
        log.warning("data: %s", left_out)
    if tokens.cached:
        log.info("data: loaded from the cache, nothing was tokenized")
    return PreparedData(splits, tokens, tokenizer)


def _check_metric(recipe: Recipe, described: schemas.Data) -> None:
    metric = recipe.training.metric_for_best_model
    names = (*schemas.THREE_LABEL_SCORES, "loss")
    if schemas.count_labels(described) > 2 and metric.removeprefix("eval_") not in names:
        problem = f"{metric} is a score of two labels, and these tweets have three: choose one of {', '.join(names)}"
        raise RecipeError([f"metric_for_best_model: {problem}, or leave neutral tweets out with --labels 2"])


def load_splits(data: DataConfig) -> tuple[Prepared, Path | None]:
    """Return the splits, and the folder of the published dataset that they are, if they are one."""
    if not data.max_train_samples:
        return _load_full_splits(data)
    from sentiment140_bert.data import subset

    full, folder = _load_full_splits(data.model_copy(update={"max_train_samples": None}))
    part = subset.draw_subset(full, data.max_train_samples)
    return part, folder if part.folder == full.folder else None


def _load_full_splits(data: DataConfig) -> tuple[Prepared, Path | None]:
    from sentiment140_bert.data import published_dataset, sources
    from sentiment140_bert.data.pipeline import prepare_splits

    if not sources.is_hub_id(data.dataset):
        return prepare_splits(data), None
    from sentiment140_bert.hub import fetch
    from sentiment140_bert.hub.client import Hub

    try:
        published = fetch.download_published_dataset(Hub(), data.dataset, data.dataset_revision)
    except HubError as error:
        if error.status not in (401, 404):
            raise
        raise DataError(
            f"The dataset {data.dataset!r} is neither a file here nor found on the Hub: {error.message}",
            "Check the spelling and the path; a private dataset needs `hf auth login`.",
        ) from None
    if not published:
        return prepare_splits(data), None
    folder, commit = published
    if data.drop_suspects:
        raise DataError(
            f"The splits of {data.dataset} are used as they were published, so the tweets of {data.drop_suspects} "
            "cannot be left out.",
            "Use --drop-suspects with the original tweets instead.",
        )
    splits = published_dataset.read_dataset(folder, data.dataset, commit)
    ignored = _list_ignored_settings(data, splits.report["settings"])
    decided = f"; their own settings apply: {', '.join(ignored)}" if ignored else ""
    log.info("data: the splits of %s are used as they were published%s", data.dataset, decided)
    return splits, folder


def _list_ignored_settings(data: DataConfig, published: schemas.DataSettings) -> list[str]:
    """Return the settings of published splits that differ from the given ones, as text."""
    from sentiment140_bert.data.published_dataset import DECIDED

    ignored = [
        f"{key} {value!r} (here {getattr(data, key)!r})"
        for key, value in published.items()
        if key in DECIDED and getattr(data, key) != value
    ]
    if data.label_map and data.label_map != published.get("label_map"):
        ignored.append(f"label_map (here {data.label_map})")
    if data.manual_test and data.manual_test != "none":
        ignored.append(f"manual_test (here {data.manual_test})")
    return ignored


def draw_subset(full: PreparedData, rows: int) -> PreparedData:
    """Return the same data with ``rows`` training tweets: nothing is read or tokenized again.

    Raises:
        DataError: There are fewer, or they do not hold both labels.
    """
    from sentiment140_bert.data import subset

    part = subset.draw_subset(full.splits, rows)
    available = full.splits.report["splits"]["train"]["rows"]
    log.info("data: drew %s of %s training tweets", f"{rows:,}", f"{available:,}")
    return PreparedData(part, subset.draw_token_subset(full.splits, full.tokens, part, full.tokenizer), full.tokenizer)
