"""Rows out of CSV, JSON lines and tables: each either a :class:`Row` or a :class:`BadRow`, in the input's order."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import schema, unpacking
from sentiment140_bert.data.source import Source
from sentiment140_bert.data.unpacking import damage_explained
from sentiment140_bert.errors import DataError
from sentiment140_bert.settings import DataConfig
from sentiment140_bert.visible import visible

LONGEST_FIELD = 100_000  # characters; what is longer is no tweet but, in CSV, an unclosed quote
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
        return _dataset_rows(source, data, source.dataset)
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
    known = known_encoding(asked) if asked else None
    if known and not source.path.name.lower().endswith(".gz"):
        return known
    decoder = codecs.getincrementaldecoder("utf-8")()
    with damage_explained(source.name), _opened(source) as file:
        block = file.read(1 << 20)
        if known:
            while block:  # a bomb is found out faster here than by its rows
                block = file.read(1 << 20)
            return known
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
    except (LookupError, ValueError):  # the latter of one called undefined, and of a NUL in the name
        raise DataError(f"There is no encoding {asked!r}.", "For example --encoding latin-1 or utf-8.") from None


@contextmanager
def _opened(source: Source) -> Iterator[IO[bytes]]:
    if source.path is None:
        raise TypeError(f"{source.name} is no file")
    with unpacking.opened(source.path, source.member, source.name) as file:
        yield file


@contextmanager
def text_lines(source: Source, encoding: str) -> Iterator[io.TextIOWrapper]:
    """The source's file, unpacked and decoded; damage and undecodable bytes become a DataError.

    Args:
        source: A text file.
        encoding: From :func:`encoding_of`.
    """
    with damage_explained(source.name), _opened(source) as file, decoding_explained(source.name, encoding):
        yield io.TextIOWrapper(file, encoding=encoding, newline="")


@contextmanager
def decoding_explained(name: str, encoding: str) -> Iterator[None]:
    """Turns bytes that are not of an encoding into a DataError."""
    try:
        yield
    except UnicodeError as error:
        reason = f"byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(
            f"{name} is not {encoding}: {reason} cannot be decoded.",
            "Leave --encoding away (UTF-8 if it is valid, else latin-1), or name the right one.",
        ) from None


def _csv_rows(source: Source, data: DataConfig, encoding: str) -> Iterator[Row | BadRow]:
    delimiter = _delimiter(source, data)
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


def _delimiter(source: Source, data: DataConfig) -> str:
    named = {"\\t": "\t", "tab": "\t"}.get(data.delimiter or "", data.delimiter)
    delimiter = named or ("\t" if ".tsv" in source.suffix else ",")
    if len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise DataError(
            f"The delimiter {delimiter!r} is not a single character, or one that has a meaning of its own.",
            "For example --delimiter ';'.",
        )
    return delimiter


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
        return BadRow(number, reason, " | ".join(fields[:200])[:200], lines)
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
            yield _checked(number, [record.get(name) for name in columns], columns)


def _checked(number: int, values: Sequence[Any], columns: Sequence[str]) -> Row | BadRow:
    """A row of text, label and others, which are plain values; none of them may be longer than a field of CSV."""
    text, label = values[:2]
    if text is None or label is None:
        missing = columns[0] if text is None else columns[1]
        return BadRow(number, f"no value for {schema.shown(missing)}", _start(text))
    written: list[str | None] = []
    for value in values:
        if isinstance(value, dict | list):
            return BadRow(number, "a list or an object where a text should be", "")
        plain = value if value is None or isinstance(value, str) else str(value)
        if plain is not None and len(plain) > LONGEST_FIELD:
            return BadRow(number, f"a field of more than {LONGEST_FIELD:,} characters", _start(text))
        written.append(plain)
    return Row(number, *written)  # type: ignore[arg-type]


def _start(value: Any) -> str:
    return visible(value[:100])[:200] if isinstance(value, str) else ""


def _parquet_rows(source: Source, data: DataConfig) -> Iterator[Row | BadRow]:
    """Texts stay in dictionaries as they are read: a file that repeats a long one a million times takes no more memory
    than the text."""
    with damage_explained(source.name, *unpacking.STRANGE), pq.ParquetFile(source.path) as plain:
        names, columns = plain.schema_arrow.names, plain.schema_arrow
        groups = [plain.metadata.row_group(at) for at in range(plain.metadata.num_row_groups)]
        packed = source.path.stat().st_size if source.path else 0
        unpacking.check_size(sum(each.total_byte_size for each in groups), packed, source.name)
        wanted = [names[at] for at in _positions(source, data, names, columns) if at is not None]
        texts = [name for name in dict.fromkeys(wanted) if pa.types.is_string(columns.field(name).type)]
        with pq.ParquetFile(source.path, read_dictionary=texts) as file:
            size = 0
            for row in _table_rows(source, data, columns, _whole(file, wanted)):
                size += len(row.text) if isinstance(row, Row) else 0
                unpacking.check_size(size, packed, source.name)
                yield row


def _whole(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Batches of rows; damage that Arrow reads over, such as an index past its dictionary, is an ArrowInvalid."""
    rows = 0
    for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
        batch.validate(full=True)
        rows += batch.num_rows
        yield batch
    if rows != file.metadata.num_rows:
        raise pa.ArrowInvalid(f"it holds {rows:,} rows and says {file.metadata.num_rows:,}")


def _dataset_rows(source: Source, data: DataConfig, dataset: Any) -> Iterator[Row | BadRow]:
    parts = (dataset.with_format("arrow")[at : at + ROWS_AT_ONCE] for at in range(0, len(dataset), ROWS_AT_ONCE))
    with damage_explained(source.name, *unpacking.STRANGE):
        yield from _table_rows(source, data, dataset.features.arrow_schema, parts)


def _positions(source: Source, data: DataConfig, names: list[str], columns: pa.Schema) -> schema.Columns:
    positions = schema.named_columns(names, data.text_column, data.label_column, source.name)
    for at in positions:
        if at is None:
            continue
        name = schema.shown(names[at])
        if names.count(names[at]) > 1:
            raise DataError(f"{source.name} has two columns {name}.", "Rename one of them.")
        if pa.types.is_nested(columns.field(at).type):
            raise DataError(
                f"{source.name}: the column {name} holds no texts but {str(columns.field(at).type)[:100]}.",
                "Name another with --text-column or --label-column, or export its values as texts.",
            )
    return positions


def _table_rows(source: Source, data: DataConfig, columns: pa.Schema, batches: Iterator[Any]) -> Iterator[Row | BadRow]:
    positions = _positions(source, data, columns.names, columns)
    wanted = [None if at is None else columns.names[at] for at in positions]
    label_names = _class_names(columns, columns.names[positions.label])
    number = 0
    for batch in batches:
        values = [_values(batch.column(name)) if name else [None] * batch.num_rows for name in wanted]
        for row in zip(*values, strict=True):
            number += 1
            text, label, *others = row
            if label_names and isinstance(label, int) and 0 <= label < len(label_names):
                label = label_names[label]
            yield _checked(number, (text, label, *others), ("text", "label"))


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Plain values, bytes as the UTF-8 that they are; equal ones of a dictionary are one object."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk)]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    words = _values(column.dictionary)
    return [None if at is None else words[at] for at in column.indices.to_pylist()]


def _class_names(columns: pa.Schema, label: str) -> list[str]:
    """Names of a ClassLabel column, which datasets keeps in the schema's metadata; empty for other columns."""
    try:
        found = json.loads((columns.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return []
    for key in ("info", "features", label, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else []
