from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click

from sentiment140_bert.cli import main

HEAVY = {"torch", "transformers", "datasets", "evaluate", "wandb", "mlflow", "accelerate", "sklearn", "pyarrow"}
# Runs commands one after the other, and tells what is loaded after each of them.
SHOW = """
import json, sys
import sentiment140_bert
print("LOADED", *(name for name in sys.modules if "." not in name))
from sentiment140_bert.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words, prog_name="s140")
    except SystemExit as ended:
        assert not ended.code, words
    print("\\nLOADED", *(name for name in sys.modules if "." not in name))
"""


def commands(group: click.Group = main, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, subcommands included."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands())


def test_help_and_light_commands_load_nothing_heavy() -> None:
    """All in one process: what one of them loads shows in the first that has it."""
    helps = [[*path, "--help"] for path, _ in ALL]
    words = [["--version"], *helps, ["recipes", "ls"], ["recipes", "validate", "quickstart"]]
    program = [sys.executable, "-c", SHOW, json.dumps(words)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    loaded = [set(line.split()) & HEAVY for line in said.splitlines() if line.startswith("LOADED")]
    heavy = {" ".join(command): names for command, names in zip([["import"], *words], loaded, strict=True) if names}
    assert heavy == {}
    assert said.count("\nUsage: s140") == len(helps)
    assert said.isascii()  # Click would send UTF-8 to a terminal that takes ASCII


def test_every_command_and_option_is_explained() -> None:
    unexplained = []
    for path, command in ALL:
        if not command.help or command.get_short_help_str(limit=200).endswith("..."):
            unexplained.append((path, "in a sentence"))
        for parameter in command.params:
            is_option = isinstance(parameter, click.Option)
            if not (parameter.help if is_option else parameter.name.upper() in command.help):
                unexplained.append((path, parameter.name))
    assert unexplained == []


def test_without_arguments_the_help_is_shown(s140) -> None:
    assert "Commands:" in s140(code=2).stderr


def test_wrong_usage_exits_with_2(s140) -> None:
    for arguments in (("trian",), ("train", "--learning_rate", "1"), ("train", "--seed", "x")):
        assert "Error" in s140(*arguments, code=2).stderr, arguments
