from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import pytest

from sentiment140_bert.cli import main

HEAVY = {"torch", "transformers", "datasets", "evaluate", "wandb", "mlflow", "accelerate", "sklearn", "pyarrow"}
SHOW = """
import sys
from sentiment140_bert.cli import main
try:
    main(sys.argv[1:], prog_name="s140")
finally:
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
EACH = pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) or "s140" for path, _ in ALL])


def loaded(*arguments: str) -> tuple[str, set[str]]:
    result = subprocess.run([sys.executable, "-c", SHOW, *arguments], capture_output=True, text=True, check=True)
    shown, _, names = result.stdout.rpartition("LOADED")
    return shown, set(names.split())


@EACH
def test_help_loads_nothing_heavy(path: tuple[str, ...], command: click.Command) -> None:
    shown, names = loaded(*path, "--help")
    assert shown.startswith("Usage: s140")
    assert names & HEAVY == set()


@pytest.mark.parametrize("arguments", [("--version",), ("recipes", "ls"), ("recipes", "validate", "quickstart")])
def test_light_commands_load_nothing_heavy(arguments: tuple[str, ...]) -> None:
    _, names = loaded(*arguments)
    assert names & HEAVY == set()


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, sentiment140_bert; print(*(name for name in sys.modules if '.' not in name))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(result.stdout.split()) & HEAVY == set()


@EACH
def test_every_command_and_option_is_explained(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
        else:
            assert parameter.name.upper() in command.help, f"{parameter.name} is not mentioned"


@EACH
def test_short_help_is_a_sentence(path: tuple[str, ...], command: click.Command) -> None:
    assert not command.get_short_help_str(limit=200).endswith("...")


def test_without_arguments_the_help_is_shown(s140) -> None:
    assert "Commands:" in s140(code=2).stderr


@pytest.mark.parametrize("arguments", [("trian",), ("train", "--learning_rate", "1"), ("train", "--seed", "x")])
def test_wrong_usage_exits_with_2(s140, arguments: tuple[str, ...]) -> None:
    assert "Error" in s140(*arguments, code=2).stderr
