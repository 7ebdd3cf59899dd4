"""Read a list of label issues, as ``s140 suspects`` writes it, and drop its tweets from a training split."""

from __future__ import annotations

import csv
import dataclasses
import logging
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert import schemas
from sentiment140_bert.data import clean, labels
from sentiment140_bert.data.csv_reader import LONGEST_FIELD
from sentiment140_bert.data.encodings import detect_encoding
from sentiment140_bert.data.files import open_text
from sentiment140_bert.data.sources import find_path, open_text_source
from sentiment140_bert.data.split import describe_all
from sentiment140_bert.data.texts import unescape_cell
from sentiment140_bert.errors import DataError
from sentiment140_bert.files import hash_file
from sentiment140_bert.models.labels import NAMED, NEUTRAL, SCHEMES, tidy

log = logging.getLogger(__name__)
ROWS_AT_ONCE = 50_000
# The spellings of the only two classes in the list.
SIDES_BY_LABEL = {label: side for label, side in {**SCHEMES["0/1"], **NAMED}.items() if side != NEUTRAL}


@dataclass(frozen=True)
class LabelIssues:
    """A list of tweets: ``keys``, by which texts count as equal, and ``labels`` (0 or 1) if the list has them."""

    name: str
    sha256: str
    keys: pa.ChunkedArray
    labels: pa.ChunkedArray | None

    def drop_from(self, train: pa.Table) -> tuple[pa.Table, schemas.Suspects]:
        """Return the rows that are not on the list, and the entry of ``data.json`` about the list.

        Args:
            train: Columns ``key`` and ``label``.

        Raises:
            DataError: No row is on the list, or the others lack a label.
        """
        listed, rows = self._join(self.keys, self.labels), self._join(train["key"], train["label"])
        is_listed = pc.is_in(rows, value_set=listed)
        remaining = train.filter(pc.invert(is_listed))
        if len(remaining) == len(train):
            raise DataError(
                f"{self.name} lists {len(self.keys):,} tweets, none of which is in the {len(train):,} training tweets.",
                "Was it made from a run with the same --dataset, --max-samples and --split-seed?",
            )
        if len(pc.unique(remaining["label"])) < len(pc.unique(train["label"])):
            raise DataError(
                f"Without the tweets of {self.name} the train split ({len(remaining):,} tweets) does not hold "
                f"{describe_all(train['label'].to_numpy())} labels.",
                "Shorten the list.",
            )
        matches = len(pc.unique(rows.filter(is_listed)))
        if missing := len(pc.unique(listed)) - matches:
            log.warning(
                "data: %s lists %s tweets that are not in the training tweets, and were perhaps changed when the list "
                "was edited",
                *(self.name, f"{missing:,}"),
            )
        return remaining, {
            "name": Path(self.name).name,
            "sha256": self.sha256,
            "rows": len(self.keys),
            "found": matches,
        }

    def _join(self, keys: pa.ChunkedArray, labels: pa.ChunkedArray | None) -> pa.ChunkedArray:
        """Join each row's key with its label, if the list has labels."""
        if self.labels is None:
            return keys
        return pc.binary_join_element_wise(pc.cast(labels, pa.string()), keys, "\t")


def read_label_issues(name: str) -> LabelIssues:
    """Read a list of label issues.

    Args:
        name: A CSV file with a column ``text`` and perhaps ``label`` (0 or negative, 1 or positive).

    Raises:
        DataError: There is no such file, or it is damaged or has no such column.
    """
    path = find_path(name)
    if path is None or not path.is_file():
        raise DataError(
            f"There is no file {name}.",
            "--drop-suspects takes the CSV that `s140 suspects` wrote; a published recipe names it without its folder.",
        )
    source = dataclasses.replace(open_text_source(name, as_lines=True), as_lines=False)
    keys: list[pa.Array] = []
    classes: list[pa.Array] = []
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(source, detect_encoding(source, None) or "utf-8") as lines:
        reader = csv.DictReader(lines)
        try:
            columns = reader.fieldnames or []
            if "text" not in columns:
                raise DataError(
                    f"{name} has no column text.", "--drop-suspects takes the CSV that `s140 suspects` wrote."
                )
            is_escaped = "label_quality" in columns  # a column that only `s140 suspects` writes
            while rows := [
                (row["text"] or "", row.get("label"), reader.line_num) for row in islice(reader, ROWS_AT_ONCE)
            ]:
                texts = [unescape_cell(text) if is_escaped else text for text, _, _ in rows]
                keys += clean.make_keys(pa.chunked_array([pa.array(texts, pa.string())])).chunks
                if "label" in columns:
                    labels_here = [_parse_label(label, name, line) for _, label, line in rows]
                    classes.append(pa.array(labels_here, pa.int8()))
        except csv.Error as error:
            raise DataError(f"{name}: line {reader.line_num} is not valid CSV: {error}.", "Repair that line.") from None
    column = pa.chunked_array(classes, pa.int8()) if "label" in columns else None
    return LabelIssues(name, hash_file(path), pa.chunked_array(keys, pa.string()), column)


def _parse_label(text: str | None, name: str, line: int) -> int:
    label = SIDES_BY_LABEL.get(tidy(text))
    if label is None:
        raise DataError(
            f"{name}: line {line} has the label {labels.quote(str(text))}.",
            f"Known: {', '.join(SIDES_BY_LABEL)}; or omit the column.",
        )
    return label
