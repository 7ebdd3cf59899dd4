"""Read the rows of any source: each is either a :class:`Row` or a :class:`BadRow`, in the input's order.

Every verb reads through :func:`read_source`. Each row of the input becomes one of the two; empty lines aside.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.data import columns, files
from sentiment140_bert.data.columns import BadRow, Columns, Row, make_bad_row
from sentiment140_bert.data.csv_reader import LONGEST_FIELD, read_csv
from sentiment140_bert.data.files import open_text
from sentiment140_bert.data.labels import quote
from sentiment140_bert.data.records import add_record, take_window
from sentiment140_bert.data.sources import LINES, Source
from sentiment140_bert.errors import DataError, first_line
from sentiment140_bert.recipe import DataConfig

JSON = (".jsonl", ".ndjson", ".json")
ROWS_WITH_NAMES = 1_000  # of JSON, among whose keys the columns are looked for
CHUNK = 1 << 20  # characters of a JSON array
BETWEEN_ITEMS = re.compile(r"[\s,]*")  # of a JSON array


def read_source(
    source: Source, data: DataConfig, encoding: str | None, labelled: bool = True
) -> Iterator[Row | BadRow]:
    """Yield all rows of a source.

    Args:
        source: Result of :func:`sentiment140_bert.data.sources.locate`.
        data: The columns, delimiter and quoting of the source.
        encoding: Encoding of a text file, from :func:`sentiment140_bert.data.encodings.detect_encoding`.
        labelled: A row needs a label.

    Raises:
        DataError: The columns cannot be told apart, or the file is damaged.
    """
    if source.dataset is not None:
        return _read_dataset(source, data, source.dataset, labelled)
    encoding = encoding or "utf-8"
    if source.labels is not None:
        return _read_two_files(source, source.labels, encoding)
    if source.kind == ".parquet":
        return _read_parquet(source, data, labelled)
    if source.kind in JSON:
        return _read_json(source, data, encoding, labelled)
    if source.kind == LINES or (not labelled and source.kind == ".txt" and not (data.text_column or data.delimiter)):
        return _read_lines(source, encoding)
    return read_csv(source, data, encoding, labelled)


def _read_lines(source: Source, encoding: str) -> Iterator[Row]:
    """Yield each line as a text, empty ones too."""
    with open_text(source, encoding, "surrogateescape") as lines:
        for number, line in enumerate(lines, start=1):
            yield Row(number, line.rstrip("\r\n"))


def _read_two_files(source: Source, labels: Source, encoding: str) -> Iterator[Row]:
    """Yield the lines of a file with the labels in the same lines of another one."""
    with open_text(source, encoding, "surrogateescape") as texts, open_text(labels, "utf-8-sig") as label_lines:
        pairs = itertools.zip_longest((line.rstrip("\r\n") for line in texts), (line.strip() for line in label_lines))
        for number, (text, label) in enumerate(pairs, start=1):
            if text is None or label is None:
                longer, shorter = (labels, source) if text is None else (source, labels)
                raise DataError(
                    f"{longer.name} has more lines than {shorter.name}, which has {number - 1:,}.",
                    "Both files need one line for each tweet.",
                )
            yield Row(number, text, label)


def _make_row(number: int, values: Sequence[Any], names: Sequence[str | None]) -> Row | BadRow:
    """Return a row of plain values in the order of :class:`Columns`; none may be longer than a field of CSV.

    If labels are needed, a row without text or label is bad; else a missing text is an empty one.
    """
    texts: list[str | None] = []
    for value, name in zip(values, names, strict=True):
        if value is None and name is not None and len(texts) < 2 and names[1] is not None:
            return make_bad_row(number, f"no value for {quote(name)}", _shorten(values[0]))
        if isinstance(value, dict | list):
            return make_bad_row(number, "a list or an object where a text should be", "")
        plain = value if value is None or isinstance(value, str) else str(value)
        if plain is not None and len(plain) > LONGEST_FIELD:
            return make_bad_row(number, f"a field of more than {LONGEST_FIELD:,} characters", _shorten(values[0]))
        texts.append(plain)
    text, label, user, time, topic, id_ = texts
    return Row(number, text or "", label or "", user, time, topic, id_)


def _shorten(value: Any) -> str:
    return value[:100] if isinstance(value, str) else ""


def find_named_columns(source: Source, data: DataConfig, encoding: str) -> tuple[list[str], Columns]:
    """Return the names of the columns of a JSON or parquet file, and the columns found among them."""
    if source.kind == ".parquet":
        names = pq.read_schema(source.path).names
    else:
        with open_text(source, encoding, "surrogateescape") as file:
            names = _list_keys(_take_first(_read_objects(file, source)))
    return names, columns.find_columns(names, data, source.name)


# ---- JSON


class JsonObject(NamedTuple):
    """An object, and its line or its place in an array."""

    number: int
    content: dict[str, Any]
    size: int  # characters


def _read_json(source: Source, data: DataConfig, encoding: str, labelled: bool) -> Iterator[Row | BadRow]:
    with open_text(source, encoding, "surrogateescape") as file:
        objects = _read_objects(file, source)
        first = _take_first(objects)
        names = _list_keys(first)
        if not names:
            yield from (row for row in first if isinstance(row, BadRow))
            return
        positions = columns.find_columns(names, data, source.name, labelled)
        column_names = [None if at is None else names[at] for at in positions]
        packed = source.path.stat().st_size if source.path else 0
        for item in itertools.chain(first, objects):
            if not labelled:  # a table of all keys may be far larger than the objects
                files.check_size(item.number * len(names), packed, source.name)
            if isinstance(item, BadRow):
                yield item
            else:
                values = [None if name is None else item.content.get(name) for name in column_names]
                row = _make_row(item.number, values, column_names)
                yield row if labelled else add_record(row, item.content.items())


def _take_first(objects: Iterator[JsonObject | BadRow]) -> list[JsonObject | BadRow]:
    """Return the first objects, fewer if they are large."""
    return take_window(objects, ROWS_WITH_NAMES, lambda item: item.size if isinstance(item, JsonObject) else 0, CHUNK)


def _list_keys(objects: Iterable[JsonObject | BadRow]) -> list[str]:
    """Return the keys of all objects, in the order in which they appear."""
    return list(dict.fromkeys(key for item in objects if isinstance(item, JsonObject) for key in item.content))


def _read_objects(file: IO[str], source: Source) -> Iterator[JsonObject | BadRow]:
    """Yield the objects of JSON lines, or of an array, which a ``.json`` may hold, too."""
    for number, line in enumerate(file, start=1):
        if begin := line.lstrip():
            if begin.startswith("[") and source.kind == ".json":
                return _read_array(begin[1:], file, source.name)
            return _read_json_lines(itertools.chain([line], file), number)
    return iter(())


def _read_json_lines(lines: Iterable[str], first: int) -> Iterator[JsonObject | BadRow]:
    for number, line in enumerate(lines, start=first):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield make_bad_row(number, f"not valid JSON: {error}", line[:200])
            continue
        yield _make_object(number, content, line)


def _make_object(number: int, content: Any, source_text: str) -> JsonObject | BadRow:
    if isinstance(content, dict):
        return JsonObject(number, content, len(source_text))
    return make_bad_row(number, "not a JSON object", source_text[:200])


def _read_array(buffer: str, file: IO[str], name: str) -> Iterator[JsonObject | BadRow]:
    """Yield the items of an array that begins in ``buffer`` and continues in ``file``."""
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
                if not more or len(buffer) - at > files.LONGEST_LINE:
                    raise DataError(
                        f"{name}: item {number:,} of its list is not valid JSON: {first_line(error)}.",
                        "Was the file cut off? A .jsonl file (one JSON object a line) is read in spite of bad lines.",
                    ) from None
                buffer, at = buffer[at:] + more, 0
        yield _make_object(number, item, buffer[at:end])
        at = end


# ---- tables


def _read_parquet(source: Source, data: DataConfig, labelled: bool) -> Iterator[Row | BadRow]:
    """Yield the rows of a parquet file."""
    assert source.path  # noqa: S101 - a file's
    with files.explain_damage(source.name, *files.SENSELESS_VALUE):
        schema, packed, size = pq.read_schema(source.path), source.path.stat().st_size, 0
        positions = _find_positions(source, data, schema, labelled)
        names = [schema.names[at] for at in positions if at is not None] if labelled else _list_unique(schema)
        with files.open_parquet(source.path, source.name) as file:
            batches = files.read_batches(file, list(dict.fromkeys(names)))
            for row in _read_batches(source, data, schema, batches, labelled):
                size += _count_characters(row) if isinstance(row, Row) else 0
                files.check_size(size, packed, source.name)
                yield row


def _list_unique(schema: pa.Schema) -> list[str]:
    """Return the names that one column has."""
    return [name for name, count in Counter(schema.names).items() if count == 1]


def _count_characters(row: Row) -> int:
    values = row.record.values() if row.record else [row.text]
    return sum(len(value) for value in values if isinstance(value, str))


def _read_dataset(source: Source, data: DataConfig, dataset: Any, labelled: bool) -> Iterator[Row | BadRow]:
    batches = (
        dataset.with_format("arrow")[at : at + files.ROWS_AT_ONCE] for at in range(0, len(dataset), files.ROWS_AT_ONCE)
    )
    with files.explain_damage(source.name, *files.SENSELESS_VALUE):
        yield from _read_batches(source, data, dataset.features.arrow_schema, batches, labelled)


def _find_positions(source: Source, data: DataConfig, schema: pa.Schema, labelled: bool) -> Columns:
    positions = columns.find_columns(schema.names, data, source.name, labelled)
    for at in positions:
        if at is not None and pa.types.is_nested(schema.field(at).type):
            raise DataError(
                f"{source.name}: the column {quote(schema.names[at])} holds "
                f"{str(schema.field(at).type)[:100]}, not text.",
                "Name another with --text-column or --label-column, or export its values as text.",
            )
    return positions


def _read_batches(
    source: Source, data: DataConfig, schema: pa.Schema, batches: Iterator[Any], labelled: bool
) -> Iterator[Row | BadRow]:
    positions = _find_positions(source, data, schema, labelled)
    names = [None if at is None else schema.names[at] for at in positions]
    class_names = [] if positions.label is None else _list_class_names(schema, schema.names[positions.label])
    record_names = [] if labelled else _list_unique(schema)
    number = 0
    for batch in batches:
        values = [_to_values(batch.column(name)) if name else [None] * batch.num_rows for name in names]
        record = {name: _to_values(batch.column(name), lenient=True) for name in record_names}
        for at, (text, label, *others) in enumerate(zip(*values, strict=True)):
            number += 1
            if class_names and isinstance(label, int) and 0 <= label < len(class_names):
                label = class_names[label]
            row = _make_row(number, (text, label, *others), names)
            yield row if labelled else add_record(row, ((name, column[at]) for name, column in record.items()))


def _to_values(column: pa.Array | pa.ChunkedArray, lenient: bool = False) -> Sequence[Any]:
    """Return plain values, bytes decoded as UTF-8; equal ones of a dictionary are one object.

    If ``lenient``, bytes that are not UTF-8 are escaped, and times, which Python may not be able to hold, are texts;
    lists and objects stay in Arrow's memory.
    """
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _to_values(chunk, lenient)]
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        if lenient:
            return [
                value if value is None else value.decode("utf-8", "backslashreplace") for value in column.to_pylist()
            ]
        column = column.cast(pa.string())
    if lenient and pa.types.is_nested(column.type):
        return cast(Sequence[Any], column)
    if lenient and pa.types.is_temporal(column.type):
        column = column.cast(pa.string())
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    used = column.indices.unique()  # a batch's dictionary also holds the texts of earlier batches
    values = dict(zip(used.to_pylist(), _to_values(column.dictionary.take(used), lenient), strict=True))
    return [values[at] for at in column.indices.to_pylist()]


def _list_class_names(schema: pa.Schema, label: str) -> list[str]:
    """Return the names of a ClassLabel column, which datasets keeps in the metadata; none for other columns."""
    try:
        value = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    except (ValueError, RecursionError):
        return []
    for key in ("info", "features", label, "names"):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, list) and all(isinstance(name, str) for name in value) else []
