"""``s140 prepare --dry-run``: how a file is understood, shown by its first rows."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from sentiment140_bert.data import columns, formats, schema
from sentiment140_bert.data.columns import Columns
from sentiment140_bert.data.dialects import TAB, find_dialect
from sentiment140_bert.data.reading import read
from sentiment140_bert.data.source import Source, locate
from sentiment140_bert.recipe import DataConfig

QUOTED = {
    "double": 'a quotation mark in a quoted field is doubled ("")',
    "backslash": 'a quotation mark in a quoted field has a backslash before it (\\")',
    "none": "quotation marks are part of the texts",
}
ROWS = 5


class Preview(NamedTuple):
    """What was found out about a source: ``facts`` are (what, how) pairs, ``rows`` its first good ones."""

    facts: list[tuple[str, str]]
    rows: list[dict[str, str | None]]


def preview(data: DataConfig) -> Preview:
    """Read a source as :func:`sentiment140_bert.data.prepare.prepare` would, and keep nothing.

    Raises:
        DataError: As there.
    """
    source, _ = locate(data)
    reading = read(source, data)
    labels = {str(code): name for code, name in schema.LABEL_NAMES.items()}
    rows = [
        {"row": str(row["row"]), "label": labels[str(row["label"])], "text": row["text"]}
        | {"user": row["user"], "time": row["date"], "topic": row["topic"]}
        for row in reading.table.slice(0, ROWS).to_pylist()
    ]
    facts = [
        ("source", source.name),
        *_format(source, data, reading.encoding),
        ("labels", reading.scheme),
        ("rows", f"{reading.rows:,}, of which {reading.bad_rows:,} malformed"),
    ]
    if reading.bad:
        facts.append(("first malformed", f"row {reading.bad[0].number}: {reading.bad[0].reason}"))
    return Preview(facts, rows)


def _format(source: Source, data: DataConfig, encoding: str | None) -> list[tuple[str, str]]:
    if source.labels:
        return [("format", f"texts, one a line, with the labels of {source.labels.name}"), ("encoding", encoding or "")]
    if source.dataset is not None:
        names = source.dataset.column_names
        return [("format", "a table"), *_columns(names, columns.find_columns(names, data, source.name))]
    if source.kind == ".parquet" or source.kind in formats.JSON:
        names, found = formats.named_columns(source, data, encoding or "utf-8")
        kind = "parquet" if source.kind == ".parquet" else f"JSON, {encoding}"
        return [("format", kind), *_columns(names, found)]
    open_lines = partial(formats.text_lines, source, encoding or "utf-8", "surrogateescape")
    dialect = find_dialect(open_lines, data, source.name, source.kind)
    with open_lines() as lines:
        first = next(dialect.reader(lines))
    layout = columns.find_layout(first, data, source.name)
    delimiter = {TAB: "tabs", ",": "commas"}.get(dialect.delimiter, repr(dialect.delimiter))
    return [
        ("format", f"columns parted by {delimiter}; {QUOTED[dialect.quoting]}"),
        ("encoding", (encoding or "").removesuffix("-sig")),
        ("header", "the first row" if layout.header else "none"),
        *_columns(first if layout.header else [], layout.columns),
    ]


def _columns(names: list[str], found: Columns) -> list[tuple[str, str]]:
    """Return for each meaning which column has it."""
    return [
        (meaning, "none" if at is None else f"column {at + 1}{f', {schema.shown(names[at])}' if names else ''}")
        for meaning, at in found._asdict().items()
    ]
