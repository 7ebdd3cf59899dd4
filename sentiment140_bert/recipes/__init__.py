"""The recipes that ship with the package, and reading one by name or path."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from sentiment140_bert.errors import RecipeError, S140Error
from sentiment140_bert.recipe import Recipe, parse
from sentiment140_bert.trust import plain_yaml


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
    try:
        if not path.is_file():  # nor a device or a pipe, which may never end
            raise S140Error(
                f"There is no recipe {name_or_path[:500]!r}: neither a packaged one nor a file.",
                f"Packaged: {', '.join(names())}.",
            )
        if path.stat().st_size > plain_yaml.LONGEST:
            raise S140Error(
                f"{name_or_path} has {path.stat().st_size:,} bytes, more than the {plain_yaml.LONGEST:,} of a recipe.",
                "Is it the right file?",
            )
        return path.read_text("utf-8")
    except (UnicodeDecodeError, OSError) as error:
        raise S140Error(
            f"The recipe {name_or_path[:500]} cannot be read: {error}.", "A recipe is a UTF-8 YAML file."
        ) from None


def load(name_or_path: str) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        S140Error: There is no such recipe.
        RecipeError: It is not YAML, or holds unknown keys or wrong values (all are listed).
    """
    source = text(name_or_path)
    try:
        plain = plain_yaml.load(source)
    except ValueError as error:
        raise RecipeError([f"not valid YAML: {error}"], name_or_path) from None
    return parse({} if plain is None else plain, name_or_path)
