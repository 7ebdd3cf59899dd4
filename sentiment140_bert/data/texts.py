"""Read texts and write predictions a row at a time, so that files of any length pass through bounded memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from sentiment140_bert.data.columns import BadRow, Row, find_columns
from sentiment140_bert.data.records import measure_record, take_window
from sentiment140_bert.errors import DataError, is_unicode
from sentiment140_bert.files import write_whole
from sentiment140_bert.recipe import DataConfig

log = logging.getLogger(__name__)
OUTPUTS = (".jsonl", ".csv", ".parquet")
ROWS_AT_ONCE = 10_000
MOST_NAMED = 10  # columns in a warning
CELL = 16  # bytes of a missing value in a table
ADDED = ("label", "score", "error")  # columns of the output after those of the input
# A spreadsheet takes a cell that begins so for a formula (four of them in wide forms, too). The apostrophe is among
# them so that the one that :func:`escape_cell` adds can always be removed.
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")


class PredictedRow(NamedTuple):
    """The prediction for a row of the input: a label and a score, or the ``error`` why it could not be read.

    ``row`` counts the rows from 1, ``id`` is that of the input, if it has ids, and ``record`` has all its columns."""

    row: int
    id: str | None
    text: str
    label: str | None = None
    score: float | None = None
    error: str | None = None
    record: Mapping[str, Any] | None = None

    def columns(self, key: str | None) -> dict[str, Any]:
        """Return the values by name, after ``key``: ``id``, ``row`` or none; ``error`` only if there is one."""
        names = (*([key] if key else []), "text", "label", "score", *(["error"] if self.error else []))
        return {name: getattr(self, name) for name in names}


def escape_cell(text: str) -> str:
    """Return the text with an apostrophe before it if a spreadsheet would compute it; a plain number stays."""
    return f"'{text}" if text.startswith(FORMULAS) and not NUMBER.fullmatch(text) else text


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
    from sentiment140_bert.data import encodings, readers, sources

    if name == "-":
        encoding: str | None = encodings.resolve_encoding(data.encoding or "utf-8")
        rows: Iterator[Row | BadRow] = _read_stdin(encoding or "utf-8")
    else:
        is_table = sources.is_file_name(name)
        source = sources.open_source(name) if is_table else sources.open_text_source(name, as_lines=True)
        encoding = encodings.detect_encoding(source, data.encoding)
        rows = readers.read_source(source, data, encoding, labelled=False)
        first = next(rows, None)
        if first is None:
            raise DataError(f"{name} holds no rows.", "Is it the right file?")
        rows = itertools.chain([first], rows)
    for row in rows:
        if isinstance(row, BadRow) or is_unicode(row.text + (row.id or "")):
            yield row
        else:
            reason = encodings.explain_undecodable((row.text, row.id), encoding)
            yield BadRow(row.number, reason, ascii(row.text)[1:-1][:200])


def _read_stdin(encoding: str) -> Iterator[Row]:
    from sentiment140_bert.data import files

    name = "standard input"
    with files.explain_decoding(name, encoding):
        lines = io.TextIOWrapper(files.bound_lines(sys.stdin.buffer, name), encoding, errors="surrogateescape")
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


@dataclass(frozen=True)
class Output:
    """The columns of a file of predictions, and the way its cells are written.

    Args:
        names: The input's columns; for lines of text ``row`` or ``id``, and ``text``.
        text: The one of them that has the texts.
        prefix: Of the names of the added columns ``label``, ``score`` and ``error``.
        escapes: Write cells of CSV that a spreadsheet would compute by :func:`escape_cell`.
    """

    names: Sequence[str]
    text: str = "text"
    prefix: str = ""
    escapes: bool = True

    @property
    def added(self) -> list[str]:
        """The names of the columns that a prediction adds."""
        return [self.prefix + name for name in ADDED]

    def make_record(self, row: PredictedRow) -> dict[str, Any]:
        """Return the plain values of an output row by name; a missing value may be missing.

        Raises:
            DataError: The input has a column of the name of one that is added.
        """
        record = row.record
        if record is None:
            values = {"row": row.row, "id": row.id, self.text: row.text}
            record = {name: values[name] for name in self.names if name in values}
        self.refuse_taken(record)
        added = dict(zip(self.added, (row.label, row.score, row.error), strict=True))
        return {**record, **added}

    def refuse_taken(self, names: Iterable[str]) -> None:
        """Raise DataError if the input has a column of the name of one that is added."""
        if taken := sorted({*self.added} & {*names}):
            raise DataError(
                f"The input has a column {' and a column '.join(taken)} already.",
                "Name the new ones with --prefix, as in --prefix predicted_.",
            )


def plan_output(rows: Iterable[Row | BadRow], data: DataConfig, prefix: str = "", escapes: bool = True) -> Output:
    """Find the columns of the output by the first rows of the input: those of a table, else a number or id, and texts.

    Raises:
        DataError: The input has a column of the name of one that is added.
    """
    good = [row for row in rows if isinstance(row, Row)]
    records = [row.record for row in good if row.record is not None]
    if not records:
        return Output(["id" if any(row.id is not None for row in good) else "row", "text"], "text", prefix, escapes)
    names = list(dict.fromkeys(name for record in records for name in record))
    if odd := next((name for name in names if not is_unicode(name)), None):
        raise DataError(f"The input has a column {odd!a}, which is not valid Unicode.", "Rename it.")
    output = Output(names, names[find_columns(names, data, "the input", labelled=False).text], prefix, escapes)
    output.refuse_taken(names)
    return output


def write_predictions(path: Path, predictions: Iterable[PredictedRow], output: Output) -> int:
    """Write one row for each row of the input, whole or not at all, and return how many there were.

    Keys of a JSON file that first come after its first thousand objects are written to ``.jsonl`` only; a warning
    names those that are left out.

    Args:
        path: A ``.jsonl``, ``.csv`` or ``.parquet`` file; its folder must exist.
        predictions: Consumed as they come.
        output: Its columns.
    """
    write = {".parquet": _write_parquet, ".csv": _write_csv}.get(path.suffix, _write_lines)
    count = 0
    late: dict[str, int] = {}  # by column its first row
    names = {*output.names, *output.added}

    def make_records() -> Iterator[dict[str, Any]]:
        nonlocal count
        for prediction in predictions:
            count += 1
            record = output.make_record(prediction)
            for name in record.keys() - names:
                late.setdefault(name, prediction.row)
            yield record

    with write_whole(path) as temporary:
        write(temporary, make_records(), output)
    if late and write is not _write_lines:
        columns = ", ".join(f"{name!a} (first in row {row:,})" for name, row in sorted(late.items())[:MOST_NAMED])
        log.warning("%s has not all columns of the input, for some come late: %s; .jsonl keeps all", path.name, columns)
    return count


def _write_lines(path: Path, records: Iterator[dict[str, Any]], output: Output) -> None:
    error = output.added[-1]
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        for record in records:
            if record[error] is None:
                del record[error]
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


def _write_csv(path: Path, records: Iterator[dict[str, Any]], output: Output) -> None:
    names = [*output.names, *output.added]
    escape = escape_cell if output.escapes else str
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(map(escape, names))
        for record in records:
            cells = (record.get(name) for name in names)
            writer.writerow([escape(cell) if isinstance(cell, str) else cell for cell in cells])


def _write_parquet(path: Path, records: Iterator[dict[str, Any]], output: Output) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def take_chunk() -> list[dict[str, Any]]:
        return take_window(records, ROWS_AT_ONCE, lambda record: measure_record(record) + CELL * len(output.names))

    chunk, count = take_chunk(), 0
    added = zip(output.added, (pa.string(), pa.float64(), pa.string()), strict=True)
    kinds = {name: _infer_type([record.get(name) for record in chunk]) for name in output.names} | dict(added)
    texts = [name for name, kind in kinds.items() if pa.types.is_string(kind)]
    integers = [name for name, kind in kinds.items() if pa.types.is_integer(kind)]
    with pq.ParquetWriter(path, pa.schema([*kinds.items()])) as writer:
        while chunk:
            for record in chunk:
                record.update({name: str(record[name]) for name in texts if record.get(name) is not None})
            try:
                _refuse_fractions(chunk, integers)
                writer.write_table(pa.Table.from_pylist(chunk, writer.schema))
                count += len(chunk)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise DataError(
                    f"A column has values of another type after row {count:,}: {error}.",
                    "Parquet cannot hold both; write .jsonl or .csv.",
                ) from None
            chunk = take_chunk()


def _refuse_fractions(records: list[dict[str, Any]], names: list[str]) -> None:
    """Raise ArrowInvalid for a number in a column of integers that is none: pyarrow would cut it."""
    import pyarrow as pa

    for record in records:
        for name in names:
            if isinstance(value := record.get(name), float):
                raise pa.ArrowInvalid(f"{name[:100]} is {value}, and was an integer before")


def _infer_type(values: list[Any]) -> Any:
    """Return the Arrow type of a column's first values; text if they are mixed, all missing, or too large."""
    import pyarrow as pa

    types = {type(value) for value in values if value is not None}
    try:
        return pa.array(values).type if len(types) == 1 else pa.string()
    except (pa.ArrowInvalid, OverflowError):
        return pa.string()
