"""The documentation names what there is: every command, every option, and no option that there is not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from sentiment140_bert import recipes
from sentiment140_bert.cli import main

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


@pytest.mark.parametrize("name", ALL)
def test_the_readme_names_the_command(name: str) -> None:
    assert re.search(rf"{re.escape(name)}\b", page("README.md"))


@pytest.mark.parametrize("name", ALL)
def test_the_options_are_documented(name: str) -> None:
    text = page("README.md") + page("docs/*.md")
    flags = [flag for option in ALL[name].params if isinstance(option, click.Option) for flag in option.opts]
    assert [flag for flag in flags if not re.search(rf"(?<![\w-]){re.escape(flag)}(?![\w-])", text)] == []


@pytest.mark.parametrize("name", recipes.names())
def test_the_packaged_recipes_are_named(name: str) -> None:
    assert name in page("README.md") + page("docs/*.md")


def test_every_s140_call_in_the_documentation_can_be_parsed() -> None:
    """A flag that stands on a line with ``s140 …`` exists."""
    lines = [line for line in (page("*.md") + page("docs/*.md")).splitlines() if re.search(r"\bs140 \w", line)]
    mentioned = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", line)}
    assert mentioned - FLAGS - {"--help", "--version"} == set()


@pytest.mark.parametrize("file", sorted(ROOT.glob("*.md")) + sorted(ROOT.glob("docs/*.md")), ids=lambda file: file.name)
def test_links_to_files_lead_somewhere(file: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", file.read_text("utf-8"))
    assert [link for link in links if not (file.parent / link).exists()] == []


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    program = [sys.executable, str(ROOT / "scripts" / "commands_page.py"), "--print"]
    made = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert made == (ROOT / "docs" / "commands.md").read_text("utf-8"), "run: python scripts/commands_page.py"
