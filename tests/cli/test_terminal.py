"""No name or text from data, files or people controls the terminal: control characters become visible."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command_line import Command
from conftest import as_csv, six_columns
from fuzzing.texts import invisible
from sentiment140_bert.cli.output import NO_BREAK, WrappingFormatter, print_json, print_table, say
from sentiment140_bert.text import escape_hidden
from surroundings import encode_output

pytest_plugins = "model_fixtures"

HOSTILE = [
    *("\x1b[2J\x1b[31mred", "\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", "\x9b31m", "bell\x07"),
    *("over\rwritten", "\x08" * 9),
    *("right\u202eto left\u202c", "\u2066isolated\u2069", "zero\u200bwidth\ufeff", "soft\u00adhyphen"),
    *("tag\U000e0041", "\x00", "\x7f"),
]


def harmful(text: str) -> set[str]:
    return invisible(text) - {"\t", "\u200c", "\u200d"}


@pytest.mark.parametrize("text", HOSTILE)
def test_tables_and_json(capsys: pytest.CaptureFixture[str], text: str) -> None:
    print_table([[text, 1], ["x", 2]], ["a", "b"])
    print_json({"text": text})
    table, _, written = capsys.readouterr().out.rpartition("\n{")
    assert not harmful(table + written)
    assert json.loads("{" + written) == {"text": text}
    assert len({line.rindex(" ") for line in table.splitlines()}) == 1  # columns as wide as what is seen


@contextmanager
def terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Let stdout and stderr be a terminal of so many columns, and give a function that returns its lines."""
    main_end, command_end = os.openpty()
    parts: list[bytes] = []

    def drain() -> None:
        while not parts or b"\0" not in parts[-1]:
            parts.append(os.read(main_end, 65536))

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    with open(command_end, "w", buffering=1, encoding="utf-8") as stream, monkeypatch.context() as patch:  # noqa: PTH123
        patch.setenv("COLUMNS", str(columns))
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)

        def read_lines() -> list[str]:
            os.write(command_end, b"\0")
            reader.join()
            return b"".join(parts).decode().rstrip("\0").replace("\r\n", "\n").splitlines()

        yield read_lines
    os.close(main_end)


WORDS = st.text("abc-/,é", min_size=1, max_size=14).filter(lambda word: word.strip("-"))
TABLES = st.integers(1, 4).flatmap(
    lambda count: st.lists(
        st.lists(st.lists(WORDS, max_size=12).map(" ".join), min_size=count, max_size=count), min_size=1, max_size=4
    )
)


@given(TABLES)
def test_a_table_fits_the_terminal_and_loses_no_word(rows: list[list[str]]) -> None:
    with pytest.MonkeyPatch.context() as patch, terminal(80, patch) as read_lines:
        print_table([[*row, 7] for row in rows], [*rows[0], "a number"])
        lines = read_lines()
    assert max(map(len, lines)) <= 80
    words = [word for row in [rows[0], *rows] for cell in row for word in cell.split()]
    assert sorted(" ".join(lines).split()) == sorted([*words, *"7" * len(rows), "a", "number"])


def test_only_a_terminal_gets_lines_that_end_between_words(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrap sentences and log lines, and keep an interval together; what is copied or read by a program stays a line."""
    words = " ".join(str(number) for number in range(60)) + f" [0.1,{NO_BREAK}0.2]"
    record = logging.LogRecord("x", logging.INFO, "x", 1, words, (), None)

    def write() -> None:
        say(words, wraps=True)
        say(words)
        say(WrappingFormatter().format(record), err=True)
        print_table([["a", words]])

    with terminal(40, monkeypatch) as read_lines:
        write()
        lines = read_lines()
    shown = words.replace(NO_BREAK, " ")
    assert [line for line in lines if len(line) > 40] == [words]
    assert sum("[0.1, 0.2]" in line for line in lines) == 3
    assert " ".join(" ".join(lines).split()) == " ".join([shown, " ".join(words.split()), shown, "a", shown])
    write()
    assert capsys.readouterr().out == f"{shown}\n{words}\na  {shown}\n"


@pytest.mark.parametrize("text", [item for item in HOSTILE if item != "\x00"])
def test_predictions(s140, classifier_folder: Path, text: str) -> None:
    Path("t.jsonl").write_text(json.dumps({"text": f"so {text} good"}) + "\n", "utf-8")
    words = s140("predict", classifier_folder, "--input", "t.jsonl")
    assert not harmful(words.output)
    exact = json.loads(s140("predict", classifier_folder, "--input", "t.jsonl", "--json").stdout)
    assert exact["predictions"][0]["text"] == f"so {text} good"


@pytest.mark.parametrize("name", ["\x1b[31mred.csv", "rtl\u202evsc.csv", "a\rb.csv"])
def test_names_of_files(s140, cache: Path, name: str) -> None:
    flags = ("--model-name-or-path", "bundled:minilm", "--validation-size", 10, "--test-size", 10)
    Path(name).write_bytes(as_csv(six_columns(120)).encode("latin-1"))
    done = s140("prepare", "--dataset", name, *flags)
    refused = s140("prepare", "--dataset", f"no{name}", *flags, code=1)
    assert escape_hidden(name) in done.stdout
    assert escape_hidden(name) in refused.stderr
    assert not harmful(done.output + refused.output)


def test_labels_and_columns_in_sentences(s140, cache: Path) -> None:
    Path("t.csv").write_text("text,\x1b[31mlabel\nx,\x1b[32my\n")
    assert not harmful(s140("prepare", "--dataset", "t.csv", code=1).output)


def test_log_lines(s140, caplog: pytest.LogCaptureFixture) -> None:
    """Check those of libraries, too: huggingface_hub logs a header of the Hub's answer."""
    s140("recipes", "ls")  # which looks after them
    logging.getLogger("huggingface_hub.utils").warning("as %s", "\x1b[31mred")
    assert caplog.messages == ["as \\x1b[31mred"]


@pytest.mark.parametrize("text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "'quoted", "＝1", "plain", "-1.5"])
@pytest.mark.parametrize("label", ["positive", '=HYPERLINK("http://evil.example")'])
def test_predictions_in_csv_compute_nothing(tmp_path: Path, text: str, label: str) -> None:
    import csv

    from sentiment140_bert.data.texts import FORMULAS, Output, PredictedRow, unescape_cell, write_predictions

    write_predictions(tmp_path / "out.csv", [PredictedRow(1, None, text, label, 0.5)], Output(["row", "text"]))
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert not any(
        cell.startswith(tuple(sign for sign in FORMULAS if sign != "'")) for cell in row.values() if cell != "-1.5"
    )
    assert (unescape_cell(row["text"]), unescape_cell(row["label"])) == (text, label)


def test_there_is_one_place_that_prints() -> None:
    folder = Path(__file__).parents[2] / "sentiment140_bert" / "cli"
    printing = {file.name for file in folder.glob("*.py") if "click.echo(" in file.read_text("utf-8")}
    assert printing == {"output.py"}


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
def test_what_a_terminal_cannot_show_is_escaped(classifier_folder: Path, encoding: str) -> None:
    def run(*words: object, code: int = 0, encoding: str = encoding) -> str:
        """Return both streams, each as Stream reads it: as UTF-8."""
        command = Command(*words, prepare=partial(encode_output, encoding))
        output = "".join(command.communicate())
        assert (command.returncode, "Traceback" in output) == (code, False), output
        return output

    text = "so happy 😀 at the café"
    shown = text.encode(encoding, "backslashreplace").decode("utf-8", "replace")
    assert run("predict", classifier_folder, text).splitlines()[-1].endswith(f"\t{shown}")
    as_json = run("predict", classifier_folder, text, "--json").splitlines()[-1]
    assert as_json.isascii()
    assert json.loads(as_json) == json.loads(run("predict", classifier_folder, text, "--json", encoding="utf-8"))
    assert "\\U0001f600" in run("prepare", "--dataset", "😀.csv", code=1)
    assert "\\U0001f600" in run("prepare", "--😀", code=2)


@pytest.mark.long
def test_a_text_typed_where_the_locale_is_c_is_read_as_utf_8(classifier_folder: Path) -> None:
    locale_c = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    text = "so happy 😀 at the café, don’t"

    def run(*words: object, code: int = 0, env: dict[str, str] | None = None) -> tuple[str, str]:
        command = Command("predict", classifier_folder, *words, env=env, fresh=env is not None)
        output = command.communicate()
        assert (command.returncode, "Traceback" in output[1]) == (code, False), output
        return output

    stdout, _ = run(text, "--json", env=locale_c)
    assert stdout.isascii()
    assert json.loads(stdout) == json.loads(run(text, "--json")[0])
    assert "\\udcff' is not valid Unicode" in run("\udcff", code=1)[1]
