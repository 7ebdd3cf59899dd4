"""Rows out of CSV, JSON lines and tables: each either a :class:`Row` or a :class:`BadRow`, in the input's order."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import schema
from sentiment140_bert.data.source import Source
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.recipe import DataConfig

LONGEST_FIELD = 100_000  # characters; what is longer is no tweet but an unclosed quote
MOST_LINES = 100  # a quoted text that spans more lines is an unclosed quote as well
ROWS_AT_ONCE = 50_000


class Row(NamedTuple):
    """A tweet as it was written. ``number`` is its line in a text file, its place in a table; both count from 1."""

    number: int
    text: str
    label: str
    user: str | None = None
    date: str | None = None
    topic: str | None = None


class BadRow(NamedTuple):
    """A row that cannot be used, and why; ``rows`` says how many lines of the file it swallowed."""

    number: int
    reason: str
    content: str
    rows: int = 1


def rows_of(source: Source, data: DataConfig, encoding: str | None) -> Iterator[Row | BadRow]:
    """All rows of a source.

    Args:
        source: Where they are.
        data: For the names of columns and the delimiter.
        encoding: Of a text file, from :func:`encoding_of`.

    Raises:
        DataError: The columns cannot be told apart, or the file is damaged or not in that encoding.
    """
    if source.dataset is not None:
        batches = _dataset_batches(source.dataset)
        return _table_rows(source, data, source.dataset.column_names, batches, source.dataset.features.arrow_schema)
    if source.suffix == ".parquet":
        return _parquet_rows(source, data)
    if source.suffix.startswith(".jsonl"):
        return _json_rows(source, data, encoding or "utf-8")
    return _csv_rows(source, data, encoding or "utf-8")


def encoding_of(source: Source, asked: str | None) -> str | None:
    """The encoding of a text file: as asked, by its byte order mark, UTF-8 if all of it is valid, else latin-1.

    Raises:
        DataError: There is no encoding of the name asked for.
    """
    if source.path is None or source.suffix == ".parquet":
        return None
    if asked:
        return known_encoding(asked)
    decoder = codecs.getincrementaldecoder("utf-8")()
    with damage_explained(source), _opened(source) as file:
        block = file.read(1 << 20)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = file.read(1 << 20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8-sig"


def known_encoding(asked: str) -> str:
    """Python's name of an encoding; that of UTF-8 also takes a byte order mark.

    Raises:
        DataError: There is none of that name.
    """
    try:
        "".encode(asked)
        return "utf-8-sig" if codecs.lookup(asked).name == "utf-8" else codecs.lookup(asked).name
    except LookupError:
        raise DataError(f"There is no encoding {asked!r}.", "For example --encoding latin-1 or utf-8.") from None


@contextmanager
def damage_explained(source: Source) -> Iterator[None]:
    """Turns the errors of a cut-off or damaged file into one that names it."""
    try:
        yield
    except (EOFError, OSError, zipfile.BadZipFile, zlib.error, pa.ArrowException) as error:
        raise DataError(
            f"{source.name} is damaged or was cut off: {first_line(error)}.", "Download or export it again."
        ) from None


@contextmanager
def _opened(source: Source) -> Iterator[Any]:
    if source.path is None:
        raise ValueError(f"{source.name} is no file")
    if source.path.name.lower().endswith(".zip"):
        with zipfile.ZipFile(source.path) as archive, archive.open(source.member or "") as member:
            yield member
    elif source.path.name.lower().endswith(".gz"):
        with gzip.open(source.path) as unpacked:
            yield unpacked
    else:
        with source.path.open("rb") as file:
            yield file


@contextmanager
def text_lines(source: Source, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The source's file, unpacked and decoded; damage and undecodable bytes become a DataError.

    Args:
        source: A text file.
        encoding: From :func:`encoding_of`.
    """
    with damage_explained(source), _opened(source) as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        try:
            yield text
        except UnicodeError as error:
            reason = f"byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else str(error)
            raise DataError(
                f"{source.name} is not {encoding}: {reason} cannot be decoded.",
                "Leave --encoding away (UTF-8 if it is valid, else latin-1), or name the right one.",
            ) from None


def _csv_rows(source: Source, data: DataConfig, encoding: str) -> Iterator[Row | BadRow]:
    delimiter = {"\\t": "\t", "tab": "\t"}.get(data.delimiter or "", data.delimiter)
    delimiter = delimiter or ("\t" if ".tsv" in source.suffix else ",")
    if len(delimiter) != 1:
        raise DataError(f"The delimiter {delimiter!r} is not a single character.", "For example --delimiter ';'.")
    csv.field_size_limit(LONGEST_FIELD)
    with text_lines(source, encoding) as lines:
        layout: schema.Layout | None = None
        known = schema.mapping(data.label_map) if data.label_map else ()
        for record in _records(csv.reader(lines, delimiter=delimiter)):
            if isinstance(record, BadRow):
                yield record
                continue
            if layout is None:
                layout = schema.layout_of(record.fields, data.text_column, data.label_column, source.name, known)
                if layout.header:
                    continue
            yield _row(record, layout)


class Record(NamedTuple):
    """The fields that begin in line ``number`` and span ``lines`` lines."""

    number: int
    lines: int
    fields: list[str]


def _records(reader: Any) -> Iterator[Record | BadRow]:
    """Every record that is not an empty line."""
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(number, f"not valid CSV: {error}", "", reader.line_num - number + 1)
            continue
        lines = reader.line_num - number + 1
        if lines > MOST_LINES:
            yield BadRow(number, f"a quote opens and does not close within {MOST_LINES} lines", fields[-1][:200], lines)
        elif fields:
            yield Record(number, lines, fields)


def _row(record: Record, layout: schema.Layout) -> Row | BadRow:
    number, lines, fields = record
    if len(fields) != layout.width:
        reason = f"{len(fields)} columns instead of {layout.width}"
        return BadRow(number, reason, " | ".join(fields)[:200], lines)
    return Row(
        number,
        fields[layout.text],
        fields[layout.label],
        fields[layout.user] if layout.user is not None else None,
        fields[layout.date] if layout.date is not None else None,
        fields[layout.topic] if layout.topic is not None else None,
    )


def _json_rows(source: Source, data: DataConfig, encoding: str) -> Iterator[Row | BadRow]:
    columns: tuple[str, ...] = ()
    with text_lines(source, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield BadRow(number, f"not valid JSON: {error}", line[:200])
                continue
            if not isinstance(record, dict):
                yield BadRow(number, "not a JSON object", line[:200])
                continue
            if not columns:
                names = [str(name) for name in record]
                found = schema.named_columns(names, data.text_column, data.label_column, source.name)
                columns = tuple("" if position is None else names[position] for position in found)
            text, label, *others = (record.get(name) for name in columns)
            if text is None or label is None:
                missing = columns[0] if text is None else columns[1]
                yield BadRow(number, f"no value for {missing}", line[:200])
            else:
                yield Row(number, str(text), str(label), *map(_maybe, others))


def _parquet_rows(source: Source, data: DataConfig) -> Iterator[Row | BadRow]:
    with damage_explained(source), _opened(source) as opened, pq.ParquetFile(opened) as file:
        yield from _table_rows(
            source, data, file.schema_arrow.names, file.iter_batches(ROWS_AT_ONCE), file.schema_arrow
        )


def _dataset_batches(dataset: Any) -> Iterator[Any]:
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        yield dataset.with_format("arrow")[start : start + ROWS_AT_ONCE]


def _table_rows(
    source: Source, data: DataConfig, names: list[str], batches: Iterator[Any], columns: pa.Schema
) -> Iterator[Row | BadRow]:
    positions = schema.named_columns(names, data.text_column, data.label_column, source.name)
    label_names = _class_names(columns, names[positions[1]])
    number = 0
    for batch in batches:
        columns_ = (
            batch.column(names[at]).to_pylist() if at is not None else [None] * batch.num_rows for at in positions
        )
        for one_text, one_label, *others in zip(*columns_, strict=True):
            number += 1
            if one_text is None or one_label is None:
                yield BadRow(number, "no text" if one_text is None else "no label", str(one_text or "")[:200])
                continue
            named = label_names[one_label] if label_names and 0 <= one_label < len(label_names) else one_label
            yield Row(number, str(one_text), str(named), *map(_maybe, others))


def _class_names(columns: pa.Schema, label: str) -> list[str]:
    """Names of a ClassLabel column, which datasets keeps in the schema's metadata; empty for other columns."""
    written = (columns.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(written).get("info", {}).get("features", {})
    return list(features.get(label, {}).get("names") or [])


def _maybe(value: Any) -> str | None:
    return None if value is None else str(value)
