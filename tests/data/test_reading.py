"""Read files as data sets have them: each line becomes a row or a counted bad row, for every verb alike."""

from __future__ import annotations

import bz2
import hashlib
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict

from sentiment140_bert.data import files, texts
from sentiment140_bert.data.columns import BadRow, Row, find_columns, list_names
from sentiment140_bert.data.encodings import detect_encoding
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

NEGATIVE, POSITIVE, NEUTRAL = 0, 1, 2
TWEETS = [("0", "so sad, caf\xe9"), ("4", 'all "good"\nnow'), ("0", "  rain & wind "), ("4", "sun \xbd")]
EXPECTED = [(text, {"0": NEGATIVE, "4": POSITIVE}[label]) for label, text in TWEETS]
SIX = [
    [label, str(at), "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", "u", text] for at, (label, text) in enumerate(TWEETS)
]
HEADED = [["tweet", "id", "sentiment"], *([text, "7", label] for label, text in TWEETS)]
TWO, REVERSED = [list(row) for row in TWEETS], [[text, label] for label, text in TWEETS]
TWO_ROWS = [("bad", NEGATIVE), ("good", POSITIVE)]


def read(path: Path | str, **settings: Any) -> Reading:
    data = DataConfig(**{"dataset": str(path), "max_bad_rows": 1.0, **settings})
    return read_tweets(locate(data)[0], data)


def pairs(reading: Reading) -> list[tuple[str, int]]:
    return list(zip(reading.table["text"].to_pylist(), reading.table["label"].to_pylist(), strict=True))


def read_unlabelled(path: Path, **settings: Any) -> list[str | BadRow]:
    rows = texts.read_rows(str(path), DataConfig(**settings))
    return [row.text if isinstance(row, Row) else row for row in rows]


# ---- files of known data sets, invented

AIRLINE = """\
tweet_id,airline_sentiment,airline_sentiment_confidence,name,text,tweet_created
570306133677760513,neutral,1.0,ann,"@air what time, please?",2015-02-24 11:35:52 -0800
570301130888122368,positive,0.3,bob,"@air plus you've added ""commercials""
and lovely ones",2015-02-24 11:15:59 -0800
570301083672813571,negative,0.6,cid,late again,2015-02-24 11:15:48 -0800
"""
SANDERS = '''\
"Topic","Sentiment","TweetId","TweetDate","TweetText"
"apple","positive","126415614616154112","Tue Oct 18 21:53:25 +0000 2011","Now all @Apple needs, is ""this"""
"apple","negative","126404574230740992","Tue Oct 18 21:09:33 +0000 2011","it broke"
'''
STS_GOLD = '"id";"polarity";"tweet"\n"1467933112";"0";"the angel; is going"\n"2323395086";"4";"so happy, today"\n'
SEMEVAL = """\
264183816548130816\t15140428\tpositive\tGas by my house hit $3.39!!! "going to
263405084770172928\t591166521\tnegative\t"Theo Walcott" is still bad
262163168678248449\t35266263\tneutral\tits not that I'm a fan "
"""
SEMEVAL_TEXTS = ['Gas by my house hit $3.39!!! "going to', '"Theo Walcott" is still bad', "its not that I'm a fan \""]
SEMEVAL_ROWS = list(zip(SEMEVAL_TEXTS, (POSITIVE, NEGATIVE, NEUTRAL), strict=True))
SEMEVAL_COLUMNS = {"text_column": "4", "label_column": "3"}
KAGGLE = """\
target,ids,date,flag,user,text
0,1467810369,Mon Apr 06 22:19:45 PDT 2009,NO_QUERY,ann,"@switch that's a bummer, caf\u00e9"
4,1467810672,Mon Apr 06 22:19:49 PDT 2009,NO_QUERY,bob,is \u00a3 good
"""
EXCEL = "Tweet;Stimmung\r\nSch\u00f6n, wirklich;positiv\r\nSchade \u2013 leider;negativ\r\n"
EXCEL_COLUMNS = {"label_column": "Stimmung", "label_map": "positiv=positive,negativ=negative"}
API = """\
{"id": "1", "text": "good morning", "author_id": "7", "created_at": "2023-01-01T00:00:00.000Z", "label": "positive"}
{"id": "2", "text": "bad \\ud83d\\ude00", "public_metrics": {"like_count": 1}, "author_id": "8", "label": "negative"}
"""
KEYS_DIFFER = b'{"id": 1, "text": "bad", "label": "neg"}\n{"n": 1, "label": "pos", "text": "good"}'
DATA_SETS: dict[str, tuple[str, bytes, dict[str, Any], list[tuple[str, int]]]] = {
    "airline": ("a.csv", AIRLINE.encode(), {}, [
        ("@air what time, please?", NEUTRAL),
        ("@air plus you've added \"commercials\"\nand lovely ones", POSITIVE),
        ("late again", NEGATIVE),
    ]),
    "sanders": ("a.csv", SANDERS.encode(), {}, [('Now all @Apple needs, is "this"', POSITIVE), ("it broke", NEGATIVE)]),
    "sts-gold": ("a.csv", STS_GOLD.encode(), {}, [("the angel; is going", NEGATIVE), ("so happy, today", POSITIVE)]),
    "semeval-2013": ("a.tsv", SEMEVAL.encode(), SEMEVAL_COLUMNS, SEMEVAL_ROWS),
    "semeval-2013 as .txt": ("a.txt", SEMEVAL.encode(), SEMEVAL_COLUMNS, SEMEVAL_ROWS),
    "kaggle, latin-1": ("a.csv", KAGGLE.encode("latin-1"), {}, [
        ("@switch that's a bummer, caf\u00e9", NEGATIVE), ("is \u00a3 good", POSITIVE),
    ]),
    "excel, windows-1252": ("a.csv", EXCEL.encode("cp1252"), EXCEL_COLUMNS, [
        ("Sch\u00f6n, wirklich", POSITIVE), ("Schade \u2013 leider", NEGATIVE),
    ]),
    "decimal commas": ("a.csv", b"id;text;label\n1,0;bad;0,0\n2,0;good;4,0\n", {}, TWO_ROWS),
    "twitter api": ("a.jsonl", API.encode(), {}, [("good morning", POSITIVE), ("bad \U0001f600", NEGATIVE)]),
    "json array": ("a.json", b'[{"text": "bad", "label": "neg"},\n {"label": "pos", "text": "good"}]', {}, TWO_ROWS),
    "keys differ": ("a.ndjson", KEYS_DIFFER, {}, TWO_ROWS),
    "spark and mysql": ("a.csv", b'label,text\n0,"he said \\"no\\", twice"\n4,"fine"\n', {}, [
        ('he said "no", twice', NEGATIVE), ("fine", POSITIVE),
    ]),
    "bzip2": ("a.csv.bz2", bz2.compress(b"label,text\n0,bad\n4,good\n"), {}, TWO_ROWS),
    "xz": ("a.tsv.xz", lzma.compress(b"label\ttext\n0\tbad\n4\tgood\n"), {}, TWO_ROWS),
    "three columns without header": ("a.csv", b"7,bad,neg\n8,good,pos\n", {
        "text_column": "2", "label_column": "3", "id_column": "1",
    }, TWO_ROWS),
    "names with spaces": ("a.csv", b' Tweet Text , "My Label" \nbad,0\ngood,4\n', {
        "text_column": "Tweet Text", "label_column": "my label",
    }, TWO_ROWS),
    "usual names": ("a.csv", b"OriginalTweet,Sentiment\nbad,Negative\ngood,Positive\n", {}, TWO_ROWS),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_SETS)
def test_files_of_known_data_sets(name: str, tmp_path: Path) -> None:
    file, content, settings, expected = DATA_SETS[name]
    (tmp_path / file).write_bytes(content)
    reading = read(tmp_path / file, **settings)
    assert (pairs(reading), reading.rows, reading.bad_rows) == (expected, len(expected), 0)
    unlabelled = {key: value for key, value in settings.items() if key not in ("label_column", "label_map")}
    assert read_unlabelled(tmp_path / file, **unlabelled) == [text for text, _ in expected]


# ---- every format gives the same tweets


def test_delimiters_are_detected_or_named(write) -> None:
    for name in ("t.tsv", "t.tsv.gz", "T.TSV"):
        assert pairs(read(write(name, SIX, delimiter="\t"))) == EXPECTED
    for delimiter, named in ((";", ";"), ("|", "|"), ("\t", "\t"), ("\t", "\\t"), ("\t", "tab")):
        assert pairs(read(write("t.csv", SIX, delimiter=delimiter), delimiter=named)) == EXPECTED


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8", "utf-8-sig", "utf-16"])
def test_layouts_line_ends_and_encodings_are_detected(write, encoding) -> None:
    for name, newline, rows in (
        *(("t.csv", newline, rows) for newline in ("\n", "\r\n", "\r") for rows in (SIX, HEADED)),
        *(("T.CSV", "\n", TWO), ("t.csv.gz", "\n", REVERSED), ("t.zip", "\n", SIX)),
    ):
        reading = read(write(name, rows, encoding, newline=newline))
        assert (pairs(reading), reading.rows, reading.bad) == (EXPECTED, 4, [])
        detected = "utf-8-sig" if encoding == "utf-8" else encoding
        assert (reading.scheme, reading.encoding) == ("0/2/4 (Sentiment140)", detected)


def test_a_named_encoding_is_used(write) -> None:
    for encoding in ("latin-1", "ISO-8859-1", "cp1252", "utf-8", "utf-16", "utf-16-le"):
        assert pairs(read(write("t.csv", SIX, encoding), encoding=encoding)) == EXPECTED, encoding


def test_json_lines_and_parquet(write, tmp_path) -> None:
    lines = "\n\n".join(json.dumps({"id": 1, "Text": text, "label": int(label)}) for label, text in TWEETS)
    for name in ("t.jsonl", "t.jsonl.gz"):
        assert pairs(read(write(name, lines, "utf-8"))) == EXPECTED
    columns = {"content": [text for _, text in TWEETS], "polarity": [int(label) for label, _ in TWEETS]}
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=2)
    assert pairs(read(tmp_path / "t.parquet")) == EXPECTED


@pytest.mark.parametrize("names", [["negative", "positive"], ["pos", "neg"], None])
def test_saved_datasets(tmp_path, names) -> None:
    dataset = Dataset.from_dict({"text": [text for text, _ in EXPECTED], "label": [label for _, label in EXPECTED]})
    dataset = dataset.cast_column("label", ClassLabel(names=names)) if names else dataset
    is_reversed = names == ["pos", "neg"]
    expected = [(text, 1 - label if is_reversed else label) for text, label in EXPECTED]
    dataset.save_to_disk(str(tmp_path / "plain"))
    dataset.select([3, 0]).save_to_disk(str(tmp_path / "selected"))
    DatasetDict(train=dataset, other=dataset.select([0])).save_to_disk(str(tmp_path / "splits"))
    assert pairs(read(tmp_path / "plain")) == pairs(read(tmp_path / "splits")) == expected
    assert pairs(read(tmp_path / "selected")) == [expected[3], expected[0]]
    assert pairs(read(tmp_path / "splits", dataset_split="other")) == expected[:1]
    with pytest.raises(DataError, match="no split 'valid'; it has train, other"):
        read(tmp_path / "splits", dataset_split="valid")


@pytest.mark.parametrize("rows_at_once", [1, 3, 4, 100])
def test_the_number_of_rows_read_at_once_makes_no_difference(write, tmp_path, monkeypatch, rows_at_once) -> None:
    columns = {"text": [f"tweet {n}" for n in range(11)], "label": [str(4 * (n % 2)) for n in range(11)]}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write("t.csv", [list(columns), *(list(row.values()) for row in rows)])
    write("t.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    pq.write_table(pa.table(columns), tmp_path / "t.parquet", row_group_size=5)
    Dataset.from_dict(columns).save_to_disk(str(tmp_path / "folder"))
    monkeypatch.setattr(files, "ROWS_AT_ONCE", rows_at_once)
    for name, first in (("t.csv", 2), ("t.jsonl", 1), ("t.parquet", 1), ("folder", 1)):
        reading = read(tmp_path / name)
        assert (pairs(reading), reading.rows) == ([(f"tweet {n}", n % 2) for n in range(11)], 11), name
        assert reading.table["row"].to_pylist() == list(range(first, first + 11)), name


def test_rows_that_are_no_file_are_named_by_a_hash_of_what_they_hold(tmp_path) -> None:
    Dataset.from_dict({"text": ["a", "b"], "label": [0, 1], "id": [7, 8]}).save_to_disk(str(tmp_path / "folder"))
    rows = [[1, "a", "0", None, None, None], [2, "b", "1", None, None, None]]  # no id, which is not stored
    expected = "".join(f"{json.dumps(row)}\n" for row in rows)
    assert read(tmp_path / "folder").sha256 == hashlib.sha256(expected.encode()).hexdigest()


def test_a_zip_with_the_manual_test_set_gives_both(tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("train.csv", "0,a\n4,b\n")
        archive.writestr("testdata.manual.2009.06.14.csv", "2,c\n4,d\n")
        archive.writestr("__MACOSX/train.csv", "x")
        archive.writestr("read.me", "x")
    data = DataConfig(dataset=str(tmp_path / "both.zip"))
    source, manual = locate(data)
    assert manual is not None
    assert pairs(read_tweets(source, data)) == [("a", NEGATIVE), ("b", POSITIVE)]
    assert pairs(read_tweets(manual, data)) == [("c", NEUTRAL), ("d", POSITIVE)]


def test_texts_and_labels_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text('so "good\n\nbad, very\n')
    (tmp_path / "labels.txt").write_text("2\n1\n0\n")
    settings = {"labels_file": str(tmp_path / "labels.txt"), "label_map": "0=negative,1=neutral,2=positive"}
    assert pairs(read(tmp_path / "text.txt", **settings)) == [
        *(('so "good', POSITIVE), ("", NEUTRAL), ("bad, very", NEGATIVE))
    ]
    (tmp_path / "labels.txt").write_text("2\n1\n")
    with pytest.raises(DataError, match=r"text\.txt has more lines than .*labels\.txt, which has 2"):
        read(tmp_path / "text.txt", **settings)
    with zipfile.ZipFile(tmp_path / "labels.zip", "w") as archive:
        archive.writestr("labels.txt", "1")
    with pytest.raises(DataError, match="is a zip archive, not a file of lines"):
        read(tmp_path / "text.txt", labels_file=str(tmp_path / "labels.zip"))


# ---- columns

USUAL_NAMES = {
    "text": "text tweet full_text tweet_text tweettext sentimenttext originaltweet sentence content review body",
    "label": "label target sentiment polarity class labels airline_sentiment category rating",
    "user": "user username user_name screen_name author author_id",
    "time": "date created_at timestamp time datetime tweetdate tweet_date tweet_created",
    "id": "id tweet_id tweetid ids id_str",
    "topic": "query topic",
}


def test_of_several_columns_the_one_with_the_most_usual_name_is_taken() -> None:
    for column, names in USUAL_NAMES.items():
        usual = names.split()
        others = [name.split()[0] for key, name in USUAL_NAMES.items() if key != column]
        for at, name in enumerate(usual):
            header = [*(other.title() for other in reversed(usual[at:])), "number", *others]
            columns = find_columns(header, DataConfig(), "t.csv")
            assert header[getattr(columns, column)].lower() == name, (column, header)


def test_a_flag_is_a_topic_only_among_the_columns_of_the_corpus() -> None:
    """Topics are published; a flag of somebody's own may be private."""
    assert find_columns(["target", "ids", "date", "flag", "user", "text"], DataConfig(), "t.csv").topic == 3
    assert find_columns(["label", "flag", "user", "text"], DataConfig(), "t.csv").topic is None


def test_columns_are_named_or_missing_or_ambiguous(write) -> None:
    rows = [["a", "b", "text"], ["0", "no", "x"], ["1", "yes", "y"]]
    assert pairs(read(write("t.csv", rows), text_column="b", label_column="A")) == [("no", 0), ("yes", 1)]
    assert pairs(read(write("t.csv", rows), label_column="a")) == [("x", 0), ("y", 1)]
    assert find_columns(["id", "text", "label"], DataConfig(), "t.csv") == (1, 2, None, None, None, 0)
    for name, content, settings, message in (
        ("a.csv", "id,label\n1,0\n", {}, "no column that is obviously the text"),
        ("a.csv", "text,id\nx,0\n", {}, "no column that is obviously the label"),
        ("a.csv", "text,label,text\na,0,b\n", {}, "has two columns 'text'"),
        ("a.tsv", "text\tlabel\tlabel\na\t0\t1\n", {}, "has two columns 'label'"),
        ("a.csv", "a,b\nx,0\n", {"text_column": "9" * 5_000}, "no column"),
        ("a.csv", ",".join(["a"] * 200_000) + "\n1,2\n", {}, "200,000 columns"),
    ):
        with pytest.raises(DataError, match=message):
            read(write(name, content), **settings)


def test_names_of_columns_are_shown_whole_and_taken_as_they_are_shown(tmp_path: Path) -> None:
    long = "the text of the tweet as it was written by its author, mentions and URLs replaced"
    (tmp_path / "a.csv").write_text(f'"{long}","odd\tname"\nbad,0\ngood,4\n')
    with pytest.raises(DataError, match=long) as refused:
        read(tmp_path / "a.csv")
    text, label = refused.value.message.split("the columns are: ")[1].removesuffix(".").split(", 'odd")
    assert (
        pairs(read(tmp_path / "a.csv", text_column=text.strip("'"), label_column=f"odd{label}".strip("'"))) == TWO_ROWS
    )


OTHER_KINDS = [
    ("a.csv", b"version https://git-lfs.github.com/spec/v1\noid 0\n", "a Git LFS pointer", "git lfs pull"),
    ("a.csv", b"\n<!DOCTYPE html>\n<html></html>", "a web page", "Download the file itself"),
    ("a.csv", b"PK\x03\x04\x14\x00", "an Excel workbook or a zip archive", "Save it as CSV"),
    ("a.csv", b"\x1f\x8b\x08\x00", "compressed with gzip", "end in .gz"),
    ("a.csv", b"PAR1\x15\x04", "a parquet file", "end in .parquet"),
    ("a.xlsx", b"PK\x03\x04\x14\x00", "an Excel workbook", "Save it as CSV"),
    ("a.docx", b"anything", "no file extension that can be read", ".jsonl"),
]


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    for name, content, message, hint in OTHER_KINDS:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=message) as refused:
            read(tmp_path / name)
        assert hint in refused.value.hint
        if name != "a.docx":
            with pytest.raises(DataError, match=message):
                read_unlabelled(tmp_path / name)


def test_a_text_that_a_table_repeats_is_held_once(tmp_path: Path) -> None:
    for kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()):
        column = pa.array(["x" * 90_000] * 3_000).cast(kind)
        table = pa.table({"text": column, "label": ["pos", "neg", "pos"] * 1_000})
        pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
        with pytest.raises(DataError, match="this is not a file of tweets"):
            read(tmp_path / "a.parquet")


def test_a_long_first_line_that_is_not_utf_8_is_read_as_latin_1(tmp_path: Path) -> None:
    (tmp_path / "tweets.csv").write_bytes(b"text,label\n" + b"caf\xe9" * 100_000 + b",1\n")
    (tmp_path / "long.csv").write_bytes(b"caf\xe9" * 100_000 + b",1\n")
    for name in ("tweets.csv", "long.csv"):
        source = locate(DataConfig(dataset=str(tmp_path / name)))[0]
        assert detect_encoding(source, None) == "latin-1"


def test_many_odd_names_are_a_short_text() -> None:
    assert len(list_names(["\x00" * 200] * 600)) < 5_000
