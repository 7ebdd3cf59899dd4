"""Help in sections: what people need first comes first, a recipe's settings come by their section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import cloup

from sentiment140_bert.recipe import SECTION_BY_KEY

EVERYWHERE = ("as_json", "quiet")  # options of every command, shown last


class SettingOption(cloup.Option):
    """An option that is a setting of a recipe."""


class Command(cloup.Command):
    """A command whose own options come before a recipe's settings, which are grouped by their section.

    Args:
        most_used: Names of the options that come first of all.
    """

    def __init__(
        self, *args: Any, params: list[click.Parameter] | None = None, most_used: Sequence[str] = (), **kwargs: Any
    ) -> None:
        ranks = {name: rank for rank, name in enumerate(most_used)}

        def sort_key(param: click.Parameter) -> tuple[bool, int]:
            rank = ranks.get(str(param.name), len(ranks))
            return rank == len(ranks) and isinstance(param, SettingOption), rank

        params = sorted(params or [], key=sort_key)
        if any(isinstance(param, SettingOption) for param in params):
            _group(params, ranks)
        super().__init__(*args, params=params, **kwargs)


def _group(params: list[click.Parameter], most_used: dict[str, int]) -> None:
    groups: dict[str, cloup.OptionGroup] = {}
    for param in params:
        if not isinstance(param, cloup.Option) or param.name in EVERYWHERE:
            continue
        if param.name in most_used:
            title = "Most used"
        elif isinstance(param, SettingOption):
            title = f"{SECTION_BY_KEY[str(param.name)].capitalize()} settings"
        else:
            title = "More" if most_used else "Options"
        param.group = groups.setdefault(title, cloup.OptionGroup(title))
