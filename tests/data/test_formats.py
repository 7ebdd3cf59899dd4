"""Every kind of input gives the same tweets; columns, delimiters, encodings and labels are told apart."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment140_bert.data import readers
from sentiment140_bert.data.columns import find_columns
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

TWEETS = [("0", "so sad, caf\xe9"), ("4", 'all "good"\nnow'), ("0", "  rain & wind "), ("4", "sun \xbd")]
EXPECTED = [(text, {"0": 0, "4": 1}[label]) for label, text in TWEETS]
SIX = [
    [label, str(id_), "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", "u", text] for id_, (label, text) in enumerate(TWEETS)
]
HEADED = [["tweet", "id", "sentiment"], *([text, "7", label] for label, text in TWEETS)]


def reading(path: Path | str, **settings: object) -> Reading:
    data = DataConfig(dataset=str(path), **settings)
    return read_tweets(locate(data)[0], data)


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
    for name in ("t.tsv", "t.tsv.gz", "T.TSV"):
        assert pairs(reading(write(name, SIX, delimiter="\t"))) == EXPECTED
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


USUAL = {
    "text": "text tweet full_text tweet_text tweettext sentimenttext originaltweet sentence content review body",
    "label": "label target sentiment polarity class labels airline_sentiment category rating",
    "user": "user username user_name screen_name author author_id",
    "time": "date created_at timestamp time datetime tweetdate tweet_date tweet_created",
    "id": "id tweet_id tweetid ids id_str",
    "topic": "query topic flag",
}


def test_of_several_columns_the_one_with_the_most_usual_name_is_taken():
    for column, names in USUAL.items():
        usual = names.split()
        for at, wanted in enumerate(usual):
            present = [name.title() for name in reversed(usual[at:])]
            others = [name.split()[0] for key, name in USUAL.items() if key != column]
            header = [*present, "number", *others]
            found = find_columns(header, DataConfig(), "t.csv")
            assert header[getattr(found, column)].lower() == wanted, (column, header)


def test_columns_that_are_not_there(write):
    found = find_columns(["id", "text", "label"], DataConfig(), "t.csv")
    assert found == (1, 2, None, None, None, 0)
    for names, message in (
        (["id", "label"], "no column that is obviously the text"),
        (["text", "id"], "no column that is obviously the label"),
    ):
        with pytest.raises(DataError, match=message):
            find_columns(names, DataConfig(), "t.csv")


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
    rows = [["0", "one\ntwo\nthree"], ["4", "x"], ["9", "label nine"], ["4", "y", "too much"], ["0", "z"], ["8", "t"]]
    result = reading(write("t.csv", rows), max_bad_rows=1)
    assert result.table["row"].to_pylist() == [1, 4, 7]
    assert [(bad.number, bad.reason) for bad in result.bad] == [
        (5, "unknown label '9' (labels are read as 0/2/4 (Sentiment140))"),
        (6, "3 columns instead of 2"),
        (8, "unknown label '8' (labels are read as 0/2/4 (Sentiment140))"),
    ]
    with pytest.raises(DataError, match="row 5 has an unknown label '9'"):
        reading(write("t.csv", rows), max_bad_rows=0.4)


def with_bad_rows(malformed: int, unknown: int, good: int) -> list[list[str]]:
    return [["0", "a"], ["4", "b"]] * (good // 2) + [["4", "too", "many"]] * malformed + [["9", "nine"]] * unknown


def test_how_many_bad_rows_are_too_many_and_what_is_blamed(write):
    path = write("t.csv", with_bad_rows(1, 1, 8))
    result = reading(path, max_bad_rows=0.2)
    assert (result.rows, result.bad_rows, len(result.table)) == (10, 2, 8)
    for malformed, unknown, blamed in ((2, 1, "malformed"), (1, 1, "malformed"), (1, 2, "label"), (0, 1, "label")):
        path = write("t.csv", with_bad_rows(malformed, unknown, 10))
        share = (malformed + unknown) / (malformed + unknown + 10)
        with pytest.raises(DataError) as caught:
            reading(path, max_bad_rows=share - 0.001)
        counted = f"{malformed + unknown} of {malformed + unknown + 10} rows ({share:.1%})"
        assert counted in str(caught.value)
        assert ("most of them for their label" in str(caught.value)) == (blamed == "label")
        assert ("are malformed, more than" in str(caught.value)) == (blamed == "malformed")
        assert reading(path, max_bad_rows=share + 0.001).bad_rows == malformed + unknown


def test_an_unclosed_quote_swallows_no_uncounted_lines(write):
    lines = [f'"{4 * (n % 2)}","tweet {n}"' for n in range(300)]
    lines[100] = '"0","this quote never closes'
    result = reading(write("t.csv", "\n".join(lines) + "\n"), max_bad_rows=1)
    assert result.rows == 300
    assert [bad.number for bad in result.bad] == [101]
    assert len(result.table) + result.bad_rows == 300


def test_a_text_spans_at_most_100_lines(write):
    for lines, bad in ((100, []), (101, [2])):
        rows = [["0", "x"], ["4", "\n".join(["y"] * lines)], ["4", "z"]]
        result = reading(write("t.csv", rows), max_bad_rows=1)
        assert [row.number for row in result.bad] == bad
        assert (len(result.table), result.rows) == ((2, 2 + lines) if bad else (3, 3))


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_text_has_at_most_100000_characters(write, tmp_path, name):
    for at in (0, 1, 2):
        for length in (100_000, 100_001):
            texts, labels = ["x", "y"], ["0", "4"]
            texts.insert(at, "z" * length)
            labels.insert(at, "4")
            if name == "t.parquet":
                pq.write_table(pa.table({"text": texts, "label": labels}), tmp_path / name)
            elif name == "t.jsonl":
                rows = zip(texts, labels, strict=True)
                write(name, "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
            else:
                write(name, [list(row) for row in zip(labels, texts, strict=True)])
            result = reading(tmp_path / name, max_bad_rows=1)
            good = length == 100_000
            assert [bad.number for bad in result.bad] == ([] if good else [at + 1])
            assert result.table["text"].to_pylist() == (texts if good else ["x", "y"])


@pytest.mark.parametrize("at_once", [1, 3, 4, 100])
def test_however_many_rows_are_read_at_once(write, tmp_path, monkeypatch, at_once):
    from datasets import Dataset

    columns = {"text": [f"tweet {n}" for n in range(11)], "label": [str(4 * (n % 2)) for n in range(11)]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write("t.csv", [list(columns), *(list(row.values()) for row in rows)])
    write("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=5)
    Dataset.from_dict(columns).save_to_disk(str(tmp_path / "folder"))
    monkeypatch.setattr(readers, "ROWS_AT_ONCE", at_once)
    expected = [(f"tweet {n}", n % 2) for n in range(11)]
    for name in ("t.csv", "t.jsonl", "t.parquet", "folder"):
        result = reading(tmp_path / name)
        first = {"t.csv": 2}.get(name, 1)
        assert (pairs(result), result.rows) == (expected, 11), name
        assert result.table["row"].to_pylist() == list(range(first, first + 11)), name


def test_what_is_no_file_is_named_by_a_hash_of_its_labels_and_texts(tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"text": ["a", "b"], "label": [0, 1], "id": [7, 8]}).save_to_disk(str(tmp_path / "folder"))
    assert reading(tmp_path / "folder").sha256 == hashlib.sha256(b"0\ta\n1\tb\n").hexdigest()


def test_a_zip_with_the_manual_test_set_gives_both(tmp_path):
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("train.csv", "0,a\n4,b\n")
        archive.writestr("testdata.manual.2009.06.14.csv", "2,c\n4,d\n")
        archive.writestr("__MACOSX/train.csv", "x")
        archive.writestr("read.me", "x")
    data = DataConfig(dataset=str(tmp_path / "both.zip"))
    source, manual = locate(data)
    assert manual is not None
    assert pairs(read_tweets(source, data)) == [("a", 0), ("b", 1)]
    assert pairs(read_tweets(manual, data)) == [("c", 2), ("d", 1)]
