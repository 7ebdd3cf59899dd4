from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.shell_completion import BashComplete

from sentiment140_bert.cli import main

HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "wandb",
    "mlflow",
    "accelerate",
    "sklearn",
    "pyarrow",
    "numpy",
}
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
    """Yield every command with its path, subcommands included."""
    yield path, group
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


ALL = list(commands())


def test_help_and_light_commands_load_nothing_heavy() -> None:
    """Run all in one process: a heavy package shows in the first command that loads it."""
    helps = [[*path, "--help"] for path, _ in ALL]
    words = [["--version"], *helps, ["recipes", "ls"], ["recipes", "validate", "quickstart"]]
    program = [sys.executable, "-c", SHOW, json.dumps(words)]
    output = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    loaded = [set(line.split()) & HEAVY for line in output.splitlines() if line.startswith("LOADED")]
    heavy = {" ".join(command): names for command, names in zip([["import"], *words], loaded, strict=True) if names}
    assert heavy == {}
    assert output.count("\nUsage: s140") == len(helps)
    assert output.isascii()  # Click would send UTF-8 to a terminal that takes ASCII


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


def test_the_list_of_commands_fits_80_columns_in_the_order_of_work(s140, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = s140("--help").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert not [line for line in lines if line.endswith("...") and "Usage" not in line]
    headings = [line for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert headings == ["Options:", "Data:", "Train:", "Score:", "Use:", "Publish:", "Study:", "This machine:"]
    assert {line.split()[0] for line in lines if line.startswith("  ")} >= set(main.commands)
    for group in ("recipes", "spark", "track"):
        assert "..." not in s140(group, "--help").stdout.partition("\n\n")[2]


def test_train_explains_ten_options_first_and_the_settings_by_section(s140) -> None:
    text = s140("train", "--help").stdout
    headings = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    sections = [f"{section.capitalize()} settings:" for section in ("model", "data", "training", "tracking", "card")]
    assert headings == ["Most used:", "More:", *sections, "Other options:"]
    first = text[text.index("Most used:") : text.index("More:")]
    assert sum(line.startswith("  --") for line in first.splitlines()) == 10


def test_underscores_are_hyphens_and_all_wrong_values_are_named(s140) -> None:
    assert "Publish a finished run" in s140("push_to_hub", "--help").stdout
    wrong = ("--learning_rate", "x", "--eval_strategy", "never", "--report_to", "mlflo")
    printed = s140("train", *wrong, code=1).stderr
    assert "3 problems in the flags" in printed
    assert "learning_rate: must be a valid number, got 'x'" in printed


def test_no_color_is_honoured(monkeypatch) -> None:
    assert main.make_context("s140", ["train"]).color is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert main.make_context("s140", ["train"]).color is False


@pytest.mark.parametrize(
    ("typed", "completions"), [("bert-base-100k-", ["bert-base-100k-fast"]), ("my_own.y", ["my_own.y"])]
)
def test_recipes_complete(typed: str, completions: list[str]) -> None:
    completion = BashComplete(main, {}, "s140", "_S140_COMPLETE")
    assert [item.value for item in completion.get_completions(["train", "--recipe"], typed)] == completions


def test_without_arguments_the_help_is_shown(s140) -> None:
    assert "Train:" in s140(code=2).stderr


def test_wrong_usage_exits_with_2(s140) -> None:
    hints = {
        ("train", "--lr", "1"): "Did you mean '--learning-rate'?",
        ("train", "--batch-size", "1"): "Did you mean '--per-device-train-batch-size'?",
        ("train", "--epochs", "1"): "Did you mean '--num-train-epochs'?",
        ("train", "quickstart"): "--recipe quickstart",
    }
    for arguments, hint in hints.items():
        assert hint in s140(*arguments, code=2).stderr, arguments
    for arguments in (("trian",), ("train", "--learning_rates", "1"), ("tune", "x", "--trials", "y")):
        assert "Error" in s140(*arguments, code=2).stderr, arguments
