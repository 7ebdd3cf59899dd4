"""Help in sections: what people need first comes first, a recipe's settings come by their section."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click
import cloup

from sentiment140_bert.cli.outputs import check_outputs
from sentiment140_bert.recipe import SECTION_BY_KEY, list_recipes

EVERYWHERE = ("as_json", "quiet")  # options of every command, shown last


# Names that other tools give to these options.
OTHER_NAMES = {
    "--lr": "--learning-rate",
    "--epochs": "--num-train-epochs",
    "--batch-size": "--per-device-train-batch-size",
    "--eval-batch-size": "--per-device-eval-batch-size",
    "--model": "--model-name-or-path",
    "--data": "--dataset",
    "--output": "--output-dir",
    "--out": "--output-dir",
    "--force": "--overwrite",
}


class SettingOption(cloup.Option):
    """An option that is a setting of a recipe, which names all wrong values at once."""

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        try:
            return super().type_cast_value(ctx, value)
        except click.BadParameter:
            return value


class Command(cloup.Command):
    """A command whose own options come before a recipe's settings, which are grouped by their section.

    Before it runs, the files that it is to write are checked.

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

    def invoke(self, ctx: click.Context) -> Any:
        check_outputs(ctx)
        return super().invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = list(args)
        flags = {flag for param in self.params for flag in param.opts}
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            if (flag := OTHER_NAMES.get(error.option_name)) in flags:
                raise click.UsageError(f"{error.message} Did you mean '{flag}'?", ctx) from None
            raise
        except click.UsageError:
            if "--recipe" in flags and words and words[0] in list_recipes():
                raise click.UsageError(f"A recipe is named by its flag: --recipe {words[0]}", ctx) from None
            raise


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
