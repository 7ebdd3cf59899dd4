"""Training tweets that are to be left out because their label is doubted, as ``s140 suspects`` lists them."""

from __future__ import annotations

import csv
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sentiment140_bert.data import clean, schema
from sentiment140_bert.data.cells import from_cell
from sentiment140_bert.data.dialects import LONGEST_FIELD
from sentiment140_bert.data.encodings import detect_encoding
from sentiment140_bert.data.formats import text_lines
from sentiment140_bert.data.source import found, text_file
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import NAMED, NEUTRAL, SCHEMES
from sentiment140_bert.run_dir import sha256_of

# As the list writes them, which knows only these two classes.
CLASSES = {label: side for label, side in {**SCHEMES["0/1"], **NAMED}.items() if side != NEUTRAL}


@dataclass(frozen=True)
class Suspects:
    """A list of doubted tweets: ``keys`` by which texts count as equal, ``labels`` (0 or 1) where the list has them."""

    name: str
    sha256: str
    keys: pa.ChunkedArray
    labels: pa.ChunkedArray | None

    def left_out(self, train: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
        """The rows that are not on the list, and what ``data.json`` tells of the list.

        Args:
            train: Columns ``key`` and ``label``.

        Raises:
            DataError: No row is on the list, or those that are not all carry one label.
        """
        listed, rows = self._marks(self.keys, self.labels), self._marks(train["key"], train["label"])
        doubted = pc.is_in(rows, value_set=listed)
        kept = train.filter(pc.invert(doubted))
        if len(kept) == len(train):
            raise DataError(
                f"{self.name} lists {len(self.keys):,} tweets; none of them is among the {len(train):,} to train on.",
                "Was it made from a run with the same --dataset, --max-samples and --split-seed?",
            )
        if len(pc.unique(kept["label"])) < 2:
            raise DataError(
                f"Without the tweets of {self.name} the train split ({len(kept):,} tweets) does not hold both labels.",
                "Shorten the list.",
            )
        found = len(pc.unique(rows.filter(doubted)))
        return kept, {"name": Path(self.name).name, "sha256": self.sha256, "rows": len(self.keys), "found": found}

    def _marks(self, keys: pa.ChunkedArray, labels: pa.ChunkedArray | None) -> pa.ChunkedArray:
        """What a row is found by: its key, and its label where the list has labels."""
        if self.labels is None:
            return keys
        return pc.binary_join_element_wise(pc.cast(labels, pa.string()), keys, "\t")


def read(name: str) -> Suspects:
    """A list of doubted tweets.

    Args:
        name: A CSV file with a column ``text`` and perhaps ``label`` (0 or negative, 1 or positive).

    Raises:
        DataError: There is no such file, or it is damaged or has no such column.
    """
    path = found(name)
    if path is None or not path.is_file():
        raise DataError(
            f"There is no file {name}.",
            "--drop-suspects takes the CSV that `s140 suspects` wrote; a published recipe names it without its folder.",
        )
    source = dataclasses.replace(text_file(name, as_lines=True), as_lines=False)
    texts: list[str] = []
    labels: list[int] = []
    csv.field_size_limit(LONGEST_FIELD)
    with text_lines(source, detect_encoding(source, None) or "utf-8") as lines:
        reader = csv.DictReader(lines)
        try:
            columns = reader.fieldnames or []
            if "text" not in columns:
                raise DataError(
                    f"{name} has no column text.",
                    "--drop-suspects takes the CSV that `s140 suspects` wrote.",
                )
            ours = "label_quality" in columns  # so its cells are as_cell wrote them
            for row in reader:
                texts.append(from_cell(row["text"] or "") if ours else row["text"] or "")
                if "label" in columns:
                    labels.append(_label(row["label"], name, reader.line_num))
        except csv.Error as error:
            raise DataError(f"{name}: line {reader.line_num} is not valid CSV: {error}.", "Mend that line.") from None
    keys = clean.keys(pa.chunked_array([pa.array(texts, pa.string())]))
    chosen = pa.chunked_array([pa.array(labels, pa.int8())]) if "label" in columns else None
    return Suspects(name, sha256_of(path), keys, chosen)


def _label(written: str | None, name: str, line: int) -> int:
    label = CLASSES.get(schema.tidy(written))
    if label is None:
        raise DataError(
            f"{name}: line {line} has the label {schema.shown(str(written))}.",
            f"Known: {', '.join(CLASSES)}; or leave the column away.",
        )
    return label
