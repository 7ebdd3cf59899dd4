"""Command line options made from the recipe's own fields: the same names in kebab-case, the same documentation."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import click
import cloup
from click.shell_completion import CompletionItem
from pydantic.fields import FieldInfo

from sentiment140_bert.cli.help import SettingOption
from sentiment140_bert.errors import RecipeError, S140Error, is_unicode
from sentiment140_bert.recipe import FILE_SETTINGS, SECTIONS, Recipe, list_recipes, load_recipe, to_key

ALIASES = {"dataset_revision": ["--revision"]}
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class TypedText(click.ParamType):  # type: ignore[type-arg]
    """A text that was typed in UTF-8, also where the locale is C and Python took its bytes for something else."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if is_unicode(value):
            return value
        try:
            return os.fsencode(value).decode("utf-8")
        except UnicodeError:
            raise S140Error(f"{value!a} is not valid Unicode.", "Is the terminal's encoding UTF-8?") from None


def recipe_options(
    *sections: str, only: Sequence[str] = (), aliases: dict[str, list[str]] | None = None, optional: Sequence[str] = ()
) -> Decorator:
    """Return a decorator that adds options for the settings of these sections; one that is not used arrives as None.

    Args:
        sections: Sections of the recipe.
        only: Field names to offer; all when empty.
        aliases: Further flags of a field.
        optional: Field names for which the command does without a value, whatever the recipe's default is.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        fields = {name: field for section in sections for name, field in SECTIONS[section].model_fields.items()}
        for name, field in reversed(fields.items()):
            if not only or name in only:
                flags = [f"--{name.replace('_', '-')}", *(ALIASES | (aliases or {})).get(name, [])]
                function = _build_option(name, flags, field, name not in optional)(function)
        return function

    return decorate


def _build_option(name: str, flags: list[str], field: FieldInfo, has_default: bool) -> Decorator:
    default = field.default if has_default else None
    text = f"{field.description}  [default: {_format_default(default)}]" if default not in (None, ()) else None
    kind = _plain_type(field.annotation)
    if kind is bool:
        flags = [f"{flags[0]}/--no-{flags[0].removeprefix('--')}", *flags[1:]]
    options: dict[str, Any] = {"type": kind, "default": None, "help": text or field.description}
    if name in ("dataset", "model_name_or_path", "teacher", *FILE_SETTINGS):
        options["shell_complete"] = complete_path
    return cloup.option(*flags, name, cls=SettingOption, **options)


def _plain_type(annotation: Any) -> Any:
    """Return the Click type of a setting: without None, constraints and the types of a tuple's words."""
    options = [option for option in get_args(annotation) if option is not NoneType]
    if get_origin(annotation) is Literal:
        return click.Choice(options)
    if get_origin(annotation) is tuple:
        return str
    return _plain_type(options[0]) if options else annotation


def _format_default(default: Any) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    return f"{default:g}" if isinstance(default, float) else str(default)


def require_dataset(flags: Mapping[str, Any], hint: str) -> None:
    """Raise S140Error if flags describe a dataset that is not named."""
    names = [name for name, value in flags.items() if value is not None]
    if names and not flags["dataset"]:
        raise S140Error(f"--{names[0].replace('_', '-')} was given without --dataset.", hint)


def complete_path(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete a value that may be a file or a folder."""
    return [CompletionItem(incomplete, type="file")]


def _complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    packaged = [CompletionItem(name) for name in list_recipes() if name.startswith(incomplete)]
    return packaged or complete_path(ctx, param, incomplete)


set_option = cloup.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any other field of TrainingArguments; repeatable."
)
recipe_option = cloup.option(
    "--recipe", metavar="NAME|FILE", shell_complete=_complete_recipe, help="A packaged recipe or a YAML file."
)
backend_option = cloup.option(
    "--backend",
    type=click.Choice(["torch", "torch-bf16", "onnx", "onnx-int8"]),
    help="torch-bf16: faster, nearly the same scores; onnx: what `s140 export` wrote.  [default: onnx for an exported "
    "folder, else torch]",
)


def output_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, and --quiet, which takes effect at once and is not passed to the command."""
    explain_quiet = "Show results, warnings and errors only."
    function = cloup.option("--quiet", is_flag=True, expose_value=False, callback=_hide_progress, help=explain_quiet)(
        function
    )
    explain_json = "Print one JSON object to stdout; everything else goes to stderr."
    return cloup.option("--json", "as_json", is_flag=True, help=explain_json)(function)


def _hide_progress(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value:
        logging.getLogger("sentiment140_bert").setLevel(logging.WARNING)


def resolve_recipe(recipe: str | None, flags: dict[str, Any], assignments: Sequence[str] = ()) -> Recipe:
    """Return the defaults, overridden by the recipe, overridden by the flags.

    Raises:
        S140Error: There is no such recipe.
        RecipeError: Keys are unknown or values wrong; all are listed.
    """
    from sentiment140_bert.trust import plain_yaml

    base = load_recipe(recipe) if recipe else Recipe()
    values = {name: value for name, value in flags.items() if value is not None}
    for assignment in assignments:
        key, equals, raw = assignment.partition("=")
        if not equals:
            raise RecipeError([f"--set {assignment!r} is not KEY=VALUE"], "the flags")
        try:
            values[to_key(key)] = plain_yaml.load(raw)
        except ValueError:
            values[to_key(key)] = raw
    return base.with_values(values)
