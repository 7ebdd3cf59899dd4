"""The documentation names every command, option and setting that there is, and no other; its commands can be run."""

from __future__ import annotations

import ast
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import yaml

from sentiment140_bert.cli import main
from sentiment140_bert.recipe import SECTION_BY_KEY, list_recipes

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def read(pattern: str) -> str:
    return "\n".join(file.read_text("utf-8") for file in sorted(ROOT.glob(pattern)))


def list_commands(group: click.Group = main, name: str = "s140") -> Iterator[tuple[str, click.Command]]:
    for part, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from list_commands(command, f"{name} {part}")
        else:
            yield f"{name} {part}", command


ALL = dict(list_commands())
FLAGS = {
    flag
    for command in ALL.values()
    for option in command.params
    if isinstance(option, click.Option)
    for flag in (*option.opts, *option.secondary_opts)
}


def is_in(word: str, text: str) -> bool:
    return bool(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text))


def test_every_command_recipe_option_and_setting_is_documented() -> None:
    commands, settings, text = read("docs/commands.md"), read("docs/recipe.md"), read("README.md") + read("docs/*.md")
    missing = [name for name in ALL if not re.search(rf"^### `{name}[ `]", commands, re.MULTILINE)]
    missing += [name for name in list_recipes() if not is_in(name, text)]
    missing += [key for key in SECTION_BY_KEY if f"`{key}`" not in settings]
    for name, command in ALL.items():
        options = [option for option in command.params if isinstance(option, click.Option)]
        flags = [flag for option in options if option.name not in SECTION_BY_KEY for flag in option.opts]
        missing += [f"{name} {flag}" for flag in flags if not is_in(flag, text)]
    assert missing == []


def list_shell_lines() -> Iterator[tuple[str, str]]:
    """Yield each line of a fenced block without a language, continued lines joined, with its page."""
    for file in PAGES:
        for language, block in FENCE.findall(file.read_text("utf-8")):
            if not language:
                yield from ((file.name, line) for line in block.replace("\\\n", " ").splitlines())


def parse_call(words: list[str]) -> None:
    """Raise an error unless ``s140`` would take these words: commands, options, choices, numbers, arguments."""
    command: click.Command = main
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
    if not words:
        return
    if "--" in words:  # s140 spark train … -- options of s140 train
        parse_call(["train", *words[words.index("--") + 1 :]])
        words = words[: words.index("--")]
    context = click.Context(command, info_name=command.name)
    values, _, _ = command.make_parser(context).parse_args(args=list(words))
    for parameter in command.params:
        value = values.get(parameter.name or "")
        if isinstance(parameter.type, click.Choice | click.types.IntParamType | click.types.FloatParamType):
            for item in value if isinstance(value, list | tuple) else [value]:
                if isinstance(item, str) and item != "…" and not item.isupper():  # …, SEED: a place for one
                    parameter.type.convert(item, parameter, context)
        assert not parameter.required or value or command.name in ("train", "verify"), f"{parameter.name} is missing"


def test_every_fenced_command_can_be_parsed() -> None:
    problems, calls = [], 0
    for page, line in list_shell_lines():
        for part in re.split(r" && | &$", line):
            started = re.search(
                r"(?:^(?:\w+=\S+ )*|^(?:torchrun|accelerate launch) .*-m )(s140|sentiment140_bert) (.*)", part
            )
            script = re.match(r"(?:nice -n 10 )?(?:bash|python) (scripts/\S+)", part)
            if script and not (ROOT / script[1]).is_file():
                problems.append((page, line, "no such script"))
            if not started:
                continue
            calls += 1
            try:
                parse_call(shlex.split(started[2], comments=True))
            except (click.ClickException, KeyError, AssertionError) as error:
                problems.append((page, line, repr(error)))
    assert problems == []
    assert calls > 50


def test_every_fenced_python_and_yaml_can_be_parsed_and_imports_what_there_is() -> None:
    for file in PAGES:
        for language, block in FENCE.findall(file.read_text("utf-8")):
            if language == "python":
                for node in ast.walk(ast.parse(block, file.name)):
                    if isinstance(node, ast.ImportFrom):
                        module = import_module(node.module or "")
                        assert [name.name for name in node.names if not hasattr(module, name.name)] == [], file.name
            elif language == "yaml":
                assert yaml.safe_load(block), file.name


def test_no_fenced_line_is_wider_than_its_box() -> None:
    wide = [
        (file.name, line)
        for file in PAGES
        for _, block in FENCE.findall(file.read_text("utf-8"))
        for line in block.splitlines()
        if len(line) > (80 if file.name == "README.md" else 95)
    ]
    assert wide == []


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").split()) <= 700


def test_every_s140_call_in_the_documentation_has_options_that_exist() -> None:
    """A flag on a line with ``s140 …`` exists, in running text, too."""
    lines = [line for line in (read("*.md") + read("docs/*.md")).splitlines() if re.search(r"\bs140 \w", line)]
    mentioned = {flag for line in lines for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", line)}
    assert mentioned - FLAGS - {"--help", "--version"} == set()


def test_links_to_files_lead_somewhere() -> None:
    links = [
        (file, link)
        for file in PAGES
        for link in re.findall(r"(?:\]\(|src=\")(?!https?://|#|mailto:)([^)\"#\s]+)", file.read_text("utf-8"))
    ]
    assert [(file.name, link) for file, link in links if not (file.parent / link).exists()] == []


def test_generated_pages_are_current() -> None:
    """Print the pages in a process of its own, because click remembers help options from earlier calls."""
    program = [sys.executable, str(ROOT / "scripts" / "commands_page.py"), "--print"]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    pages = ("commands.md", "recipe.md", "run_files.md")
    written = "".join(f"{name}\n{(ROOT / 'docs' / name).read_text('utf-8')}" for name in pages)
    assert printed == written, "run: python scripts/commands_page.py"
