"""The documentation names what there is: every command, every option, and no option that there is not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from sentiment140_bert.cli import main
from sentiment140_bert.recipe import list_recipes

ROOT = Path(__file__).resolve().parents[1]


def page(pattern: str) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(ROOT.glob(pattern)))


def commands(group: click.Group = main, name: str = "s140") -> Iterator[tuple[str, click.Command]]:
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


ALL = dict(commands())
FLAGS = {
    flag
    for command in ALL.values()
    for option in command.params
    if isinstance(option, click.Option)
    for flag in (*option.opts, *option.secondary_opts)
}


def test_every_command_and_recipe_and_all_options_are_documented() -> None:
    readme, text = page("README.md"), page("README.md") + page("docs/*.md")
    missing = [name for name in ALL if not re.search(rf"{re.escape(name)}\b", readme)]
    missing += [name for name in list_recipes() if name not in text]
    for name, command in ALL.items():
        flags = [flag for option in command.params if isinstance(option, click.Option) for flag in option.opts]
        missing += [f"{name} {flag}" for flag in flags if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text)]
    assert missing == []


def test_every_s140_call_in_the_documentation_can_be_parsed() -> None:
    """A flag that stands on a line with ``s140 …`` exists."""
    lines = [line for line in (page("*.md") + page("docs/*.md")).splitlines() if re.search(r"\bs140 \w", line)]
    mentioned = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", line)}
    assert mentioned - FLAGS - {"--help", "--version"} == set()


def test_links_to_files_lead_somewhere() -> None:
    files = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    links = [
        (file, link)
        for file in files
        for link in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", file.read_text("utf-8"))
    ]
    assert [(file.name, link) for file, link in links if not (file.parent / link).exists()] == []


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    """In a process of its own: click remembers the help options of whoever asked first."""
    program = [sys.executable, str(ROOT / "scripts" / "commands_page.py"), "--print"]
    page = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert page == (ROOT / "docs" / "commands.md").read_text("utf-8"), "run: python scripts/commands_page.py"
