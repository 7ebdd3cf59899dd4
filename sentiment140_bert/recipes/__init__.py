"""The recipes that ship with the package, and reading one by name or path."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml

from sentiment140_bert.errors import RecipeError, S140Error
from sentiment140_bert.recipe import Recipe, parse


class _EachKeyOnce(yaml.SafeLoader):
    """Safe YAML in which a key given twice is an error rather than silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"{twice} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def names() -> list[str]:
    """Names of the packaged recipes, sorted."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__name__).iterdir() if entry.name.endswith(".yaml")
    )


def text(name_or_path: str) -> str:
    """A recipe's YAML as it was written, comments included.

    Args:
        name_or_path: A packaged name (``quickstart``) or a file (``mine.yaml``).

    Raises:
        S140Error: There is no such recipe, or the file cannot be read as text.
    """
    if name_or_path in names():
        return files(__name__).joinpath(f"{name_or_path}.yaml").read_text("utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        raise S140Error(
            f"There is no recipe {name_or_path!r}: neither a packaged one nor a file.",
            f"Packaged: {', '.join(names())}.",
        )
    try:
        return path.read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise S140Error(
            f"The recipe {name_or_path} cannot be read: {error}.", "A recipe is a UTF-8 YAML file."
        ) from None


def load(name_or_path: str) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        S140Error: There is no such recipe.
        RecipeError: It is not YAML, or holds unknown keys or wrong values (all are listed).
    """
    source = text(name_or_path)
    try:
        plain = yaml.load(source, _EachKeyOnce)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise RecipeError([f"not valid YAML: {' '.join(str(error).split())}"], name_or_path) from None
    return parse({} if plain is None else plain, name_or_path)
