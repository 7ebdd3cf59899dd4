"""Write the pages of the site's reference from the code; a test fails if a page is outdated.

python scripts/commands_page.py          docs/commands.md, docs/recipe.md and docs/run_files.md
python scripts/commands_page.py --print  to stdout
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import click
import recipe_page
import run_files_page
from page_lines import list_item, wrap

from sentiment140_bert.cli import main
from sentiment140_bert.recipe import SECTION_BY_KEY, SECTIONS

DOCS = Path(__file__).parents[1] / "docs"
HEAD = """# Commands

<!-- Written by python scripts/commands_page.py from the commands' own help. -->

A flag overrides the recipe, which overrides the default. Every command takes `--help`, `--quiet` (no progress) and
`--json`: one JSON object on stdout, everything else on stderr. [Exit codes](reliability.md#exit-codes).
"""
EVERYWHERE = {"--help", "--json", "--quiet"}
GUIDES = {  # the page that tells how to use a command
    "card": "hub.md#cards",
    "doctor": "local_gpu.md#s140-doctor",
    "evaluate": "evaluation.md",
    "export": "export.md",
    "learning-curve": "learning_curve.md",
    "predict": "data.md#labeling-a-file",
    "prepare": "data.md",
    "push-to-hub": "hub.md",
    "report": "report.md",
    "spark": "databricks.md",
    "suspects": "label_noise.md",
    "track": "tracking.md",
    "tune": "tuning.md",
    "verify": "hub.md#verify",
}
Row = tuple[str, str]  # flags and help


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        "commands.md": commands_page(),
        "recipe.md": recipe_page.page(),
        "run_files.md": run_files_page.page(),
    }


def commands_page() -> str:
    """Return the page of commands; options that several commands have in the same words are described once."""
    sections = {
        section.title: [named for name, command in section.commands.items() for named in _list_commands(command, name)]
        for section in main.list_sections(_make_context("s140", main))
    }
    users: dict[Row, list[str]] = defaultdict(list)
    for name, command in chain(*sections.values()):
        for option in _list_options(name, command):
            users[_row(name, command, option)].append(name)
    shared = {row for row, names in users.items() if len(names) > 1}
    described = (
        f"\n## {title}\n" + "".join("".join(_describe(name, command, shared)) for name, command in commands)
        for title, commands in sections.items()
    )
    rows = sorted(shared, key=lambda row: row[0].lstrip("-"))
    return HEAD + "".join(described) + "\n## Shared options\n\n" + "".join(map(_render, rows))


def _list_commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command with its whole name, or those of a group."""
    if isinstance(command, click.Group):
        for word, child in sorted(command.commands.items()):
            yield from _list_commands(child, f"{name} {word}")
    else:
        yield f"s140 {name}", command


def _describe(name: str, command: click.Command, shared: set[Row]) -> Iterator[str]:
    usage = [piece for piece in command.collect_usage_pieces(_make_context(name, command)) if piece != "[OPTIONS]"]
    guide = GUIDES.get(name.split()[1])
    text = " ".join((command.help or "").split("\n\n")[0].split()) + (f" [Guide]({guide})." if guide else "")
    yield f"\n### `{' '.join([name, *usage])}`\n\n{wrap(text)}"
    rows = {option.opts[0]: _row(name, command, option) for option in _list_options(name, command)}
    items = [_render(row) for row in rows.values() if row not in shared]
    if also := [f"`{flag}`" for flag, row in rows.items() if row in shared]:
        items.append(list_item(f"[Shared options](#shared-options): {', '.join(also)}"))
    if settings := [*_name_settings(command)]:
        items.append(list_item(f"[Settings](recipe.md): {', '.join(settings)}"))
    if items:
        yield "\n" + "".join(items)


def _name_settings(command: click.Command) -> Iterator[str]:
    """Yield the sections of which all settings are offered, then the other settings by their flags."""
    options = {option.name: option for option in command.params if _is_setting(option)}
    for section in SECTIONS:
        members = {name for name, home in SECTION_BY_KEY.items() if home == section}
        if members and members <= options.keys():
            yield f"[{section}](recipe.md#{section})"
            options = {name: option for name, option in options.items() if name not in members}
    yield from (f"`{option.opts[0]}`" for option in options.values())


def _is_setting(option: click.Parameter) -> bool:
    """Return True for a setting of a recipe, which the page of recipes describes in the same words."""
    of_train = {other.name: other.help for other in main.commands["train"].params if isinstance(other, click.Option)}
    return (
        isinstance(option, click.Option) and option.name in SECTION_BY_KEY and option.help == of_train.get(option.name)
    )


def _make_context(name: str, command: click.Command) -> click.Context:
    return command.context_class(command, info_name=name, **main.context_settings)


def _list_options(name: str, command: click.Command) -> Iterator[click.Option]:
    """Yield the options of a command that are not settings of a recipe."""
    for parameter in command.get_params(_make_context(name, command)):
        if isinstance(parameter, click.Option) and not EVERYWHERE & {*parameter.opts} and not _is_setting(parameter):
            yield parameter


def _row(name: str, command: click.Command, option: click.Option) -> Row:
    flags, text = option.get_help_record(_make_context(name, command)) or ("", "")
    return flags, " ".join(text.split())


def _render(row: Row) -> str:
    flags, text = row
    return list_item(f"`{flags}`: {text}") if flags else ""


if __name__ == "__main__":
    for name, text in pages().items():
        if "--print" in sys.argv:
            click.echo(f"{name}\n{text}", nl=False)
        else:
            (DOCS / name).write_text(text, "utf-8")
