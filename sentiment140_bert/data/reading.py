"""Read tweets into one Arrow table, with every malformed row counted, numbered and set apart; or preview a file."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import columns, encodings, files, labels, readers
from sentiment140_bert.data.columns import BadRow, Columns, Row
from sentiment140_bert.data.csv_reader import TAB, find_dialect
from sentiment140_bert.data.sources import Source, locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import LABEL_NAMES, tidy
from sentiment140_bert.progress import progress_bar
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.text import escape_hidden

COLUMNS = ("row", "text", "label", "user", "date", "topic")
TYPES = (pa.int32(), *[pa.string()] * 5)
MOST_BAD_ROWS = 1_000_000  # whatever share is allowed: all of them are held in memory, with their reasons
PREVIEW_ROWS = 5
QUOTING = {
    "double": 'a quotation mark in a quoted field is doubled ("")',
    "backslash": 'a quotation mark in a quoted field has a backslash before it (\\")',
    "none": "quotation marks are part of the texts",
}


@dataclass(frozen=True)
class Reading:
    """The tweets of a source.

    ``table`` has the columns ``row`` (int32), ``text``, ``label`` (int8: 0 negative, 1 positive, 2 neutral),
    ``user``, ``date`` and ``topic`` (strings, null if the source has none; a topic is the query that found the
    tweet); ``rows`` counts every row of the input, the ``bad`` ones and those ``dropped`` by a label map included.
    """

    table: pa.Table
    rows: int
    bad: list[BadRow]
    sha256: str
    encoding: str | None
    scheme: str
    dropped: int = 0

    @property
    def bad_rows(self) -> int:
        return sum(row.rows for row in self.bad)


class Preview(NamedTuple):
    """A source's format and first good rows: ``facts`` are (what, how) pairs."""

    facts: list[tuple[str, str]]
    rows: list[dict[str, str | None]]


@dataclass
class _Collector:
    """Collects rows into Arrow batches, and hashes them if there is no file to be hashed."""

    name: str
    encoding: str | None
    hashes: bool
    batches: list[pa.RecordBatch] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    chunk: list[Row] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def collect(self, rows: Iterator[Row | BadRow], bar: Any) -> None:
        for row in rows:
            if isinstance(row, BadRow):
                self.bad.append(row)
                if len(self.bad) > MOST_BAD_ROWS:
                    raise _explain_no_tweets(self.name, row)
                continue
            self.chunk.append(row)
            if len(self.chunk) == files.ROWS_AT_ONCE:
                bar.update(self.flush())
        bar.update(self.flush())

    def flush(self) -> int:
        rows = self.chunk
        try:
            batch = _make_batch(rows)
        except UnicodeEncodeError:
            rows = [row for row in rows if self._is_unicode(row)]
            batch = _make_batch(rows)
        self.batches.append(batch)
        if self.hashes:
            self.digest.update("".join(f"{json.dumps(row[: len(COLUMNS)])}\n" for row in rows).encode())
        self.chunk = []
        return len(rows)

    def _is_unicode(self, row: Row) -> bool:
        stored = (row.text, row.label, row.user, row.time, row.topic)  # the id is not, and may be anything
        try:
            "".join(value for value in stored if value).encode()
        except UnicodeEncodeError:
            reason = encodings.explain_undecodable(stored, self.encoding)
            self.bad.append(BadRow(row.number, reason, ascii(row.text)[:200]))
            return False
        return True


def _make_batch(rows: list[Row]) -> pa.RecordBatch:
    values = [*zip(*rows, strict=True)][: len(COLUMNS)] if rows else [()] * len(COLUMNS)
    arrays = [pa.array(column, kind) for column, kind in zip(values, TYPES, strict=True)]
    return pa.record_batch(arrays, names=list(COLUMNS))


def read_tweets(source: Source, data: DataConfig, labels_may_differ: bool = False) -> Reading:
    """Read all tweets of a source.

    Args:
        source: Result of :func:`sentiment140_bert.data.sources.locate`.
        data: Names of columns, meaning of labels, delimiter, encoding and ``max_bad_rows``.
        labels_may_differ: The label map is of another file: it applies here only if it maps every label.

    Raises:
        DataError: The file is damaged, undecodable or empty, has no such column or delimiter, its labels cannot be told
            apart, or more than ``max_bad_rows`` or a million of its rows are malformed; the message names the
            file and the first bad row.
    """
    encoding = encodings.detect_encoding(source, data.encoding)
    sha256 = source.sha256
    collector = _Collector(source.name, encoding, hashes=sha256 is None)
    with progress_bar(f"read {escape_hidden(source.name)}", None, "tweets", leave=False) as bar:
        collector.collect(readers.read_source(source, data, encoding), bar)
    table = pa.Table.from_batches(collector.batches)
    rows = len(table) + sum(row.rows for row in collector.bad)
    if not rows:
        raise DataError(f"{source.name} holds no rows.", "Is it the right file?")
    spelled = table["label"].combine_chunks().dictionary_encode()
    counts = _count_labels(spelled)
    is_of_another = labels_may_differ and data.label_map and counts.keys() - labels.interpret_label_map(data.label_map)
    meanings = labels.interpret_labels(counts, None if is_of_another else data.label_map, source.name)
    table, dropped, unknown = _apply_labels(table, spelled, meanings)
    bad = sorted(collector.bad + unknown)
    reading = Reading(table, rows, bad, sha256 or collector.digest.hexdigest(), encoding, meanings.scheme, dropped)
    if reading.bad_rows > data.max_bad_rows * rows:
        if 2 * len(unknown) > reading.bad_rows:
            raise _explain_unknown_labels(reading, source.name, data.max_bad_rows, counts)
        raise _explain_bad_rows(reading, source.name, data.max_bad_rows)
    return reading


def _count_labels(spelled: pa.DictionaryArray) -> Counter[str]:
    """Count the rows of each tidied label."""
    spellings = spelled.dictionary.to_pylist()
    counts: Counter[str] = Counter()
    for count in pc.value_counts(spelled.indices).to_pylist():
        counts[tidy(spellings[count["values"]])] += count["counts"]
    return counts


def _apply_labels(
    table: pa.Table, spelled: pa.DictionaryArray, meanings: labels.LabelMeanings
) -> tuple[pa.Table, int, list[BadRow]]:
    """Turn labels into 0, 1 and 2; count the rows to be dropped, set those apart whose label has no meaning."""
    spellings = map(tidy, spelled.dictionary.to_pylist())
    meaning = pa.array([meanings.meaning.get(label) for label in spellings], pa.int8()).take(spelled.indices)
    has_meaning, is_used = pc.is_valid(meaning), pc.fill_null(pc.not_equal(meaning, labels.DROPPED), False)
    unknown = [
        BadRow(
            row["row"],
            f"unknown label {labels.quote(row['label'])} (labels are read as {meanings.scheme.removeprefix('as ')})",
            row["text"][:200],
        )
        for row in table.filter(pc.invert(has_meaning)).to_pylist()
    ]
    topics = pc.utf8_trim_whitespace(table["topic"])
    topics = pc.if_else(pc.is_in(topics, value_set=pa.array(columns.NO_TOPIC)), None, topics)
    table = table.set_column(table.column_names.index("topic"), "topic", topics)
    used = table.set_column(table.column_names.index("label"), "label", meaning).filter(is_used)
    return used, len(table) - len(used) - len(unknown), unknown


def _explain_unknown_labels(reading: Reading, name: str, allowed: float, counts: Counter[str]) -> DataError:
    first = next(row for row in reading.bad if row.reason.startswith("unknown label"))
    example = ",".join(f"{label[:40]}=…" for label, _ in counts.most_common(4))
    return DataError(
        f"{name}: {_format_share(reading)} cannot be used, more than the {allowed:.1%} allowed, most because of "
        f"their label: row {first.number} has an {first.reason}. The labels of the file, and how many rows have them: "
        f"{labels.list_counts(counts)}.",
        f"Say what they mean: --label-map {escape_hidden(example)}, with negative, neutral, positive or drop for each "
        "…; or name another column with --label-column, or allow such rows with --max-bad-rows.",
    )


def _explain_bad_rows(reading: Reading, name: str, allowed: float) -> DataError:
    first = reading.bad[0]
    return DataError(
        f"{name}: {_format_share(reading)} are malformed, more than the {allowed:.1%} allowed; the first is row "
        f"{first.number}: {first.reason}.",
        "Repair the file, name its layout (--delimiter, --quoting, --text-column, --label-column, --encoding), or "
        "allow more with --max-bad-rows.",
    )


def _explain_no_tweets(name: str, last: BadRow) -> DataError:
    return DataError(
        f"{name}: more than {MOST_BAD_ROWS:,} rows are malformed; the last is row {last.number}: {last.reason}.",
        "Is it the right file? Name its layout (--delimiter, --quoting, --text-column, --label-column, --encoding).",
    )


def _format_share(reading: Reading) -> str:
    return f"{reading.bad_rows:,} of {reading.rows:,} rows ({reading.bad_rows / reading.rows:.1%})"


# ---- preview


def preview_source(data: DataConfig) -> Preview:
    """Read a source as :func:`sentiment140_bert.data.loading.prepare` would, and store nothing.

    Raises:
        DataError: The source cannot be used.
    """
    source, _ = locate(data)
    reading = read_tweets(source, data)
    rows = [
        {"row": str(row["row"]), "label": LABEL_NAMES[row["label"]], "text": row["text"]}
        | {"user": row["user"], "time": row["date"], "topic": row["topic"]}
        for row in reading.table.slice(0, PREVIEW_ROWS).to_pylist()
    ]
    facts = [
        ("source", source.name),
        *_describe_format(source, data, reading.encoding),
        ("labels", reading.scheme),
        ("rows", f"{reading.rows:,}, of which {reading.bad_rows:,} malformed"),
    ]
    if reading.bad:
        facts.append(("first malformed", f"row {reading.bad[0].number}: {reading.bad[0].reason}"))
    return Preview(facts, rows)


def _describe_format(source: Source, data: DataConfig, encoding: str | None) -> list[tuple[str, str]]:
    if source.labels:
        return [("format", f"texts, one a line, with the labels of {source.labels.name}"), ("encoding", encoding or "")]
    if source.dataset is not None:
        names = source.dataset.column_names
        return [("format", "a table"), *_describe_columns(names, columns.find_columns(names, data, source.name))]
    if source.kind == ".parquet" or source.kind in readers.JSON:
        names, positions = readers.find_named_columns(source, data, encoding or "utf-8")
        kind = "parquet" if source.kind == ".parquet" else f"JSON, {encoding}"
        return [("format", kind), *_describe_columns(names, positions)]
    open_lines = partial(files.open_text, source, encoding or "utf-8", "surrogateescape")
    dialect = find_dialect(open_lines, data, source.name, source.kind)
    with open_lines() as lines:
        first = next(dialect.reader(lines))
    layout = columns.find_layout(first, data, source.name)
    delimiter = {TAB: "tabs", ",": "commas"}.get(dialect.delimiter, repr(dialect.delimiter))
    return [
        ("format", f"columns separated by {delimiter}; {QUOTING[dialect.quoting]}"),
        ("encoding", (encoding or "").removesuffix("-sig")),
        ("header", "the first row" if layout.header else "none"),
        *_describe_columns(first if layout.header else [], layout.columns),
    ]


def _describe_columns(names: list[str], positions: Columns) -> list[tuple[str, str]]:
    """Return the column of each meaning, in words."""
    return [
        (meaning, "none" if at is None else f"column {at + 1}{f', {labels.quote(names[at])}' if names else ''}")
        for meaning, at in positions._asdict().items()
    ]
