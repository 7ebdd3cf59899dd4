"""One reader for every verb: each line of a file becomes a row or a counted bad row, whoever wrote the file."""

from __future__ import annotations

import bz2
import csv
import io
import json
import lzma
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sentiment140_bert.data import texts
from sentiment140_bert.data.columns import BadRow, Row
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

pytest_plugins = "model_fixtures"
POSITIVE, NEGATIVE, NEUTRAL = 1, 0, 2


def reading(path: Path | str, **layout: Any) -> Reading:
    data = DataConfig(dataset=str(path), **{"max_bad_rows": 1.0, **layout})
    return read_tweets(locate(data)[0], data)


def rows_without_labels(path: Path, **layout: Any) -> list[Row | BadRow]:
    return list(texts.read_rows(str(path), DataConfig(**layout)))


def write(folder: Path, content: str) -> Path:
    (folder / "a.csv").write_text(content)
    return folder / "a.csv"


# ---- files as data sets have them, invented


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
STS_GOLD = """\
"id";"polarity";"tweet"
"1467933112";"0";"the angel; is going to miss the athlete"
"2323395086";"4";"so happy, today"
"""
SEMEVAL = """\
264183816548130816\t15140428\tpositive\tGas by my house hit $3.39!!! "going to
263405084770172928\t591166521\tnegative\t"Theo Walcott" is still bad
262163168678248449\t35266263\tneutral\tits not that I'm a fan "
"""
KAGGLE = """\
target,ids,date,flag,user,text
0,1467810369,Mon Apr 06 22:19:45 PDT 2009,NO_QUERY,ann,"@switch that's a bummer, caf\u00e9"
4,1467810672,Mon Apr 06 22:19:49 PDT 2009,NO_QUERY,bob,is \u00a3 good
"""
EXCEL = "Tweet;Stimmung\r\nSch\u00f6n, wirklich;positiv\r\nSchade \u2013 leider;negativ\r\n"
API = """\
{"id": "1", "text": "good morning", "author_id": "7", "created_at": "2023-01-01T00:00:00.000Z", "label": "positive"}
{"id": "2", "text": "bad \\ud83d\\ude00", "public_metrics": {"like_count": 1}, "author_id": "8", "label": "negative"}
"""
DATA_SETS: dict[str, tuple[str, bytes, dict[str, Any], list[tuple[str, int]]]] = {
    "airline": ("a.csv", AIRLINE.encode(), {}, [
        ("@air what time, please?", NEUTRAL),
        ("@air plus you've added \"commercials\"\nand lovely ones", POSITIVE),
        ("late again", NEGATIVE),
    ]),
    "sanders": ("a.csv", SANDERS.encode(), {}, [('Now all @Apple needs, is "this"', POSITIVE), ("it broke", NEGATIVE)]),
    "sts-gold": ("a.csv", STS_GOLD.encode(), {}, [
        ("the angel; is going to miss the athlete", NEGATIVE),
        ("so happy, today", POSITIVE),
    ]),
    "semeval-2013": ("a.tsv", SEMEVAL.encode(), {"text_column": "4", "label_column": "3"}, [
        ('Gas by my house hit $3.39!!! "going to', POSITIVE),
        ('"Theo Walcott" is still bad', NEGATIVE),
        ("its not that I'm a fan \"", NEUTRAL),
    ]),
    "semeval-2013 as .txt": ("a.txt", SEMEVAL.encode(), {"text_column": "4", "label_column": "3"}, [
        ('Gas by my house hit $3.39!!! "going to', POSITIVE),
        ('"Theo Walcott" is still bad', NEGATIVE),
        ("its not that I'm a fan \"", NEUTRAL),
    ]),
    "kaggle, latin-1": ("a.csv", KAGGLE.encode("latin-1"), {}, [
        ("@switch that's a bummer, caf\u00e9", NEGATIVE),
        ("is \u00a3 good", POSITIVE),
    ]),
    "excel, windows-1252": ("a.csv", EXCEL.encode("cp1252"), {
        "label_column": "Stimmung", "label_map": "positiv=positive,negativ=negative",
    }, [("Sch\u00f6n, wirklich", POSITIVE), ("Schade \u2013 leider", NEGATIVE)]),
    "decimal commas": ("a.csv", b"id;text;label\n1,0;bad;0,0\n2,0;good;4,0\n", {}, [
        ("bad", NEGATIVE), ("good", POSITIVE),
    ]),
    "twitter api": ("a.jsonl", API.encode(), {}, [("good morning", POSITIVE), ("bad \U0001f600", NEGATIVE)]),
    "json array": ("a.json", b'[{"text": "a", "label": "pos"},\n {"label": "neg", "text": "b"}]', {}, [
        ("a", POSITIVE), ("b", NEGATIVE),
    ]),
    "keys differ": ("a.ndjson", b'{"id": 1, "text": "a", "label": "pos"}\n{"n": 1, "label": "neg", "text": "b"}', {}, [
        ("a", POSITIVE), ("b", NEGATIVE),
    ]),
    "spark and mysql": ("a.csv", b'label,text\n0,"he said \\"no\\", twice"\n4,"fine"\n', {}, [
        ('he said "no", twice', NEGATIVE), ("fine", POSITIVE),
    ]),
    "bzip2": ("a.csv.bz2", bz2.compress(b"label,text\n0,bad\n4,good\n"), {}, [("bad", NEGATIVE), ("good", POSITIVE)]),
    "xz": ("a.tsv.xz", lzma.compress(b"label\ttext\n0\tbad\n4\tgood\n"), {}, [("bad", NEGATIVE), ("good", POSITIVE)]),
    "three columns without header": ("a.csv", b"7,bad,neg\n8,good,pos\n", {
        "text_column": "2", "label_column": "3", "id_column": "1",
    }, [("bad", NEGATIVE), ("good", POSITIVE)]),
    "names with spaces": ("a.csv", b' Tweet Text , "My Label" \nbad,0\ngood,4\n', {
        "text_column": "Tweet Text", "label_column": "my label",
    }, [("bad", NEGATIVE), ("good", POSITIVE)]),
    "usual names": ("a.csv", b"OriginalTweet,Sentiment\nbad,Negative\ngood,Positive\n", {}, [
        ("bad", NEGATIVE), ("good", POSITIVE),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("name", DATA_SETS)
def test_files_as_data_sets_have_them(name: str, tmp_path: Path) -> None:
    file, content, layout, expected = DATA_SETS[name]
    (tmp_path / file).write_bytes(content)
    found = reading(tmp_path / file, **layout)
    assert list(zip(found.table["text"].to_pylist(), found.table["label"].to_pylist(), strict=True)) == expected
    assert (found.rows, found.bad_rows) == (len(expected), 0)
    named = {key: value for key, value in layout.items() if key not in ("label_column", "label_map")}
    assert [row.text for row in rows_without_labels(tmp_path / file, **named)] == [text for text, _ in expected]


def test_texts_and_labels_in_two_files(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text('so "good\n\nbad, very\n')
    (tmp_path / "labels.txt").write_text("2\n1\n0\n")
    layout = {"labels_file": str(tmp_path / "labels.txt"), "label_map": "0=negative,1=neutral,2=positive"}
    found = reading(tmp_path / "text.txt", **layout)
    assert found.table["text"].to_pylist() == ['so "good', "", "bad, very"]
    assert found.table["label"].to_pylist() == [POSITIVE, NEUTRAL, NEGATIVE]
    (tmp_path / "labels.txt").write_text("2\n1\n")
    with pytest.raises(DataError, match=r"text\.txt has more lines than .*labels\.txt, which has 2"):
        reading(tmp_path / "text.txt", **layout)


# ---- quotation marks


def tsv(*rows: str) -> str:
    return "label\ttext\n" + "".join(f"{('neg', 'pos')[at % 2]}\t{row}\n" for at, row in enumerate(rows))


LITERAL = {
    "one at the beginning": ['"worst monday', "good", "bad"],
    "two at the beginning": ['"worst monday', "good", '"best soup" he says', "bad"],
    "one at the beginning and one at an end": ['"worst monday', "good", "bad", 'best soup"'],
    "a whole tweet": ['"hello world"', "good", "bad"],
    "in the middle": ['a "b" c', "good"],
}


@pytest.mark.parametrize("name", LITERAL)
def test_in_tsv_a_quotation_mark_is_part_of_the_tweet(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(tsv(*LITERAL[name]))
    assert reading(tmp_path / "a.tsv").table["text"].to_pylist() == LITERAL[name]
    assert [row.text for row in rows_without_labels(tmp_path / "a.tsv")] == LITERAL[name]


def test_a_tsv_that_quotes_consistently_is_read_so(tmp_path: Path) -> None:
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        rows = [["neg", 'he said "no"'], ["pos", "two\nlines"], ["neg", "a\ttab"], ["pos", "plain"]]
        with (tmp_path / "a.tsv").open("w", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=quoting).writerows([["label", "text"], *rows])
        assert reading(tmp_path / "a.tsv").table["text"].to_pylist() == [text for _, text in rows], quoting


def test_what_cannot_be_told_is_an_error_that_names_the_lines(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(tsv('"hello world"', "good", '"a ""b"" c"'))
    with pytest.raises(DataError, match=r"line 4 doubles them .* line 2 has some that quote nothing") as raised:
        reading(tmp_path / "a.tsv")
    assert "--quoting none" in raised.value.hint
    assert reading(tmp_path / "a.tsv", quoting="none").table["text"].to_pylist()[0] == '"hello world"'
    assert reading(tmp_path / "a.tsv", quoting="double").table["text"].to_pylist() == ["hello world", "good", 'a "b" c']


def test_a_stray_mark_in_a_csv_merges_no_rows(tmp_path: Path) -> None:
    rows = [f"{('neg', 'pos')[at % 2]},tweet {at}" for at in range(20)]
    rows[3], rows[9] = 'pos,"worst monday', 'neg,"best" soup'
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    found = reading(tmp_path / "a.csv")
    assert (found.rows, found.bad_rows) == (20, 0)
    assert found.table["text"].to_pylist()[3] == '"worst monday'


# ---- bytes


def test_one_undecodable_byte_is_one_bad_row(tmp_path: Path, caplog) -> None:
    lines = [b"label,text", "0,caf\u00e9".encode(), b"1,caf\xe9", "0,\U0001f600".encode(), b"1,plain"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    found = reading(tmp_path / "a.csv")
    assert found.table["text"].to_pylist() == ["caf\u00e9", "\U0001f600", "plain"]
    assert [(each.number, each.reason) for each in found.bad] == [(3, "byte 0xe9 is not utf-8")]
    assert "UTF-8 but for 1 lines, the first of them line 3" in caplog.text
    assert [type(row) for row in rows_without_labels(tmp_path / "a.csv")] == [Row, BadRow, Row, Row]


def test_a_byte_in_a_column_that_is_not_kept_spoils_no_row(tmp_path: Path) -> None:
    lines = [b"id,label,text", b"\xe91,0,sad", "2,1,caf\u00e9".encode(), b"3,1,caf\xe9", b"4,0,plain"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    found = reading(tmp_path / "a.csv")
    assert (found.table["row"].to_pylist(), [each.number for each in found.bad]) == ([2, 3, 5], [4])


def test_a_file_without_any_utf_8_is_in_the_encoding_of_its_bytes(tmp_path: Path) -> None:
    for written, encoding, text in (
        (b"0,caf\xe9", "latin-1", "caf\u00e9"),
        (b"0,don\x92t", "windows-1252", "don\u2019t"),
    ):
        (tmp_path / "a.csv").write_bytes(b"label,text\n" + written + b"\n1,plain\n")
        found = reading(tmp_path / "a.csv")
        assert (found.encoding, found.table["text"].to_pylist()) == (encoding, [text, "plain"])


def test_the_corpus_is_latin_1_even_where_most_of_it_is_valid_utf_8(tmp_path: Path) -> None:
    row = "0,1,Mon Apr 06 22:19:45 PDT 2009,NO_QUERY,u,{}\n"
    written = [
        row.format("caf\u00e9").encode(),
        row.format("na\u00efve").encode(),
        row.format("\u00a3").encode("latin-1"),
    ]
    for header in (b"", b"target,ids,date,flag,user,text\n"):
        (tmp_path / "a.csv").write_bytes(header + b"".join(written) + row.format("x").replace("0", "4", 1).encode())
        found = reading(tmp_path / "a.csv")
        assert (found.encoding, found.bad_rows, found.table["text"].to_pylist()[2]) == ("latin-1", 0, "\u00a3")


# ---- what is no file of tweets


OTHERS = {
    "a.csv": [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a pointer of Git LFS", "git lfs pull"),
        (b"\n<!DOCTYPE html>\n<html></html>", "a web page", "Download the file itself"),
        (b"PK\x03\x04\x14\x00", "an Excel workbook or a zip archive", "Save it as CSV"),
        (b"\x1f\x8b\x08\x00", "packed by gzip", "end in .gz"),
        (b"PAR1\x15\x04", "a parquet file", "end in .parquet"),
    ],
    "a.xlsx": [(b"PK\x03\x04\x14\x00", "an Excel workbook", "Save it as CSV")],
    "a.docx": [(b"anything", "of no kind that can be read", ".jsonl")],
}


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    for name, rows in OTHERS.items():
        for content, message, hint in rows:
            (tmp_path / name).write_bytes(content)
            with pytest.raises(DataError, match=message) as raised:
                reading(tmp_path / name)
            assert hint in raised.value.hint
            if message != "of no kind that can be read":
                with pytest.raises(DataError, match=message):
                    rows_without_labels(tmp_path / name)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    for name, content in (("a.csv", "text,label,text\na,0,b\n"), ("a.tsv", "text\tlabel\tlabel\na\t0\t1\n")):
        (tmp_path / name).write_text(content)
        with pytest.raises(DataError, match=r"has two columns '(text|label)'"):
            reading(tmp_path / name)


def test_names_of_columns_are_shown_whole_and_taken_as_they_are_shown(tmp_path: Path) -> None:
    long = "the text of the tweet as it was written by its author, mentions and URLs replaced"
    (tmp_path / "a.csv").write_text(f'"{long}","odd\tname"\nbad,0\ngood,4\n')
    with pytest.raises(DataError, match=long) as raised:
        reading(tmp_path / "a.csv")
    shown = raised.value.message.split("the columns are: ")[1].rstrip(".").split(", '")
    names = [each.strip("'") for each in (", '".join(shown[:-1]), shown[-1])]
    found = reading(tmp_path / "a.csv", text_column=names[0], label_column=names[1])
    assert found.table["text"].to_pylist() == ["bad", "good"]


# ---- small files that claim much


def test_a_text_that_a_table_repeats_is_held_once(tmp_path: Path) -> None:
    for kind in (pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view()):
        texts_of_table = pa.array(["x" * 90_000] * 3_000).cast(kind)
        table = pa.table({"text": texts_of_table, "label": ["pos", "neg", "pos"] * 1_000})
        pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
        with pytest.raises(DataError, match="that is no file of tweets"):
            reading(tmp_path / "a.parquet")


def test_a_record_does_not_swallow_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('label,text\npos,"never closed' + 'a","b\n' * 30_000)
    found = reading(tmp_path / "a.csv", quoting="double")
    assert found.rows == 30_000
    assert not len(found.table)


def test_a_row_of_too_many_columns_is_refused_soon(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(",".join(["a"] * 200_000) + "\n1,2\n")
    with pytest.raises(DataError, match="200,000 columns"):
        reading(tmp_path / "a.csv")


def test_a_zip_is_no_file_of_labels(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("good\n")
    with zipfile.ZipFile(tmp_path / "labels.zip", "w") as archive:
        archive.writestr("labels.txt", "1")
    with pytest.raises(DataError, match="is a zip archive, not a file of lines"):
        reading(tmp_path / "a.txt", labels_file=str(tmp_path / "labels.zip"))
    with pytest.raises(DataError, match="no column"):
        reading(write(tmp_path, "a,b\nx,0\n"), text_column="9" * 5_000)


# ---- rows in are rows out and bad rows


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
ONE_LINE = TEXT.map(
    lambda text: "".join(" " if sign in "\t\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029" else sign for sign in text)
)
LAYOUTS = st.sampled_from([",", ";", "|"]), st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(st.lists(TEXT, min_size=1, max_size=12), *LAYOUTS)
def test_every_row_of_a_csv_comes_back(tmp_path: Path, rows: list[str], delimiter: str, quoting: int) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerows([["label", "text"], *(["pos", text] for text in rows)])
    (tmp_path / "a.csv").write_bytes(file.getvalue().encode())
    found = reading(tmp_path / "a.csv")
    assert (found.table["text"].to_pylist(), found.bad_rows) == (rows, 0)
    assert [row.text for row in rows_without_labels(tmp_path / "a.csv")] == rows


@FEW
@given(st.lists(ONE_LINE, min_size=1, max_size=12), st.integers(0, 3))
def test_every_line_of_a_tsv_is_a_row_or_told(tmp_path: Path, rows: list[str], ragged: int) -> None:
    lines = [f"pos\t{text}" for text in rows] + ["pos\ta\tb"] * ragged
    (tmp_path / "a.tsv").write_bytes("\n".join(["label\ttext", *lines]).encode() + b"\n")
    try:
        found = reading(tmp_path / "a.tsv", quoting="none")
        texts_found = rows_without_labels(tmp_path / "a.tsv", quoting="none")
    except DataError as error:
        pytest.fail(error.message)
    assert found.rows == len(lines)
    assert found.table["text"].to_pylist() == rows
    assert found.bad_rows == ragged
    assert len(texts_found) == len(lines)


@FEW
@given(
    st.lists(
        st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b" ").replace(b"\r", b" ").replace(b"\0", b"")),
        max_size=15,
    )
)
def test_lines_of_any_bytes_are_counted(tmp_path: Path, lines: list[bytes]) -> None:
    """With any quoting, as many lines go in as come out: as rows, as bad rows, or as lines of them."""
    content = [b"pos," + line for line in lines if line.strip()] + [b"neg,x"]
    (tmp_path / "a.csv").write_bytes(b"label,text\n" + b"\n".join(content) + b"\n")
    found = reading(tmp_path / "a.csv", quoting="none", delimiter=",", encoding="utf-8")
    assert found.rows == len(content) == len(found.table) + found.bad_rows


@FEW
@given(st.lists(TEXT, min_size=1, max_size=12), st.booleans())
def test_every_object_of_json_comes_back(tmp_path: Path, rows: list[str], is_array: bool) -> None:
    objects = [{"n": at, "text": text, "label": "pos"} for at, text in enumerate(rows)]
    written = json.dumps(objects) if is_array else "\n".join(map(json.dumps, objects))
    (tmp_path / "a.json").write_text(written)
    found = reading(tmp_path / "a.json")
    assert (found.table["text"].to_pylist(), found.bad_rows) == (rows, 0)


# ---- what predict writes


@pytest.mark.parametrize("output", ["o.jsonl", "o.csv", "o.parquet"])
def test_predictions_align_with_the_rows(output: str, tmp_path: Path, classifier_folder: Path, s140) -> None:
    (tmp_path / "a.csv").write_bytes(b"id;text\nx1;good\nx2;bad;worse\nx3;caf\xe9\nx4;\nx5;\xf0\x9f\x98\x80\n")
    s140("predict", classifier_folder, "--input", tmp_path / "a.csv", "--output", tmp_path / output)
    rows = read_back(tmp_path / output)
    assert [row["text"] for row in rows] == ["good", "x2 | bad | worse", r"caf\udce9", "", "\U0001f600"]
    assert [row["id"] or None for row in rows] == ["x1", None, None, "x4", "x5"]
    assert [bool(row["label"]) for row in rows] == [True, False, False, True, True]
    assert "3 columns instead of 2" in rows[1]["error"]
    assert "byte 0xe9 is not utf-8" in rows[2]["error"]


def read_back(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_too_many_unreadable_rows_are_refused_and_nothing_is_written(
    tmp_path: Path, classifier_folder: Path, s140
) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,good\n2\n3\n")
    words = ["predict", classifier_folder, "--input", tmp_path / "a.csv", "--output", tmp_path / "o.jsonl"]
    result = s140(*words, code=1)
    assert "2 of 3 rows (66.7%) cannot be read; the first is row 3: 1 columns instead of 2" in result.stderr
    assert not (tmp_path / "o.jsonl").exists()
    s140(*words, "--max-bad-rows", "0.7")
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 3


def test_a_dry_run_shows_how_a_file_is_understood(tmp_path: Path, s140) -> None:
    (tmp_path / "a.txt").write_text(SEMEVAL)
    words = ["prepare", "--dataset", tmp_path / "a.txt", "--text-column", 4, "--label-column", 3, "--dry-run"]
    shown = s140(*words).stdout
    for part in (
        "columns separated by tabs; quotation marks are part of the texts",
        "column 4",
        "column 3",
        "3, of which",
    ):
        assert part in shown
    assert 'text   "Theo Walcott" is still bad' in shown
    found = json.loads(s140(*words, "--json").stdout)
    assert [row["label"] for row in found["rows"]] == ["positive", "negative", "neutral"]
