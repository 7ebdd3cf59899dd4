"""The page of a recipe's keys, made from the fields of its sections; see commands_page.py."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from page_lines import list_item
from pydantic.fields import FieldInfo

from sentiment140_bert.recipe import SECTIONS

HEAD = """# Recipe keys

<!-- Written by python scripts/commands_page.py from the code. -->

A recipe is a YAML file with the sections below. Every key has a flag with hyphens: `learning_rate` is
`--learning-rate`, and a `false` is `--no-…`. Each key that `TrainingArguments` has means the same here, and
`--set KEY=VALUE` sets any other. Copy a packaged recipe and change it:

```
s140 recipes ls
s140 recipes cp bert-base-100k mine.yaml
s140 recipes validate mine.yaml
```

`s140 recipes schema` prints a JSON Schema by which editors complete and check a recipe. Defaults are in
parentheses. A sixth section, `tuning`, has the ranges of [`s140 tune`](tuning.md#what-is-tried).
"""


def page() -> str:
    """Return the page's text."""
    return HEAD + "".join(
        f"\n## {name}\n\n{''.join(_render(key, field) for key, field in section.model_fields.items())}"
        for name, section in SECTIONS.items()
    )


def _render(key: str, field: FieldInfo) -> str:
    meaning = " ".join((field.description or "").split())
    choices = [str(choice) for choice in _list_choices(field.annotation)]
    if any(not re.search(rf"(?<![\w-]){re.escape(choice)}(?![\w-])", meaning) for choice in choices):
        meaning += f" One of {', '.join(choices)}."
    default = _show(field.default)
    return list_item(f"`{key}`{default and f' ({default})'}: {meaning}")


def _show(default: Any) -> str:
    if default in (None, ()):
        return ""
    if isinstance(default, tuple):
        default = ",".join(default)
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def _list_choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif get_origin(annotation) is Annotated:
        yield from _list_choices(get_args(annotation)[0])
