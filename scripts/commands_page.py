"""Write docs/commands.md from the commands' own help; a test fails where the page is behind it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sentiment140_bert.cli import main
from sentiment140_bert.recipe import SECTION_BY_KEY, SECTIONS

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

Made by `python scripts/commands_page.py` from the commands' own `--help`; change the text there.

A flag overrides the recipe, which overrides the default. Every command takes `--help`, `--quiet` (no progress) and
`--json`: one JSON object on stdout, everything else on stderr. When a command fails, stdout stays empty and stderr
says why.
Exit codes: 0 done; 1 a mistake that the message explains, or Ctrl-C while nothing was being trained; 2 wrong usage;
130 and 143 training was stopped by Ctrl-C or SIGTERM, after writing a checkpoint.
Flags that are settings of a recipe are described once, under [Settings](#settings);
`s140 recipes schema` prints them for editors.
"""
EVERYWHERE = {"--help", "--json", "--quiet"}
TABLE = "\n| option | what it does |\n|---|---|\n"


def page() -> str:
    """Return the page's text."""
    described = ("".join(_describe(*command)) for command in _commands(main, "s140"))
    return HEAD + "".join(described) + "".join(_settings())


def _commands(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for word, child in sorted(command.commands.items()):
            yield from _commands(child, f"{name} {word}")
    else:
        yield name, command


def _describe(name: str, command: click.Command) -> Iterator[str]:
    context = _context(name, command)
    text = " ".join((command.help or "").split())
    yield f"\n## `{name}`\n\n    {' '.join([name, *command.collect_usage_pieces(context)])}\n\n{text}\n"
    settings = [option for option in _options(context) if _is_setting(option)]
    own = [option for option in _options(context) if option not in settings]
    if own:
        yield TABLE + "".join(_row(option, context) for option in own)
    if settings:
        yield f"\nSettings: {', '.join(_name(settings))}.\n"


def _is_setting(option: click.Option) -> bool:
    """Return True for a setting of a recipe, which `s140 train` describes in the same words."""
    of_train = {other.name: other.help for other in main.commands["train"].params if isinstance(other, click.Option)}
    return option.name in SECTION_BY_KEY and option.help == of_train.get(option.name)


def _name(options: list[click.Option]) -> Iterator[str]:
    """Yield the sections of which all settings are offered, then the other settings by their flags."""
    names = {option.name for option in options}
    for section in SECTIONS:
        members = {name for name, home in SECTION_BY_KEY.items() if home == section}
        if members and members <= names:
            yield f"all of [{section}](#{section})"
            names -= members
    yield from (f"`{option.opts[0]}`" for option in options if option.name in names)


def _settings() -> Iterator[str]:
    yield "\n## Settings\n"
    context = _context("s140 train", main.commands["train"])
    rows = {option.name: _row(option, context) for option in _options(context) if option.name in SECTION_BY_KEY}
    for section in SECTIONS:
        members = [row for name, row in rows.items() if SECTION_BY_KEY[name] == section]
        if members:
            yield f"\n### {section}\n{TABLE}{''.join(members)}"


def _context(name: str, command: click.Command) -> click.Context:
    return command.context_class(command, info_name=name, **main.context_settings)


def _options(context: click.Context) -> Iterator[click.Option]:
    for parameter in context.command.get_params(context):
        if isinstance(parameter, click.Option) and not EVERYWHERE & {*parameter.opts}:
            yield parameter


def _row(option: click.Option, context: click.Context) -> str:
    flags, text = option.get_help_record(context) or ("", "")
    escaped = [part.replace("|", "\\|").replace("\n", " ") for part in (flags, text)]
    return f"| `{escaped[0]}` | {escaped[1]} |\n" if flags else ""


if __name__ == "__main__":
    if "--print" in sys.argv:
        click.echo(page(), nl=False)
    else:
        PAGE.write_text(page(), "utf-8")
