"""One commit of the base model for all of a run: its tokenizer, its weights, and whatever a resumed run loads again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir

if TYPE_CHECKING:
    from sentiment140_bert.data.preparing import Data


def at_one_commit(recipe: Recipe, begun: RunDir | None = None, data: Data | None = None) -> Recipe:
    """The recipe with the commit of its base model in place of a branch; as it is where that is not on the Hub.

    Args:
        recipe: As it was asked for, and stays in ``recipe.yaml``.
        begun: A run that goes on: it keeps the commit that it began with, whatever happened on the Hub since.
        data: What was prepared before, with the tokenizer of a commit.

    Raises:
        ModelError: There is no such model.
    """
    from sentiment140_bert import models

    if begun:
        commit = begun.read(begun.environment)["base_model"]["revision"]
    elif data:
        commit = data[1].report["tokenizer"]["revision"]
    else:
        commit = models.resolve_commit(recipe.model.model_name_or_path, recipe.model.model_revision)
    return recipe.with_values({"model_revision": commit}) if commit else recipe
