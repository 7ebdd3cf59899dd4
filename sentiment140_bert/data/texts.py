"""Read texts and write predictions a row at a time, so that files of any length pass through bounded memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sentiment140_bert.data.columns import BadRow, Row
from sentiment140_bert.errors import DataError, is_unicode
from sentiment140_bert.files import write_whole
from sentiment140_bert.recipe import DataConfig

OUTPUTS = (".jsonl", ".csv", ".parquet")
ROWS_AT_ONCE = 10_000
# Columns of the output after the first, which is ``id`` or ``row``.
COLUMNS = ("text", "label", "score", "error")
# A spreadsheet takes a cell that begins so for a formula (four of them in wide forms, too). The apostrophe is among
# them so that the one that :func:`escape_cell` adds can always be removed.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")


class PredictedRow(NamedTuple):
    """The prediction for a row of the input: a label and a score, or the ``error`` why it could not be read.

    ``row`` counts the rows from 1, ``id`` is that of the input, if it has ids."""

    row: int
    id: str | None
    text: str
    label: str | None = None
    score: float | None = None
    error: str | None = None

    def columns(self, key: str) -> dict[str, Any]:
        """Return the values by name, after ``key``: ``id`` or ``row``; ``error`` only if there is one."""
        names = (key, "text", "label", "score", *(["error"] if self.error else []))
        return {name: getattr(self, name) for name in names}


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would compute it."""
    return f"'{text}" if text.startswith(FORMULAS) else text


def unescape_cell(cell: str) -> str:
    """Return the text that :func:`escape_cell` wrote as this cell."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell


def read_rows(name: str, data: DataConfig) -> Iterator[Row | BadRow]:
    """Yield the rows of a file of texts, by the rules of every other verb, but without labels.

    Args:
        name: ``-`` for lines from standard input, or a file: one that holds tweets, or lines of text, which a
            ``.txt`` without ``text_column`` and ``delimiter`` is, and every file of another ending.
        data: The file's format.

    Raises:
        DataError: No such file or column, or the file is damaged.
    """
    from sentiment140_bert.data import files, readers, sources

    if name == "-":
        encoding: str | None = files.resolve_encoding(data.encoding or "utf-8")
        rows: Iterator[Row | BadRow] = _read_stdin(encoding or "utf-8")
    else:
        is_table = sources.is_file_name(name)
        source = sources.open_source(name) if is_table else sources.open_text_source(name, as_lines=True)
        encoding = files.detect_encoding(source, data.encoding)
        rows = readers.read_source(source, data, encoding, labelled=False)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{name} holds no rows.", "Is it the right file?")
        rows = itertools.chain([first], rows)
    for row in rows:
        if isinstance(row, BadRow) or is_unicode(row.text + (row.id or "")):
            yield row
        else:
            reason = files.explain_undecodable((row.text, row.id), encoding)
            yield BadRow(row.number, reason, ascii(row.text)[1:-1][:200])


def _read_stdin(encoding: str) -> Iterator[Row]:
    from sentiment140_bert.data.files import explain_decoding

    with explain_decoding("standard input", encoding):
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding, errors="surrogateescape")
        yield from (Row(number, line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))


def read_texts(name: str) -> list[str]:
    """Return the texts of a file, those of bad rows aside."""
    return [row.text for row in read_rows(name, DataConfig()) if isinstance(row, Row)]


def check_output(path: Path, endings: Sequence[str] = OUTPUTS) -> None:
    """Raise DataError if ``path`` has none of the ``endings``, or its folder does not exist."""
    if path.suffix not in endings:
        raise DataError(f"{path} has no file extension that can be written.", f"Use one of {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", "Create it first.")


def write_predictions(path: Path, predictions: Iterable[PredictedRow], key: str) -> int:
    """Write one row for each row of the input, whole or not at all, and return how many there were.

    Args:
        path: A ``.jsonl``, ``.csv`` or ``.parquet`` file; its folder must exist. In CSV, texts and labels that a
            spreadsheet would compute are written by :func:`escape_cell`.
        predictions: Consumed as they come.
        key: ``id`` if the input has ids, else ``row``: the first column.
    """
    write = {".parquet": _write_parquet, ".csv": _write_csv}.get(path.suffix, _write_lines)
    count = 0

    def count_rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for prediction in predictions:
            count += 1
            yield prediction.columns(key)

    with write_whole(path) as temporary:
        write(temporary, count_rows(), key)
    return count


def _write_lines(path: Path, rows: Iterator[dict[str, Any]], key: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_csv(path: Path, rows: Iterator[dict[str, Any]], key: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [key, *COLUMNS], restval="")
        writer.writeheader()
        for row in rows:
            writer.writerow({name: escape_cell(cell) if isinstance(cell, str) else cell for name, cell in row.items()})


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]], key: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = [pa.string() if key == "id" else pa.int64(), pa.string(), pa.string(), pa.float64(), pa.string()]
    columns = pa.schema([*zip((key, *COLUMNS), kinds, strict=True)])
    with pq.ParquetWriter(path, columns) as writer:
        while chunk := [*itertools.islice(rows, ROWS_AT_ONCE)]:
            writer.write_table(pa.Table.from_pylist(chunk, columns))
