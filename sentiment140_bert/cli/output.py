"""Results on the terminal: a table for people, or one JSON object."""

from __future__ import annotations

import codecs
import contextlib
import io
import itertools
import json
import logging
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO, TypeVar

import click

from sentiment140_bert import schemas
from sentiment140_bert.machine.facts import check_memory
from sentiment140_bert.progress import is_quiet
from sentiment140_bert.text import escape_hidden, escape_hidden_json

T = TypeVar("T")
NO_BREAK = "\u00a0"
LONGEST_WORD = 20  # in a narrow column; longer ones are broken


def escape_what_cannot_be_encoded() -> None:
    """Let stdout escape what its encoding cannot express, as stderr does: an emoji in windows-1252."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def encodable(text: str, stream: TextIO) -> str:
    """Return a text with such escapes, for texts that Click prints by itself."""
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def say(text: object = "", err: bool = False, nl: bool = True, fg: str | None = None, wraps: bool = False) -> None:
    """Print a text to stdout, or to stderr; control characters in it are made visible.

    The stream is named, for Click's own choice would send UTF-8 to one that takes ASCII. A sentence wraps between
    words on a terminal; a command does not, which is copied as one line.
    """
    stream = sys.stderr if err else sys.stdout
    shown = escape_hidden(str(text))
    click.secho(wrap(shown, stream) if wraps else shown, file=stream, nl=nl, fg=fg, reset=fg is not None)


def say_loading(what: str) -> None:
    """Tell a person at a terminal why the first result takes a while."""
    if sys.stderr.isatty() and not is_quiet():
        say(f"loading {what} …", err=True)


def wrap(text: str, stream: TextIO) -> str:
    """Return a text with line ends between words where a terminal would have them within; files and pipes get none.

    A no-break space keeps two words together and becomes a space.
    """
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        text = "\n".join("\n".join(_wrap_line(line, width)) for line in text.split("\n"))
    return text.replace(NO_BREAK, " ")


def _wrap_line(line: str, width: int, break_long_words: bool = False) -> list[str]:
    return textwrap.wrap(line, width, break_long_words=break_long_words, break_on_hyphens=False) or [""]


class WrappingFormatter(logging.Formatter):
    """Log lines that end between words on a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return wrap(super().format(record), sys.stderr)


def print_json(content: Any) -> None:
    """Print one object on one line of stdout; control characters are escaped, so that it means the same.

    Where stdout takes no UTF-8, all but ASCII is escaped.
    """
    encoding = codecs.lookup(sys.stdout.encoding or "utf-8").name
    content = content.to_dict() if hasattr(content, "to_dict") else content
    text = json.dumps(content, ensure_ascii=not encoding.startswith("utf"), allow_nan=False)
    click.echo(escape_hidden_json(text), file=sys.stdout)


def print_result(result: T, as_json: bool, show: Callable[[T], object]) -> None:
    """Print a result as one JSON object, or for people by ``show``."""
    if as_json:
        print_json(result)
    else:
        show(result)


@contextlib.contextmanager
def stdout_kept_clean() -> Iterator[None]:
    """Redirect what libraries print to stderr, so that stdout has only the result.

    The progress bars of datasets and transformers for saving and loading are off.

    Raises:
        HardwareError: There is too little memory to load them.
    """
    check_memory()
    say_loading("libraries")
    import datasets
    from transformers.utils import logging

    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    with contextlib.redirect_stdout(sys.stderr):
        yield


def print_table(rows: Sequence[Sequence[object]], header: Sequence[str] = ()) -> None:
    """Print columns as wide as their content, or as a terminal allows; numbers to the right.

    No-break spaces are as in :func:`wrap`.
    """
    table = [[_format_cell(value) for value in row] for row in ([header] if header else []) + list(rows)]
    widths = _fit_widths([[row[at] for row in table] for at in range(len(table[0]))])
    numeric = [
        all(isinstance(row[at], int | float) or row[at] in ("", None) for row in rows) for at in range(len(widths))
    ]
    for number, row in enumerate(table):
        cells = [
            _wrap_line(cell, width, break_long_words=True) if len(cell) > width else [cell]
            for cell, width in zip(row, widths, strict=True)
        ]
        if header and number == 0:  # a short title stands next to its column
            height = max(map(len, cells))
            cells = [[""] * (height - len(lines)) + lines for lines in cells]
        for line in itertools.zip_longest(*cells, fillvalue=""):
            parts = [
                part.rjust(width) if right else part.ljust(width)
                for part, width, right in zip(line, widths, numeric, strict=True)
            ]
            say("  ".join(parts).rstrip().replace(NO_BREAK, " "))


def _fit_widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """Return the width of each column; on a terminal the widest are narrowed, to a word at least, until all fit."""
    widths = [max(map(len, column)) for column in columns]
    if sys.stdout.isatty():
        room = shutil.get_terminal_size().columns - 2 * (len(widths) - 1)
        words = [[len(word) for cell in column for word in cell.split(" ")] for column in columns]
        least = [min(max(lengths), LONGEST_WORD) for lengths in words]
        while sum(widths) > room and any(width > low for width, low in zip(widths, least, strict=True)):
            widest = max(range(len(widths)), key=lambda at: (widths[at] > least[at], widths[at]))
            widths[widest] -= 1
    return widths


def _format_cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    return f"{value:,}" if isinstance(value, int) else escape_hidden(str(value))


def print_usage(training: schemas.Training) -> None:
    """Print the memory that training used, and advice."""
    from sentiment140_bert.machine.usage import list_advice

    if not {"usage", "batch", "out_of_memory"} <= training.keys():  # an older version wrote none
        return
    usage, batch = training["usage"], training["batch"]
    gpu, resident = usage["gpu"], usage["memory_peak"]
    facts = [f"peak memory {resident / 1024:.1f} GiB"] if resident else []
    if gpu:
        total, used = gpu["memory_total"], gpu["memory_reserved_peak"]
        facts.append(f"GPU memory {used / 1024:.1f} of {total / 1024:.1f} GiB ({used / total:.0%})")
        degrees = gpu["temperature_peak"]
        facts.append(f"GPU up to {degrees} °C" if degrees is not None else "GPU temperature unknown")
    say("\n" + "; ".join(facts), wraps=True)
    if training["out_of_memory"]:
        times = "1 time" if training["out_of_memory"] == 1 else f"{training['out_of_memory']} times"
        say(
            f"out of memory {times}: each step of {batch['tweets']} tweets was computed "
            f"in parts of {batch['per_device']}, with the same loss",
            wraps=True,
        )
    for sentence in list_advice(usage):
        say(sentence, wraps=True)
