"""The models that a training starts from and learns from: of one commit, and not trained on tweets that are scored."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from sentiment140_bert.errors import DataError

if TYPE_CHECKING:
    from sentiment140_bert.data import loading
    from sentiment140_bert.data.cache import Prepared
    from sentiment140_bert.data.leakage import Hashes
    from sentiment140_bert.recipe import Recipe
    from sentiment140_bert.recipe.sections import ModelConfig
    from sentiment140_bert.run import RunDir

log = logging.getLogger(__name__)
SCORED = ("validation", "test", "manual")
OWN_SPLITS = "Use its own: --dataset, --max-samples, --validation-size, --test-size, --split-seed and --cleaning."


class Ancestor(NamedTuple):
    """A teacher, or a model to start from; ``is_fine_tuned`` is True if it surely was trained on labeled texts."""

    name: str
    revision: str | None
    is_fine_tuned: bool


def pin_models(recipe: Recipe, resumed: RunDir | None = None, data: loading.PreparedData | None = None) -> Recipe:
    """Replace the branches of a base model and a teacher on the Hub by commits, so that all of a run is of the same.

    Args:
        recipe: The recipe as given, which stays in ``recipe.yaml``.
        resumed: A run to resume: it keeps the commits that it began with, whatever happened on the Hub since.
        data: Data that were prepared before, with the tokenizer of a commit.

    Raises:
        ModelError: There is no such model.
    """
    from sentiment140_bert import models

    base = recipe.model
    environment = resumed.read_environment() if resumed else None
    if environment:
        commit = environment["base_model"]["revision"]
    elif data:
        commit = data.tokens.report["tokenizer"]["revision"]
    else:
        commit = models.resolve_commit(base.model_name_or_path, base.model_revision)
    pinned: dict[str, Any] = {"model_revision": commit} if commit else {}
    if base.teacher:
        noted = environment.get("teacher") if environment else None
        pinned["teacher_revision"] = noted.get("revision") if noted else _find_commit(base)
    return recipe.with_values(pinned)


def _find_commit(base: ModelConfig) -> str | None:
    """Return the commit of a teacher on the Hub; folders and models of MLflow's registry have none."""
    from sentiment140_bert import models
    from sentiment140_bert.tracking import mlflow_models

    if base.teacher is None or mlflow_models.is_registered(base.teacher):
        return None
    return models.resolve_commit(base.teacher, base.teacher_revision)


def refuse_leakage(
    config: ModelConfig, prepared: Prepared, splits: tuple[str, ...] = SCORED, hint: str = OWN_SPLITS
) -> Hashes:
    """Refuse a teacher or a base model that was trained on tweets which are scored here.

    Args:
        config: The section ``model`` of the recipe, with commits for models on the Hub.
        prepared: The splits of the recipe.
        splits: Those of them that are scored.
        hint: What to do about it.

    Returns:
        The sorted hashes of the texts that these models, and their own ancestors, were trained on, as far as is known.

    Raises:
        DataError: One was: what it knows of these tweets would make the scores too high.
    """
    from sentiment140_bert.data import leakage
    from sentiment140_bert.evaluation.evaluate import find_training_data

    names = [name for name in splits if name in prepared.report["splits"]]
    scored = {name: leakage.hash_texts(prepared.table(name)["text"]) for name in names}
    seen = np.empty(0, np.uint64)
    for ancestor in _list_ancestors(config):
        training = find_training_data(ancestor.name, ancestor.revision)
        if training.hashes is None and training.unknown and ancestor.is_fine_tuned:
            log.warning(
                "leakage: %s: if it saw scored tweets, the scores are too high (%s)", ancestor.name, training.unknown
            )
        hashes = training.hash_texts()
        if hashes is None:
            continue
        for split, texts in scored.items():
            if count := int(np.isin(texts, hashes).sum()):
                raise DataError(
                    f"{ancestor.name} was trained on {count:,} of the {len(texts):,} {split} tweets: their scores "
                    "would be too high.",
                    hint,
                )
        seen = np.union1d(seen, hashes)
    return seen


def _list_ancestors(config: ModelConfig) -> Iterator[Ancestor]:
    """List the teacher and the base model, where it may be fine-tuned; once, if they are the same."""
    from sentiment140_bert import models

    teacher = (config.teacher, config.teacher_revision)
    if config.teacher:
        yield Ancestor(config.teacher, config.teacher_revision, is_fine_tuned=True)
    name, revision = config.model_name_or_path, config.model_revision
    if (name, revision) == teacher:
        return
    architectures = models.load_config(name, revision).architectures or []
    is_classifier = any("Classification" in architecture for architecture in architectures)
    if is_classifier or not models.is_hub_id(name):
        yield Ancestor(name, revision, is_classifier)
