"""Reading tweets into one Arrow table, with every malformed row counted, numbered and kept aside."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from sentiment140_bert.data import encodings, formats, schema
from sentiment140_bert.data.columns import NO_TOPIC
from sentiment140_bert.data.rows import BadRow, Row
from sentiment140_bert.data.source import Source
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.visible import visible

COLUMNS = ("row", "text", "label", "user", "date", "topic")
MOST_BAD_ROWS = 1_000_000  # whatever share is allowed: each is kept, with its reason
TYPES = (pa.int32(), *[pa.string()] * 5)


@dataclass(frozen=True)
class Reading:
    """What was read.

    ``table`` has the columns ``row`` (int32), ``text``, ``label`` (int8: 0 negative, 1 positive, 2 neutral),
    ``user``, ``date`` and ``topic`` (strings, null where the source has none; a topic is the query that found the
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
        return sum(each.rows for each in self.bad)


@dataclass
class _Collector:
    """Gathers rows into Arrow chunks, and hashes what it gathers where there is no file to be hashed."""

    name: str
    encoding: str | None
    hashes: bool
    batches: list[pa.RecordBatch] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    chunk: list[Row] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def gather(self, rows: Iterator[Row | BadRow], bar: tqdm[Any]) -> None:
        for each in rows:
            if isinstance(each, BadRow):
                self.bad.append(each)
                if len(self.bad) > MOST_BAD_ROWS:
                    raise _no_tweets(self.name, each)
                continue
            self.chunk.append(each)
            if len(self.chunk) == formats.ROWS_AT_ONCE:
                bar.update(self.flush())
        bar.update(self.flush())

    def flush(self) -> int:
        rows = self.chunk
        try:
            batch = _batch(rows)
        except UnicodeEncodeError:
            rows = [each for each in rows if self._is_unicode(each)]
            batch = _batch(rows)
        self.batches.append(batch)
        if self.hashes:
            self.digest.update("".join(f"{each.label}\t{each.text}\n" for each in rows).encode())
        self.chunk = []
        return len(rows)

    def _is_unicode(self, row: Row) -> bool:
        kept = (row.text, row.label, row.user, row.time, row.topic)  # the id is not, and may be anything
        try:
            "".join(value for value in kept if value).encode()
        except UnicodeEncodeError:
            reason = encodings.explain_undecodable(kept, self.encoding)
            self.bad.append(BadRow(row.number, reason, ascii(row.text)[:200]))
            return False
        return True


def _batch(rows: list[Row]) -> pa.RecordBatch:
    values = [*zip(*rows, strict=True)][: len(COLUMNS)] if rows else [()] * len(COLUMNS)
    arrays = [pa.array(column, kind) for column, kind in zip(values, TYPES, strict=True)]
    return pa.record_batch(arrays, names=list(COLUMNS))


def read(source: Source, data: DataConfig, labels_may_differ: bool = False) -> Reading:
    """Reads all tweets of a source.

    Args:
        source: From :func:`sentiment140_bert.data.source.locate`.
        data: For the names of columns, what labels mean, the delimiter, the encoding and ``max_bad_rows``.
        labels_may_differ: The label map is of another file: it holds here only if it says what every label means.

    Raises:
        DataError: The file is damaged, undecodable or empty, has no such column or delimiter, its labels cannot be told
            apart, or more than ``max_bad_rows`` or a million of its rows are malformed; the sentence names the
            file and the first bad row.
    """
    encoding = encodings.detect_encoding(source, data.encoding)
    sha256 = source.sha256
    collected = _Collector(source.name, encoding, hashes=sha256 is None)
    with tqdm(desc=f"read {visible(source.name)}", unit=" tweets", unit_scale=True, disable=None) as bar:
        collected.gather(formats.rows_of(source, data, encoding), bar)
    table = pa.Table.from_batches(collected.batches)
    rows = len(table) + sum(each.rows for each in collected.bad)
    if not rows:
        raise DataError(f"{source.name} holds no rows.", "Is it the right file?")
    written = table["label"].combine_chunks().dictionary_encode()
    counts = _counts(written)
    of_another = labels_may_differ and data.label_map and not _all_mapped(counts, data.label_map)
    labels = schema.labels_of(counts, None if of_another else data.label_map, source.name)
    table, dropped, unknown = _with_labels(table, written, labels)
    bad = sorted(collected.bad + unknown)
    reading = Reading(table, rows, bad, sha256 or collected.digest.hexdigest(), encoding, labels.scheme, dropped)
    if reading.bad_rows > data.max_bad_rows * rows:
        if 2 * len(unknown) > reading.bad_rows:
            raise _unknown_labels(reading, source.name, data.max_bad_rows, counts)
        raise _too_many(reading, source.name, data.max_bad_rows)
    return reading


def _counts(written: pa.DictionaryArray) -> Counter[str]:
    """How many rows carry each tidied label."""
    spelled = written.dictionary.to_pylist()
    counts: Counter[str] = Counter()
    for each in pc.value_counts(written.indices).to_pylist():
        counts[schema.tidy(spelled[each["values"]])] += each["counts"]
    return counts


def _all_mapped(counts: Counter[str], label_map: str) -> bool:
    return counts.keys() <= schema.mapping(label_map).keys()


def _with_labels(
    table: pa.Table, written: pa.DictionaryArray, labels: schema.Labels
) -> tuple[pa.Table, int, list[BadRow]]:
    """Labels become 0, 1 and 2; rows to be dropped are counted, those with a label that has no meaning set apart."""
    spelled = map(schema.tidy, written.dictionary.to_pylist())
    meaning = pa.array([labels.meaning.get(label) for label in spelled], pa.int8()).take(written.indices)
    known, kept = pc.is_valid(meaning), pc.fill_null(pc.not_equal(meaning, schema.DROPPED), False)
    unknown = [
        BadRow(
            row["row"],
            f"unknown label {schema.shown(row['label'])} (labels are read as {labels.scheme})",
            row["text"][:200],
        )
        for row in table.filter(pc.invert(known)).to_pylist()
    ]
    topics = pc.utf8_trim_whitespace(table["topic"])
    topics = pc.if_else(pc.is_in(topics, value_set=pa.array(NO_TOPIC)), None, topics)
    table = table.set_column(table.column_names.index("topic"), "topic", topics)
    left = table.set_column(table.column_names.index("label"), "label", meaning).filter(kept)
    return left, len(table) - len(left) - len(unknown), unknown


def _unknown_labels(reading: Reading, name: str, allowed: float, counts: Counter[str]) -> DataError:
    first = next(each for each in reading.bad if each.reason.startswith("unknown label"))
    return DataError(
        f"{name}: {_share(reading)} cannot be used, more than the {allowed:.1%} allowed, most of them for their label: "
        f"row {first.number} has an {first.reason}. The labels of the file, and how many rows have them: "
        f"{schema.shown_counts(counts)}.",
        "Say what they mean with --label-map, as in --label-map good=positive,bad=negative,spam=drop; or name another "
        "column with --label-column, or allow such rows with --max-bad-rows.",
    )


def _too_many(reading: Reading, name: str, allowed: float) -> DataError:
    first = reading.bad[0]
    return DataError(
        f"{name}: {_share(reading)} are malformed, more than the {allowed:.1%} allowed; the first is row "
        f"{first.number}: {first.reason}.",
        "Mend the file, name its layout (--delimiter, --quoting, --text-column, --label-column, --encoding), or allow "
        "more with --max-bad-rows.",
    )


def _no_tweets(name: str, last: BadRow) -> DataError:
    return DataError(
        f"{name}: more than {MOST_BAD_ROWS:,} rows are malformed; the last is row {last.number}: {last.reason}.",
        "Is it the right file? Name its layout (--delimiter, --quoting, --text-column, --label-column, --encoding).",
    )


def _share(reading: Reading) -> str:
    return f"{reading.bad_rows:,} of {reading.rows:,} rows ({reading.bad_rows / reading.rows:.1%})"
