"""Writes docs/commands.md from the commands themselves; a test fails where the page is behind them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sentiment140_bert.cli import main

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

Made by `python scripts/commands_page.py` from the commands' own `--help`; change the text there.

Precedence: default < recipe < flag. Every verb takes `--json`: one JSON object on stdout, all else on stderr.
When a command fails, stdout stays empty and stderr says why.
Exit codes: 0 done; 1 a mistake that the message explains, or Ctrl-C while nothing was being trained; 2 wrong
usage; 130 and 143 training was stopped by Ctrl-C or SIGTERM, with a checkpoint written.
"""


def page() -> str:
    """The page's text."""
    return HEAD + "".join(_sections(main, "s140"))


def _sections(command: click.Command, name: str) -> Iterator[str]:
    if isinstance(command, click.Group):
        for each, child in sorted(command.commands.items()):
            yield from _sections(child, f"{name} {each}")
        return
    with click.Context(command, info_name=name, **main.context_settings) as context:
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        text = " ".join((command.help or "").split())
        yield f"\n## `{name}`\n\n    {usage}\n\n{text}\n\n| option | what it does |\n|---|---|\n"
        for parameter in command.get_params(context):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
                flags, doc = (part.replace("|", "\\|").replace("\n", " ") for part in record)
                yield f"| `{flags}` | {doc} |\n"


if __name__ == "__main__":
    if "--print" in sys.argv:
        click.echo(page(), nl=False)
    else:
        PAGE.write_text(page(), "utf-8")
