"""Every kind of input gives the same tweets; columns, delimiters, encodings and labels are told apart."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment140_bert.data.reading import Reading, read
from sentiment140_bert.data.source import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.settings import DataConfig

TWEETS = [("0", "so sad, caf\xe9"), ("4", 'all "good"\nnow'), ("0", "  rain & wind "), ("4", "sun \xbd")]
EXPECTED = [(text, {"0": 0, "4": 1}[label]) for label, text in TWEETS]
SIX = [
    [label, str(id_), "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", "u", text] for id_, (label, text) in enumerate(TWEETS)
]
HEADED = [["tweet", "id", "sentiment"], *([text, "7", label] for label, text in TWEETS)]


def reading(path: Path | str, **settings: object) -> Reading:
    data = DataConfig(dataset=str(path), **settings)
    return read(locate(data)[0], data)


def pairs(result: Reading) -> list[tuple[str, int]]:
    return list(zip(result.table["text"].to_pylist(), result.table["label"].to_pylist(), strict=True))


@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.zip", "T.CSV"])
@pytest.mark.parametrize("rows", [SIX, [list(each) for each in TWEETS], [each[::-1] for each in TWEETS], HEADED])
def test_csv_of_every_layout_and_packing(write, name, rows):
    result = reading(write(name, rows))
    assert pairs(result) == EXPECTED
    assert (result.rows, result.bad, result.scheme) == (4, [], "0/2/4 (Sentiment140)")


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_delimiters(write, delimiter):
    assert pairs(reading(write("t.tsv", SIX, delimiter="\t"))) == EXPECTED
    assert pairs(reading(write("t.csv", SIX, delimiter=delimiter), delimiter=delimiter)) == EXPECTED


@pytest.mark.parametrize("spelled", ["\\t", "tab", "\t"])
def test_a_tab_can_be_spelled(write, spelled):
    assert pairs(reading(write("t.csv", SIX, delimiter="\t"), delimiter=spelled)) == EXPECTED


@pytest.mark.parametrize("name", ["t.jsonl", "t.jsonl.gz"])
def test_json_lines(write, name):
    lines = "\n\n".join(json.dumps({"id": 1, "Text": text, "label": int(label)}) for label, text in TWEETS)
    assert pairs(reading(write(name, lines, "utf-8"))) == EXPECTED


def test_bad_json_lines_are_counted_and_numbered(write):
    lines = ['{"text": "a", "label": 0}', "{", "[1]", '{"text": null, "label": 1}', '{"text": "\\ud800", "label": 1}']
    result = reading(write("t.jsonl", "\n".join([*lines, '{"text": "b", "label": 1}'])), max_bad_rows=1.0)
    assert pairs(result) == [("a", 0), ("b", 1)]
    assert [each.number for each in result.bad] == [2, 3, 4, 5]
    assert result.rows == 6


def test_parquet(tmp_path):
    columns = {"content": [text for _, text in TWEETS], "polarity": [int(label) for label, _ in TWEETS]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    assert pairs(reading(tmp_path / "t.parquet")) == EXPECTED


@pytest.mark.parametrize("names", [["negative", "positive"], ["pos", "neg"], None])
def test_saved_datasets(tmp_path, names):
    from datasets import ClassLabel, Dataset, DatasetDict

    dataset = Dataset.from_dict({"text": [text for text, _ in EXPECTED], "label": [label for _, label in EXPECTED]})
    expected = EXPECTED
    if names:
        dataset = dataset.cast_column("label", ClassLabel(names=names))
        flipped = names[0] == "pos"  # then 0 means positive
        expected = [(text, 1 - label if flipped else label) for text, label in EXPECTED]
    dataset.save_to_disk(str(tmp_path / "plain"))
    DatasetDict(train=dataset, other=dataset.select([0])).save_to_disk(str(tmp_path / "splits"))
    assert pairs(reading(tmp_path / "plain")) == expected
    assert pairs(reading(tmp_path / "splits")) == expected
    assert pairs(reading(tmp_path / "splits", dataset_split="other")) == expected[:1]
    with pytest.raises(DataError, match="no split 'valid'; it has train, other"):
        reading(tmp_path / "splits", dataset_split="valid")


def test_a_filtered_dataset_gives_the_rows_that_were_chosen(tmp_path):
    from datasets import Dataset

    whole = Dataset.from_dict({"text": list("abcdef"), "label": [0, 1, 0, 1, 0, 1]})
    whole.select([5, 0]).save_to_disk(str(tmp_path / "some"))
    assert pairs(reading(tmp_path / "some")) == [("f", 1), ("a", 0)]


def test_the_sample():
    assert reading("sample").rows > 1200


def test_columns_by_name(write):
    rows = [["a", "b", "text"], ["0", "no", "x"], ["1", "yes", "y"]]
    assert pairs(reading(write("t.csv", rows), text_column="b", label_column="A")) == [("no", 0), ("yes", 1)]
    assert pairs(reading(write("t.csv", rows), label_column="a")) == [("x", 0), ("y", 1)]


@pytest.mark.parametrize(
    ("written", "labels", "scheme"),
    [
        ("0 4 2 4", [0, 1, 2, 1], "0/2/4 (Sentiment140)"),
        ("0 1 0 1", [0, 1, 0, 1], "0/1"),
        ("0.0 1.0", [0, 1], "0/1"),
        ("-1 1 -1", [0, 1, 0], "-1/0/1"),
        ("-1 0 1", [0, 2, 1], "-1/0/1"),
        ("Negative POSITIVE neutral neg pos", [0, 1, 2, 0, 1], "names"),
    ],
)
def test_label_schemes(write, written, labels, scheme):
    result = reading(write("t.csv", [["label", "text"], *([each, f"t{each}"] for each in written.split())]))
    assert (result.table["label"].to_pylist(), result.scheme) == (labels, scheme)


def test_a_stray_label_does_not_change_what_the_others_mean(write):
    rows = [["label", "text"], *([str(n % 2), f"t{n}"] for n in range(400)), ["-1", "stray"]]
    result = reading(write("t.csv", rows))
    assert (result.scheme, result.bad_rows) == ("0/1", 1)
    assert result.table["label"].to_pylist() == [0, 1] * 200


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("rows", [SIX, HEADED])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_encodings_that_are_noticed(write, newline, rows, encoding):
    result = reading(write("t.csv", rows, encoding, newline=newline))
    assert pairs(result) == EXPECTED
    assert result.encoding == ("utf-8-sig" if encoding == "utf-8" else encoding)


@pytest.mark.parametrize("asked", ["latin-1", "ISO-8859-1", "cp1252", "utf-8", "utf-16", "utf-16-le"])
def test_an_encoding_that_is_named_is_used(write, asked):
    assert pairs(reading(write("t.csv", SIX, asked), encoding=asked)) == EXPECTED


def test_row_numbers_are_lines_of_the_file(write):
    rows = [["0", "one\ntwo\nthree"], ["4", "x"], ["4", "y", "too much"], ["0", "z"]]
    result = reading(write("t.csv", rows), max_bad_rows=1)
    assert result.table["row"].to_pylist() == [1, 4, 6]
    assert [(each.number, each.reason) for each in result.bad] == [(5, "3 columns instead of 2")]


def test_an_unclosed_quote_swallows_no_uncounted_lines(write):
    lines = [f'"{4 * (n % 2)}","tweet {n}"' for n in range(300)]
    lines[100] = '"0","this quote never closes'
    result = reading(write("t.csv", "\n".join(lines) + "\n"), max_bad_rows=1)
    assert result.rows == 300
    assert [each.number for each in result.bad] == [101]
    assert len(result.table) + result.bad_rows == 300


@pytest.mark.parametrize("at", [0, 1])
def test_a_huge_row_is_counted_wherever_it_stands(write, at):
    rows = [["0", "x"], ["4", "y"]]
    rows.insert(at, ["0", "z" * 100_001])
    result = reading(write("t.csv", rows), max_bad_rows=1)
    assert (pairs(result), [each.number for each in result.bad]) == ([("x", 0), ("y", 1)], [at + 1])


def test_a_zip_with_the_manual_test_set_gives_both(tmp_path):
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("train.csv", "0,a\n4,b\n")
        archive.writestr("testdata.manual.2009.06.14.csv", "2,c\n4,d\n")
        archive.writestr("__MACOSX/train.csv", "x")
        archive.writestr("read.me", "x")
    data = DataConfig(dataset=str(tmp_path / "both.zip"))
    source, manual = locate(data)
    assert manual is not None
    assert pairs(read(source, data)) == [("a", 0), ("b", 1)]
    assert pairs(read(manual, data)) == [("c", 2), ("d", 1)]
