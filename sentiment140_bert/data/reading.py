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

from sentiment140_bert.data import formats, schema
from sentiment140_bert.data.formats import BadRow, Row
from sentiment140_bert.data.source import Source
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

COLUMNS = ("row", "text", "label", "user", "date")
TYPES = (pa.int32(), pa.string(), pa.string(), pa.string(), pa.string())


@dataclass(frozen=True)
class Reading:
    """What was read.

    ``table`` has the columns ``row`` (int32), ``text``, ``label`` (int8: 0 negative, 1 positive, 2 neutral),
    ``user`` and ``date`` (null where the source has none); ``rows`` counts every row of the input, the ``bad``
    ones included.
    """

    table: pa.Table
    rows: int
    bad: list[BadRow]
    sha256: str
    encoding: str | None
    scheme: str

    @property
    def bad_rows(self) -> int:
        return sum(each.rows for each in self.bad)


@dataclass
class _Collector:
    """Gathers rows into Arrow chunks and hashes what it gathers."""

    batches: list[pa.RecordBatch] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    chunk: list[Row] = field(default_factory=list)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def gather(self, rows: Iterator[Row | BadRow], bar: tqdm[Any]) -> None:
        for each in rows:
            if isinstance(each, BadRow):
                self.bad.append(each)
                continue
            self.chunk.append(each)
            if len(self.chunk) == formats.ROWS_AT_ONCE:
                bar.update(self.flush())
        bar.update(self.flush())

    def flush(self) -> int:
        rows = [each for each in self.chunk if self._is_unicode(each)]
        values = zip(*((each.number, *each[1:]) for each in rows), strict=True) if rows else [()] * len(COLUMNS)
        arrays = [pa.array(column, kind) for column, kind in zip(values, TYPES, strict=True)]
        self.batches.append(pa.record_batch(arrays, names=list(COLUMNS)))
        self.digest.update("".join(f"{each.label}\t{each.text}\n" for each in rows).encode())
        self.chunk = []
        return len(rows)

    def _is_unicode(self, row: Row) -> bool:
        try:
            "".join(value for value in row[1:] if value).encode()
        except UnicodeEncodeError:
            self.bad.append(BadRow(row.number, "not valid Unicode (a lone surrogate)", ascii(row.text)[:200]))
            return False
        return True


def read(source: Source, data: DataConfig) -> Reading:
    """Reads all tweets of a source.

    Args:
        source: From :func:`sentiment140_bert.data.source.locate`.
        data: For the names of columns, the delimiter, the encoding and ``max_bad_rows``.

    Raises:
        DataError: The file is damaged, undecodable or empty, has no such column or delimiter, or more than
            ``max_bad_rows`` of its rows are malformed; the sentence names the file and the first bad row.
    """
    encoding = formats.encoding_of(source, data.encoding)
    collected = _Collector()
    with tqdm(desc=f"read {source.name}", unit=" tweets", unit_scale=True, disable=None) as bar:
        collected.gather(formats.rows_of(source, data, encoding), bar)
    table = pa.Table.from_batches(collected.batches)
    rows = len(table) + sum(each.rows for each in collected.bad)
    if not rows:
        raise DataError(f"{source.name} holds no rows.", "Is it the right file?")
    table, scheme, unknown = _with_labels(table)
    bad = sorted(collected.bad + unknown)
    reading = Reading(table, rows, bad, source.sha256 or collected.digest.hexdigest(), encoding, scheme)
    if reading.bad_rows > data.max_bad_rows * rows:
        raise _too_many(reading, source.name, data.max_bad_rows)
    return reading


def _with_labels(table: pa.Table) -> tuple[pa.Table, str, list[BadRow]]:
    """Labels as they were written become 0, 1 and 2; rows whose label no scheme explains are set apart."""
    written = table["label"].combine_chunks().dictionary_encode()
    spelled = [schema.tidy(value) for value in written.dictionary.to_pylist()]
    counts: Counter[str] = Counter()
    for each in pc.value_counts(written.indices).to_pylist():
        counts[spelled[each["values"]]] += each["counts"]
    scheme = schema.scheme_of(counts)
    meaning = pa.array([schema.SCHEMES[scheme].get(label) for label in spelled], pa.int8())
    labels = meaning.take(written.indices)
    known = pc.is_valid(labels)
    unknown = [
        BadRow(row["row"], f"unknown label {row['label']!r} (labels are read as {scheme})", row["text"][:200])
        for row in table.filter(pc.invert(known)).to_pylist()
    ]
    return table.set_column(2, "label", labels).filter(known), scheme, unknown


def _too_many(reading: Reading, name: str, allowed: float) -> DataError:
    first = reading.bad[0]
    share = reading.bad_rows / reading.rows
    return DataError(
        f"{name}: {reading.bad_rows:,} of {reading.rows:,} rows ({share:.1%}) are malformed, more than the "
        f"{allowed:.1%} allowed; the first is row {first.number}: {first.reason}.",
        "Mend the file, name its layout (--delimiter, --text-column, --label-column, --encoding), or allow more "
        "with --max-bad-rows.",
    )
