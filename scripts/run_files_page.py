"""The page of a run's files, made from ``RunDir`` and the types of the JSON files; see commands_page.py."""

from __future__ import annotations

import inspect
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, NotRequired, Union, get_args, get_origin, get_type_hints

from page_lines import list_item
from typing_extensions import is_typeddict

from sentiment140_bert import schemas
from sentiment140_bert.run import RunDir, RunFile

HEAD = """# Files of a run

<!-- Written by python scripts/commands_page.py from the code. -->

"""
NOTE = """
\\* marks a score: `value` and, unless it is a count, `low` and `high`, its 95% interval. NAME is a split, a baseline or
the like.
"""
TABLES = {
    "metrics.json": schemas.Metrics,
    "data.json": schemas.Data,
    "environment.json": schemas.Environment,
}
SCORE = {"value", "low", "high"}


def page() -> str:
    """Return the page's text."""
    files = "".join(list_item(f"`{path}`: {content}") for path, content in sorted(_list_files()))
    keys = "".join(f"\n## `{name}`\n\n{''.join(_walk(schema, '', set()))}" for name, schema in TABLES.items())
    return HEAD + files + NOTE + keys


def _list_files() -> Iterator[tuple[str, str]]:
    for file in vars(RunDir).values():
        if isinstance(file, RunFile) and not (path := Path(file.name)).name.startswith("."):
            yield f"{path}/" if not path.suffix else str(path), _first_sentence(file.description)


def _walk(schema: Any, place: str, visited: set[Any]) -> Iterator[str]:
    """Yield a line for a typed dictionary, and one for each kind in it that was not visited yet, apart from scores."""
    schema, place = _unwrap(schema, place)
    if not is_typeddict(schema) or schema in visited:
        return
    visited.add(schema)
    keys, parts = [], []
    for key, hint in get_type_hints(schema, include_extras=True).items():
        inner, inner_place = _unwrap(hint, f"{place}.{key}".lstrip("."))
        is_score = is_typeddict(inner) and {*get_type_hints(inner)} <= SCORE
        keys.append(f"`{key}`" + "\\*" * is_score)
        if is_typeddict(inner) and not is_score:
            parts.append((inner, inner_place))
    lead = f"`{place}`: {_first_sentence(inspect.getdoc(schema) or '')}: " if place else "top level: "
    yield list_item(f"{lead}{', '.join(keys)}")
    for inner, inner_place in parts:
        yield from _walk(inner, inner_place, visited)


def _unwrap(hint: Any, place: str) -> tuple[Any, str]:
    """Return the first typed dictionary that a hint names, and its place; or the hint itself."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Annotated, NotRequired):
        return _unwrap(arguments[0], place)
    if origin in (Union, types.UnionType):
        return _unwrap(next((argument for argument in arguments if argument is not type(None)), hint), place)
    if origin is dict:
        return _unwrap(arguments[1], f"{place}.NAME".lstrip("."))
    if origin is list:
        return _unwrap(arguments[0], f"{place}[]")
    return hint, place


def _first_sentence(text: str) -> str:
    return " ".join(text.split()).replace("``", "`").split("; ")[0].split(". ")[0].rstrip(".")
