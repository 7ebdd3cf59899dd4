"""Commands that are given in a stranger's folder: what libraries read there by themselves changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from sentiment140_bert.cards.figures import draw_figures
from sentiment140_bert.cli import main
from sentiment140_bert.errors import RunError
from sentiment140_bert.files import write_whole
from sentiment140_bert.run import RunDir, saved_recipe

pytest_plugins = "model_fixtures"


@pytest.fixture
def archive(tmp_path: Path, smallest_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a run in it, which is the current one."""
    shutil.copytree(smallest_run, tmp_path / "archive" / "run")
    monkeypatch.chdir(tmp_path / "archive")
    return tmp_path / "archive"


def test_figures_do_not_follow_a_matplotlibrc(archive: Path) -> None:
    """It would run TeX, and take all memory for one picture."""
    run = RunDir(Path("run"))
    splits, history = run.read_metrics()["splits"], run.read_history()
    import matplotlib

    with matplotlib.rc_context({"text.usetex": True, "savefig.dpi": 3000, "figure.facecolor": "red"}):
        draw_figures(Path("with"), splits, history)
    draw_figures(Path("without"), splits, history)
    drawn = {name.name: name.read_bytes() for name in Path("with").iterdir()}
    assert drawn == {name.name: name.read_bytes() for name in Path("without").iterdir()}


def test_a_store_of_mlflow_is_not_opened_until_it_is_named(archive: Path) -> None:
    """A journal next to it can name any file, which SQLite removes."""
    victim = archive.parent / "thesis.txt"
    victim.write_text("three years of work")
    write_store_that_removes(archive / "mlflow.db", victim)
    words = ["track", "sync", "run", "--report-to", "mlflow"]
    result = CliRunner().invoke(main, words)
    assert f"sqlite:///{archive}/mlflow.db" in result.output
    assert "MLFLOW_TRACKING_URI" in result.output
    assert victim.read_text() == "three years of work"


def write_store_that_removes(store: Path, victim: Path) -> None:
    """Write a database with a hot journal (SQLite's file format, section 3) that names a super-journal."""
    connection = sqlite3.connect(store)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()
    magic, name = bytes.fromhex("d9d505f920a163d7"), str(victim).encode()
    numbers = (0, 1, store.stat().st_size // 4096, 512, 4096)
    header = magic + b"".join(number.to_bytes(4, "big") for number in numbers)
    ending = (1).to_bytes(4, "big") + name + len(name).to_bytes(4, "big") + sum(name).to_bytes(4, "big") + magic
    store.with_name("mlflow.db-journal").write_bytes(header.ljust(512, b"\0") + ending)


def test_a_run_that_does_not_say_what_its_tweets_were_reads_no_file(archive: Path) -> None:
    Path("diary.csv").write_text(
        "text,label\n" + "".join(f"diary line {number},{number % 2}\n" for number in range(99))
    )
    recipe = Path("run/recipe.yaml")
    recipe.write_text(recipe.read_text().replace("dataset: ", f"dataset: {archive / 'diary.csv'}  # ", 1))
    Path("run/data.json").unlink()
    before = Path("run/predictions.parquet").read_bytes()
    result = CliRunner().invoke(main, ["evaluate", "run"])
    assert result.exit_code == 1
    assert "data.json" in result.output
    assert Path("run/predictions.parquet").read_bytes() == before


WRITERS = [
    ["predict", "run", "so good", "--overwrite", "--output"],
    ["suspects", "run", "--overwrite", "--output"],
    ["evaluate", "run", "--overwrite", "--output"],
    ["evaluate", "run", "run", "--overwrite", "--differences"],
    ["report", "run", "--overwrite", "--output"],
    ["recipes", "cp", "quickstart", "--overwrite"],
]


def test_an_output_replaces_no_file_of_a_run(archive: Path) -> None:
    for folder in ("curve/points", "study"):
        Path(folder).mkdir(parents=True)
    names = ["run/predictions.parquet", "run/model/README.csv", "run/recipe.yaml", "run/suspects/abc/fold-1.parquet"]
    for name in (*names, "curve/plan.json", "study/study.json"):
        file = archive / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        before = file.read_bytes()
        for words in WRITERS:
            result = CliRunner().invoke(main, [*words, str(file)])
            assert result.exit_code == 1
            assert "is part of a run" in result.output
            assert file.read_bytes() == before
    Path("recipe.yaml").write_text("of the user, who may have one next to runs")
    assert CliRunner().invoke(main, ["recipes", "cp", "quickstart", "--overwrite", "recipe.yaml"]).exit_code == 0


def test_an_output_that_is_a_link_is_written_where_it_leads(archive: Path) -> None:
    """Follow a link of the user, and none in a run, which may be a stranger's."""
    diary = Path("diary.csv")
    diary.write_text("mine")
    Path("run/link.csv").symlink_to(diary.resolve())
    Path("link.csv").symlink_to(diary)
    Path("gone.csv").symlink_to("unmounted/labels.csv")
    for words in WRITERS:
        for name, message in (("run/link.csv", "is part of a run"), ("gone.csv", "is a link to unmounted/labels.csv")):
            result = CliRunner().invoke(main, [*words, name])
            assert result.exit_code == 1
            assert message in result.output
    assert diary.read_text() == "mine"
    Path("run/link.csv").unlink()
    words = ["predict", "run", "so good", "--overwrite", "--output", "link.csv"]
    assert CliRunner().invoke(main, words).exit_code == 0
    assert Path("link.csv").is_symlink()
    assert "so good" in diary.read_text()


def list_commands(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield all commands with the words that call them."""
    if isinstance(command, click.Group):
        for name, inner in command.commands.items():
            yield from list_commands(inner, (*words, name))
    else:
        yield words, command


def test_no_file_is_replaced_unasked(archive: Path) -> None:
    writers = {tuple(words[: 2 if words[0] == "recipes" else 1]) for words in WRITERS}
    assert writers == {
        words
        for words, command in list_commands(main)
        if any(isinstance(param.type, click.Path) and not param.type.dir_okay for param in command.params)
    }
    Path("thesis.html").write_text("three years of work")
    for words in WRITERS:
        unasked = [word for word in words if word != "--overwrite"]
        result = CliRunner().invoke(main, [*unasked, "thesis.html"])
        assert "thesis.html exists." in result.output, words
    assert Path("thesis.html").read_text() == "three years of work"


def test_a_file_that_comes_into_being_meanwhile_is_not_replaced(archive: Path) -> None:
    words = ["predict", "run", "so good", "--output", "labels.csv"]
    assert CliRunner().invoke(main, words).exit_code == 0
    with pytest.raises(RunError, match="appeared"), write_whole(Path("labels.csv")) as temporary:
        temporary.write_text("another process had the same name in mind")
    assert CliRunner().invoke(main, [*words, "--overwrite"]).exit_code == 0
    with write_whole(Path("labels.csv")) as temporary:
        temporary.write_text("as the flag allows")


def test_an_output_replaces_no_file_of_a_folder_that_is_read(archive: Path) -> None:
    Path("saved").mkdir()
    Path("saved/state.json").write_text("precious")
    words = ["evaluate", "run", "--dataset", "saved", "--overwrite", "--output", "saved/state.json"]
    assert "would be overwritten" in CliRunner().invoke(main, words).output
    assert Path("saved/state.json").read_text() == "precious"


def test_an_output_replaces_no_file_that_is_read(archive: Path) -> None:
    """Name as output each file that the command itself or the run was given."""
    recipe = Path("run/recipe.yaml")
    changes = {"dataset": "tweets.csv", "drop_suspects": "listed.csv", "manual_test": "manual.csv"}
    recipe.write_text(saved_recipe("run").with_values(changes).to_yaml())
    given = {"--dataset": "texts.csv", "--labels-file": "labels.csv", "--manual-test": "hand.csv"}
    flags = [word for pair in given.items() for word in pair]
    evaluate = ["evaluate", "run", *flags, "--overwrite", "--output"]
    commands = {name: [evaluate] for name in (*changes.values(), *given.values())}
    for name in changes.values():
        commands[name].append(["suspects", "run", "--overwrite", "--output"])
    commands["same.csv"] = [[*evaluate, "same.csv", "--differences"]]
    for name, writers in commands.items():
        Path(name).write_text("precious")
        for words in writers:
            result = CliRunner().invoke(main, [*words, str(Path(name).resolve())])
            assert "would be overwritten" in result.output, (words, name)
            assert Path(name).read_text() == "precious"


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="this system does not name standard input")
def test_an_output_is_not_the_file_that_standard_input_comes_from(archive: Path) -> None:
    Path("piped.txt").write_text("so good\n")
    words = ["predict", "run", "--input", "-", "--overwrite", "--output", "piped.txt"]
    with Path("piped.txt").open() as file:
        done = subprocess.run(
            [sys.executable, "-m", "sentiment140_bert", *words], stdin=file, capture_output=True, text=True
        )
    assert done.returncode == 1
    assert "would be overwritten" in done.stderr
    assert Path("piped.txt").read_text() == "so good\n"
