"""Unlabelled texts in, predictions out: a row at a time, so that files of any length pass through bounded memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import schema
from sentiment140_bert.data.cells import as_cell
from sentiment140_bert.data.formats import decoding_explained, encoding_of, known_encoding, text_lines
from sentiment140_bert.data.source import Source, found
from sentiment140_bert.data.unpacking import STRANGE, damage_explained
from sentiment140_bert.errors import DataError, is_unicode
from sentiment140_bert.run_dir import written_whole

OUTPUTS = (".jsonl", ".csv", ".parquet")
ROWS_AT_ONCE = 10_000


def read_texts(name: str, text_column: str | None = None, encoding: str | None = None) -> Iterator[str]:
    """The texts of a file, in order; a missing value is an empty text.

    Args:
        name: ``-`` for lines from standard input; a ``.csv``, ``.tsv``, ``.jsonl`` or ``.parquet`` file with named
            columns (a CSV file also as the corpus is: without header); else a file of text lines (``.gz`` is unpacked).
        text_column: Where it is not obvious.
        encoding: Default: UTF-8 if it is valid, else latin-1.

    Raises:
        DataError: No such file or column, or the file is damaged.
    """
    if name == "-":
        known = known_encoding(encoding or "utf-8")
        with decoding_explained("standard input", known):
            yield from _from_lines(io.TextIOWrapper(sys.stdin.buffer, known, errors="replace"), "standard input")
        return
    path = found(name)
    if path is None or not path.is_file():
        raise DataError(f"There is no file {name}.", "Check the path, or pass the texts as arguments.")
    if path.suffix.lower() in (".zip", ".json", ".xlsx", ".pdf"):
        raise DataError(
            f"{name} is of no kind that can be read.", "Known: .csv, .tsv, .jsonl, .parquet, text lines (.txt)."
        )
    source = Source(name, path)
    if source.suffix == ".parquet":
        with damage_explained(name, *STRANGE):
            yield from _from_parquet(path, text_column, name)
        return
    with text_lines(source, encoding_of(source, encoding) or "utf-8") as file:
        if source.suffix.startswith(".jsonl"):
            yield from _from_json_lines(file, text_column, name)
        elif source.suffix.startswith((".csv", ".tsv")):
            yield from _from_csv(file, "\t" if ".tsv" in source.suffix else ",", text_column, name)
        else:
            yield from _from_lines(file, name)


def column_of(names: list[str], text_column: str | None, where: str) -> str:
    """The column that holds the texts.

    Raises:
        DataError: There is none of that name, or without a name none that is obviously it.
    """
    lower = {name.strip().lower(): name for name in names}
    for wanted in [text_column] if text_column else schema.TEXT_NAMES:
        if wanted.lower() in lower:
            return lower[wanted.lower()]
    raise DataError(
        f"{where}: no column {text_column!r}." if text_column else f"{where}: no column is obviously the text.",
        f"The columns are: {schema.shown_names(names)}. Name one with --text-column.",
    )


def _unicode(text: str, where: str) -> str:
    """The text, which a tokenizer can take.

    Raises:
        DataError: It cannot: UTF-7, escapes in JSON and the like can hold half of a character.
    """
    if not is_unicode(text):
        raise DataError(f"{where} is not valid Unicode (a lone surrogate).", "Mend it, or name the right --encoding.")
    return text


def _from_lines(file: Iterable[str], name: str) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        yield _unicode(line.rstrip("\r\n"), f"{name}: line {number}")


def _from_csv(file: IO[str], delimiter: str, text_column: str | None, name: str) -> Iterator[str]:
    reader = csv.reader(file, delimiter=delimiter)
    try:
        first = next(filter(None, reader), None)  # empty lines aside, as everywhere
        if not first:
            raise DataError(f"{name} is empty.", "It needs a header row with the columns' names.")
        corpus = schema.without_header(first)
        if corpus and text_column:
            raise DataError(f"{name} has no header, so no column {text_column!r}.", "Leave --text-column away.")
        at = corpus.text if corpus else first.index(column_of(first, text_column, name))
        for row in filter(None, itertools.chain([first] if corpus else [], reader)):
            yield _unicode(row[at] if at < len(row) else "", f"{name}: line {reader.line_num}")
    except csv.Error as error:
        raise DataError(f"{name}: line {reader.line_num} is not valid CSV: {error}.", "Mend that line.") from None


def _from_json_lines(file: IO[str], text_column: str | None, name: str) -> Iterator[str]:
    column = None
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            record: Any = json.loads(line)
            column = column or column_of(list(record), text_column, name)
            value = record.get(column)
            text = "" if value is None else str(value)
        except (ValueError, AttributeError, TypeError, RecursionError):
            raise DataError(f"{name}: line {number} is not a JSON object.", "Mend that line.") from None
        yield _unicode(text, f"{name}: line {number}")


def _from_parquet(path: Path, text_column: str | None, name: str) -> Iterator[str]:
    with pq.ParquetFile(path, pre_buffer=False) as file:  # which would be held to the end
        column = column_of(file.schema_arrow.names, text_column, str(path))
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[column]):
            for value in batch.column(0).to_pylist():
                yield "" if value is None else _unicode(str(value), f"{name}: column {column}")


def write_predictions(path: Path, rows: Iterable[tuple[str, str, float]]) -> int:
    """Writes ``text``, ``label`` and ``score`` of each row, whole or not at all, and returns how many there were.

    Args:
        path: A ``.jsonl``, ``.csv`` or ``.parquet`` file; its folder must exist. In CSV, texts and labels that a
            spreadsheet would compute are written as :func:`sentiment140_bert.data.cells.as_cell` gives them.
        rows: (text, label, score), consumed as they come.

    Raises:
        DataError: The name has none of these endings, or its folder does not exist.
    """
    check_output(path)
    count = 0

    def counted() -> Iterator[tuple[str, str, float]]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            _write_parquet(temporary, counted())
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                if path.suffix == ".csv":
                    writer = csv.writer(file)
                    writer.writerow(["text", "label", "score"])
                    writer.writerows((as_cell(text), as_cell(label), score) for text, label, score in counted())
                else:
                    for text, label, score in counted():
                        file.write(
                            json.dumps({"text": text, "label": label, "score": score}, ensure_ascii=False) + "\n"
                        )
    return count


def check_output(path: Path, endings: Sequence[str] = OUTPUTS) -> None:
    """Raises DataError where ``path`` has none of the ``endings``, or its folder does not exist."""
    if path.suffix not in endings:
        raise DataError(f"{path} has no ending that can be written.", f"Known: {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", "Make it first.")


def _write_parquet(path: Path, rows: Iterator[tuple[str, str, float]]) -> None:
    columns = pa.schema([("text", pa.string()), ("label", pa.string()), ("score", pa.float64())])
    with pq.ParquetWriter(path, columns) as writer:
        chunk: list[tuple[str, str, float]] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == ROWS_AT_ONCE:
                writer.write_table(_table(chunk, columns))
                chunk = []
        if chunk:
            writer.write_table(_table(chunk, columns))


def _table(rows: list[tuple[str, str, float]], columns: pa.Schema) -> pa.Table:
    """Rows that become a row group of their own: record batches would be gathered to one of a million rows."""
    values = zip(*rows, strict=True)
    return pa.table([pa.array(each, kind) for each, kind in zip(values, columns.types, strict=True)], schema=columns)
