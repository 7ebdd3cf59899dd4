"""Texts in, predictions out: a row at a time, so that files of any length pass through bounded memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import formats
from sentiment140_bert.data.cells import as_cell
from sentiment140_bert.data.encodings import decoding_explained, detect_encoding, explain_undecodable, known_encoding
from sentiment140_bert.data.rows import Answer, BadRow, Row
from sentiment140_bert.data.source import file_source, is_file_name, text_file
from sentiment140_bert.errors import DataError, is_unicode
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.run_dir import written_whole

OUTPUTS = (".jsonl", ".csv", ".parquet")
ROWS_AT_ONCE = 10_000
# What predict writes of each row of its input; ``id`` where that has ids, else ``row``.
COLUMNS = {"text": pa.string(), "label": pa.string(), "score": pa.float64(), "error": pa.string()}


def read_rows(name: str, data: DataConfig) -> Iterator[Row | BadRow]:
    """Yield the rows of a file of texts, by the rules of every other verb, but without labels.

    Args:
        name: ``-`` for lines from standard input, or a file: of those that hold tweets, or of text lines, which a
            ``.txt`` without ``text_column`` and ``delimiter`` is, as is every file of another ending.
        data: How the file is written.

    Raises:
        DataError: No such file or column, or the file is damaged.
    """
    if name == "-":
        encoding: str | None = known_encoding(data.encoding or "utf-8")
        rows: Iterator[Row | BadRow] = _rows_of_stdin(encoding or "utf-8")
    else:
        source = file_source(name) if is_file_name(name) else text_file(name, as_lines=True)
        encoding = detect_encoding(source, data.encoding)
        rows = formats.rows_of(source, data, encoding, labelled=False)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{name} holds no rows.", "Is it the right file?")
        rows = itertools.chain([first], rows)
    for row in rows:
        if isinstance(row, BadRow) or is_unicode(row.text + (row.id or "")):
            yield row
        else:
            yield BadRow(row.number, explain_undecodable((row.text, row.id), encoding), ascii(row.text)[1:-1][:200])


def _rows_of_stdin(encoding: str) -> Iterator[Row]:
    with decoding_explained("standard input", encoding):
        lines = io.TextIOWrapper(sys.stdin.buffer, encoding, errors="surrogateescape")
        yield from (Row(number, line.rstrip("\r\n")) for number, line in enumerate(lines, start=1))


def read_texts(name: str) -> list[str]:
    """Return the texts of a file, those of bad rows aside."""
    return [row.text for row in read_rows(name, DataConfig()) if isinstance(row, Row)]


def write_answers(path: Path, answers: Iterable[Answer], key: str) -> int:
    """Write one row for each row of the input, whole or not at all, and return how many there were.

    Args:
        path: A ``.jsonl``, ``.csv`` or ``.parquet`` file; its folder must exist. In CSV, texts and labels that a
            spreadsheet would compute are written as :func:`sentiment140_bert.data.cells.as_cell` gives them.
        answers: Consumed as they come.
        key: ``id`` where the input has ids, else ``row``: the first column.
    """
    count = 0

    def counted() -> Iterator[dict[str, Any]]:
        nonlocal count
        for answer in answers:
            count += 1
            yield answer.columns(key)

    with written_whole(path) as temporary:
        if path.suffix == ".parquet":
            _write_parquet(temporary, counted(), key)
        else:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                if path.suffix == ".csv":
                    writer = csv.DictWriter(file, [key, *COLUMNS], restval="")
                    writer.writeheader()
                    writer.writerows(
                        {name: as_cell(value) if isinstance(value, str) else value for name, value in row.items()}
                        for row in counted()
                    )
                else:
                    file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in counted())
    return count


def check_output(path: Path, endings: Sequence[str] = OUTPUTS) -> None:
    """Raise DataError where ``path`` has none of the ``endings``, or its folder does not exist."""
    if path.suffix not in endings:
        raise DataError(f"{path} has no ending that can be written.", f"Known: {', '.join(endings)}.")
    if not path.parent.is_dir():
        raise DataError(f"The folder {path.parent} does not exist.", "Make it first.")


def _write_parquet(path: Path, rows: Iterator[dict[str, Any]], key: str) -> None:
    columns = pa.schema([(key, pa.string() if key == "id" else pa.int64()), *COLUMNS.items()])
    with pq.ParquetWriter(path, columns) as writer:
        chunk: list[dict[str, Any]] = []
        for row in rows:
            chunk.append(row)
            if len(chunk) == ROWS_AT_ONCE:
                writer.write_table(pa.Table.from_pylist(chunk, columns))
                chunk = []
        if chunk:
            writer.write_table(pa.Table.from_pylist(chunk, columns))
