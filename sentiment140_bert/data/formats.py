"""Rows out of CSV, JSON and tables: each either a :class:`Row` or a :class:`BadRow`, in the input's order.

Every verb reads through :func:`rows_of`. Each row of the input becomes one of the two; empty lines aside.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import columns, unpacking
from sentiment140_bert.data.columns import Columns, Layout
from sentiment140_bert.data.dialects import LONGEST_FIELD, MOST_LINES, BoundedLines, find_dialect
from sentiment140_bert.data.encodings import decoding_explained
from sentiment140_bert.data.rows import BadRow, Row
from sentiment140_bert.data.schema import shown
from sentiment140_bert.data.source import LINES, Source
from sentiment140_bert.data.unpacking import damage_explained
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.visible import visible

ROWS_AT_ONCE = 50_000
JSON = (".jsonl", ".ndjson", ".json")
ROWS_WITH_NAMES = 1_000  # of JSON, among whose keys the columns are looked for
CHUNK = 1 << 20  # characters of a JSON array
BETWEEN_ITEMS = re.compile(r"[\s,]*")  # of a JSON array


def rows_of(source: Source, data: DataConfig, encoding: str | None, labelled: bool = True) -> Iterator[Row | BadRow]:
    """Yield all rows of a source.

    Args:
        source: Where they are.
        data: Its columns, delimiter and quoting.
        encoding: Of a text file, from :func:`sentiment140_bert.data.encodings.detect_encoding`.
        labelled: A row needs a label.

    Raises:
        DataError: The columns cannot be told apart, or the file is damaged.
    """
    if source.dataset is not None:
        return _dataset_rows(source, data, source.dataset, labelled)
    encoding = encoding or "utf-8"
    if source.labels is not None:
        return _rows_of_two_files(source, source.labels, encoding)
    if source.kind == ".parquet":
        return _parquet_rows(source, data, labelled)
    if source.kind in JSON:
        return _json_rows(source, data, encoding, labelled)
    if source.kind == LINES or (not labelled and source.kind == ".txt" and not (data.text_column or data.delimiter)):
        return _lines(source, encoding)
    return _csv_rows(source, data, encoding, labelled)


@contextmanager
def text_lines(source: Source, encoding: str, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """Open the source's file, unpacked and decoded; damage becomes a DataError.

    Args:
        source: A text file.
        encoding: From :func:`sentiment140_bert.data.encodings.detect_encoding`.
        errors: What becomes of undecodable bytes: a DataError (``strict``), or surrogates in the text.
    """
    if source.path is None:
        raise TypeError(f"{source.name} is no file")
    longest = None if source.kind == ".json" else unpacking.LONGEST_LINE
    with (
        damage_explained(source.name),
        unpacking.opened(source.path, source.member, source.name, longest) as file,
        decoding_explained(source.name, encoding),
    ):
        yield io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")


def _any_lines(source: Source, encoding: str) -> Any:
    return text_lines(source, encoding, "surrogateescape")


def _bad(number: int, reason: str, content: str, rows: int = 1) -> BadRow:
    """Return a bad row that can be written and printed, whatever bytes it holds."""
    return BadRow(number, visible(reason), visible(content[:200])[:200], rows)


# ---- text files


def _csv_rows(source: Source, data: DataConfig, encoding: str, labelled: bool) -> Iterator[Row | BadRow]:
    dialect = find_dialect(partial(_any_lines, source, encoding), data, source.name, source.kind, labelled)
    with _any_lines(source, encoding) as lines:
        layout: Layout | None = None
        bounded = BoundedLines(lines)
        for record in _records(dialect.reader(bounded), bounded):
            if isinstance(record, BadRow):
                yield record
                continue
            if layout is None:
                layout = columns.find_layout(record.fields, data, source.name, labelled)
                if layout.header:
                    continue
            yield _row(record, layout)


class Record(NamedTuple):
    """The fields that begin in line ``number`` and span ``lines`` lines."""

    number: int
    lines: int
    fields: list[str]


def _records(reader: Any, bounded: BoundedLines) -> Iterator[Record | BadRow]:
    """Yield every record of a reader of lines that is not an empty line."""
    while True:
        number = reader.line_num + 1
        bounded.begin_record()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _bad(number, f"not valid CSV: {error}", "", reader.line_num - number + 1)
            continue
        lines = reader.line_num - number + 1
        if lines > MOST_LINES:
            yield _bad(number, f"a quote opens and does not close within {MOST_LINES} lines", fields[-1][:200], lines)
        elif fields:
            yield Record(number, lines, fields)


def _row(record: Record, layout: Layout) -> Row | BadRow:
    number, lines, fields = record
    if len(fields) != layout.width:
        reason = f"{len(fields)} columns instead of {layout.width}"
        return _bad(number, reason, " | ".join(fields[:200])[:200], lines)
    text, label, user, time, topic, id_ = layout.columns
    return Row(
        number,
        fields[text],
        "" if label is None else fields[label],
        None if user is None else fields[user],
        None if time is None else fields[time],
        None if topic is None else fields[topic],
        None if id_ is None else fields[id_],
    )


def _lines(source: Source, encoding: str) -> Iterator[Row]:
    """Yield each line as a text, empty ones too."""
    with _any_lines(source, encoding) as lines:
        for number, line in enumerate(lines, start=1):
            yield Row(number, line.rstrip("\r\n"))


def _rows_of_two_files(source: Source, labels: Source, encoding: str) -> Iterator[Row]:
    """Yield the lines of a file with the labels that stand in the lines of another one."""
    with _any_lines(source, encoding) as texts, text_lines(labels, "utf-8-sig") as of_texts:
        pairs = itertools.zip_longest((line.rstrip("\r\n") for line in texts), (line.strip() for line in of_texts))
        for number, (text, label) in enumerate(pairs, start=1):
            if text is None or label is None:
                longer, shorter = (labels, source) if text is None else (source, labels)
                raise DataError(
                    f"{longer.name} has more lines than {shorter.name}, which has {number - 1:,}.",
                    "Each line of the one needs the line of the other that belongs to it.",
                )
            yield Row(number, text, label)


# ---- JSON


def _json_rows(source: Source, data: DataConfig, encoding: str, labelled: bool) -> Iterator[Row | BadRow]:
    with _any_lines(source, encoding) as file:
        records = _json_records(file, source)
        first = _take(records)
        names = _keys(first)
        if not names:
            yield from (each for each in first if isinstance(each, BadRow))
            return
        positions = columns.find_columns(names, data, source.name, labelled)
        wanted = [None if at is None else names[at] for at in positions]
        for record in itertools.chain(first, records):
            if isinstance(record, BadRow):
                yield record
            else:
                values = [None if name is None else record.content.get(name) for name in wanted]
                yield _checked(record.number, values, wanted)


def _take(records: Iterator[JsonRecord | BadRow]) -> list[JsonRecord | BadRow]:
    """Return the first records, fewer where they are large."""
    taken: list[JsonRecord | BadRow] = []
    size = 0
    for record in records:
        taken.append(record)
        size += record.size if isinstance(record, JsonRecord) else 0
        if len(taken) == ROWS_WITH_NAMES or size > CHUNK:
            break
    return taken


def _keys(records: Iterable[JsonRecord | BadRow]) -> list[str]:
    """Return the keys of all objects, in the order in which they appear."""
    return list(dict.fromkeys(key for each in records if isinstance(each, JsonRecord) for key in each.content))


def named_columns(source: Source, data: DataConfig, encoding: str) -> tuple[list[str], Columns]:
    """Return the names of the columns of a JSON or parquet file, and which of them are which."""
    if source.kind == ".parquet":
        names = pq.read_schema(source.path).names
    else:
        with _any_lines(source, encoding) as file:
            names = _keys(_take(_json_records(file, source)))
    return names, columns.find_columns(names, data, source.name)


class JsonRecord(NamedTuple):
    """An object, and its line or its place in an array."""

    number: int
    content: dict[str, Any]
    size: int  # characters


def _json_records(file: IO[str], source: Source) -> Iterator[JsonRecord | BadRow]:
    """Yield the objects of JSON lines, or of an array, which a ``.json`` may hold, too."""
    for number, line in enumerate(file, start=1):
        if begin := line.lstrip():
            if begin.startswith("[") and source.kind == ".json":
                return _array_records(begin[1:], file, source.name)
            return _line_records(itertools.chain([line], file), number)
    return iter(())


def _line_records(lines: Iterable[str], first: int) -> Iterator[JsonRecord | BadRow]:
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield _bad(number, f"not valid JSON: {error}", line[:200])
            continue
        yield _json_record(number, content, line)


def _json_record(number: int, content: Any, written: str) -> JsonRecord | BadRow:
    if isinstance(content, dict):
        return JsonRecord(number, content, len(written))
    return _bad(number, "not a JSON object", written[:200])


def _array_records(buffer: str, file: IO[str], name: str) -> Iterator[JsonRecord | BadRow]:
    """Yield the items of an array that begins in ``buffer`` and goes on in ``file``."""
    decoder = json.JSONDecoder()
    at = 0
    for number in itertools.count(1):
        while True:
            between = BETWEEN_ITEMS.match(buffer, at)  # which may be nothing
            at = between.end() if between else at
            if buffer.startswith("]", at):
                return
            try:
                item, end = decoder.raw_decode(buffer, at)
                break
            except (ValueError, RecursionError) as error:
                more = file.read(CHUNK)
                if not more or len(buffer) - at > unpacking.LONGEST_LINE:
                    raise DataError(
                        f"{name}: item {number:,} of its list is not valid JSON: {first_line(error)}.",
                        "Was the file cut off? One JSON object a line (.jsonl) is read around such a place.",
                    ) from None
                buffer, at = buffer[at:] + more, 0
        yield _json_record(number, item, buffer[at:end])
        at = end


def _checked(number: int, values: Sequence[Any], names: Sequence[str | None]) -> Row | BadRow:
    """Return a row of plain values in the order of :class:`Columns`; none may be longer than a field of CSV.

    Where labels are needed, a row without text or label is bad; else no text is an empty one.
    """
    written: list[str | None] = []
    for value, name in zip(values, names, strict=True):
        if value is None and name is not None and len(written) < 2 and names[1] is not None:
            return _bad(number, f"no value for {shown(name)}", _start(values[0]))
        if isinstance(value, dict | list):
            return _bad(number, "a list or an object where a text should be", "")
        plain = value if value is None or isinstance(value, str) else str(value)
        if plain is not None and len(plain) > LONGEST_FIELD:
            return _bad(number, f"a field of more than {LONGEST_FIELD:,} characters", _start(values[0]))
        written.append(plain)
    text, label, *others = written
    return Row(number, text or "", label or "", *others)


def _start(value: Any) -> str:
    return value[:100] if isinstance(value, str) else ""


# ---- tables


def _parquet_rows(source: Source, data: DataConfig, labelled: bool) -> Iterator[Row | BadRow]:
    """Yield the rows of a parquet file. Texts stay in dictionaries as they are read: a file that repeats a long one a
    million times takes no more memory than the text."""
    with damage_explained(source.name, *unpacking.STRANGE), pq.ParquetFile(source.path) as plain:
        fields = plain.schema_arrow
        groups = [plain.metadata.row_group(at) for at in range(plain.metadata.num_row_groups)]
        packed = source.path.stat().st_size if source.path else 0
        unpacking.check_size(sum(each.total_byte_size for each in groups), packed, source.name)
        wanted = [fields.names[at] for at in _positions(source, data, fields, labelled) if at is not None]
        texts = [name for name in dict.fromkeys(wanted) if _is_text(fields.field(name).type)]
        with pq.ParquetFile(source.path, read_dictionary=texts) as file:
            size = 0
            for row in _table_rows(source, data, fields, _whole(file, wanted), labelled):
                size += len(row.text) if isinstance(row, Row) else 0
                unpacking.check_size(size, packed, source.name)
                yield row


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    texts = (types.is_string, types.is_large_string, types.is_string_view)
    return any(is_kind(kind) for is_kind in (*texts, types.is_binary, types.is_large_binary, types.is_binary_view))


def _whole(file: pq.ParquetFile, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Yield batches of rows; damage that Arrow reads over, such as an index past its dictionary, is an ArrowInvalid.

    Each row group is read by itself: one reader for all of them adds every group's texts to one dictionary.
    """
    rows = 0
    for group in range(file.num_row_groups):
        for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=[group], columns=columns):
            batch.validate(full=True)
            rows += batch.num_rows
            yield batch
    if rows != file.metadata.num_rows:
        raise pa.ArrowInvalid(f"it holds {rows:,} rows and says {file.metadata.num_rows:,}")


def _dataset_rows(source: Source, data: DataConfig, dataset: Any, labelled: bool) -> Iterator[Row | BadRow]:
    parts = (dataset.with_format("arrow")[at : at + ROWS_AT_ONCE] for at in range(0, len(dataset), ROWS_AT_ONCE))
    with damage_explained(source.name, *unpacking.STRANGE):
        yield from _table_rows(source, data, dataset.features.arrow_schema, parts, labelled)


def _positions(source: Source, data: DataConfig, fields: pa.Schema, labelled: bool) -> Columns:
    positions = columns.find_columns(fields.names, data, source.name, labelled)
    for at in positions:
        if at is not None and pa.types.is_nested(fields.field(at).type):
            raise DataError(
                f"{source.name}: the column {shown(fields.names[at])} holds no texts but "
                f"{str(fields.field(at).type)[:100]}.",
                "Name another with --text-column or --label-column, or export its values as texts.",
            )
    return positions


def _table_rows(
    source: Source, data: DataConfig, fields: pa.Schema, batches: Iterator[Any], labelled: bool
) -> Iterator[Row | BadRow]:
    positions = _positions(source, data, fields, labelled)
    wanted = [None if at is None else fields.names[at] for at in positions]
    label_names = [] if positions.label is None else _class_names(fields, fields.names[positions.label])
    number = 0
    for batch in batches:
        values = [_values(batch.column(name)) if name else [None] * batch.num_rows for name in wanted]
        for row in zip(*values, strict=True):
            number += 1
            text, label, *others = row
            if label_names and isinstance(label, int) and 0 <= label < len(label_names):
                label = label_names[label]
            yield _checked(number, (text, label, *others), wanted)


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """Plain values, bytes as the UTF-8 that they are; equal ones of a dictionary are one object."""
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk)]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        column = column.cast(pa.string())
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    used = column.indices.unique()  # a batch's dictionary holds the texts of those before it, too
    words = dict(zip(used.to_pylist(), _values(column.dictionary.take(used)), strict=True))
    return [words[at] for at in column.indices.to_pylist()]


def _class_names(columns: pa.Schema, label: str) -> list[str]:
    """Names of a ClassLabel column, which datasets keeps in the schema's metadata; empty for other columns."""
    try:
        found = json.loads((columns.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return []
    for key in ("info", "features", label, "names"):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, list) and all(isinstance(name, str) for name in found) else []
