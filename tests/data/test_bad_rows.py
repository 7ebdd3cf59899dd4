"""Read damaged files: quotation marks, bytes and columns that do not fit spoil their own rows, and are counted."""

from __future__ import annotations

import csv
import io
import json
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
THEO_WALCOTT = '264\t151\tpositive\tGas hit $3.39!!! "going to\n263\t591\tnegative\t"Theo Walcott" is still bad\n'


def read(path: Path | str, **layout: Any) -> Reading:
    data = DataConfig(**{"dataset": str(path), "max_bad_rows": 1.0, **layout})
    return read_tweets(locate(data)[0], data)


def list_texts(reading: Reading) -> list[str]:
    return reading.table["text"].to_pylist()


def list_unlabelled(path: Path, **layout: Any) -> list[Row | BadRow]:
    return list(texts.read_rows(str(path), DataConfig(**layout)))


# ---- quotation marks


def make_tsv(*rows: str) -> str:
    return "label\ttext\n" + "".join(f"{('neg', 'pos')[at % 2]}\t{row}\n" for at, row in enumerate(rows))


@pytest.mark.parametrize(
    "rows",
    [
        ['"worst monday', "good", "bad"],
        ['"worst monday', "good", '"best soup" he says', "bad"],
        ['"worst monday', "good", "bad", 'best soup"'],
        ['"hello world"', "good", "bad"],
        ['a "b" c', "good"],
    ],
)
def test_in_tsv_a_quotation_mark_is_part_of_the_tweet(rows: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(make_tsv(*rows))
    assert list_texts(read(tmp_path / "a.tsv")) == rows
    assert [row.text for row in list_unlabelled(tmp_path / "a.tsv") if isinstance(row, Row)] == rows


def test_a_tsv_that_quotes_consistently_is_read_so(tmp_path: Path) -> None:
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC):
        rows = [["neg", 'he said "no"'], ["pos", "two\nlines"], ["neg", "a\ttab"], ["pos", "plain"]]
        with (tmp_path / "a.tsv").open("w", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=quoting).writerows([["label", "text"], *rows])
        assert list_texts(read(tmp_path / "a.tsv")) == [text for _, text in rows], quoting


def test_unclear_quoting_is_an_error_that_names_the_lines(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(make_tsv('"hello world"', "good", '"a ""b"" c"'))
    with pytest.raises(DataError, match=r"line 4 doubles them .* line 2 has some that do not quote a field") as refused:
        read(tmp_path / "a.tsv")
    assert "--quoting none" in refused.value.hint
    assert list_texts(read(tmp_path / "a.tsv", quoting="none"))[0] == '"hello world"'
    assert list_texts(read(tmp_path / "a.tsv", quoting="double")) == ["hello world", "good", 'a "b" c']


def test_a_stray_mark_in_a_csv_merges_no_rows(tmp_path: Path) -> None:
    rows = [f"{('neg', 'pos')[at % 2]},tweet {at}" for at in range(20)]
    rows[3], rows[9] = 'pos,"worst monday', 'neg,"best" soup'
    (tmp_path / "a.csv").write_text("label,text\n" + "\n".join(rows) + "\n")
    reading = read(tmp_path / "a.csv")
    assert (reading.rows, reading.bad_rows, list_texts(reading)[3]) == (20, 0, '"worst monday')


def test_a_record_does_not_swallow_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('label,text\npos,"never closed' + 'a","b\n' * 30_000)
    reading = read(tmp_path / "a.csv", quoting="double")
    assert (reading.rows, len(reading.table)) == (30_000, 0)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_a_text_has_at_most_100000_characters(write, tmp_path, name) -> None:
    for at in (0, 1, 2):
        for length in (100_000, 100_001):
            column, labels = ["x", "y"], ["0", "4"]
            column.insert(at, "z" * length)
            labels.insert(at, "4")
            if name == "t.parquet":
                pq.write_table(pa.table({"text": column, "label": labels}), tmp_path / name)
            elif name == "t.jsonl":
                rows = zip(column, labels, strict=True)
                write(name, "".join(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows))
            else:
                write(name, [list(row) for row in zip(labels, column, strict=True)])
            reading = read(tmp_path / name)
            fits = length == 100_000
            assert [bad.number for bad in reading.bad] == ([] if fits else [at + 1])
            assert list_texts(reading) == (column if fits else ["x", "y"])


# ---- bytes


def test_one_undecodable_byte_is_one_bad_row(tmp_path: Path, caplog) -> None:
    lines = [b"label,text", "0,caf\u00e9".encode(), b"1,caf\xe9", "0,\U0001f600".encode(), b"1,plain"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    reading = read(tmp_path / "a.csv")
    assert list_texts(reading) == ["caf\u00e9", "\U0001f600", "plain"]
    assert [(bad.number, bad.reason) for bad in reading.bad] == [(3, "byte 0xe9 is not utf-8")]
    assert "UTF-8 except for 1 lines, the first of which is line 3" in caplog.text
    assert [type(row) for row in list_unlabelled(tmp_path / "a.csv")] == [Row, BadRow, Row, Row]


def test_a_byte_in_a_column_that_is_not_stored_spoils_no_row(tmp_path: Path) -> None:
    lines = [b"id,label,text", b"\xe91,0,sad", "2,1,caf\u00e9".encode(), b"3,1,caf\xe9", b"4,0,plain"]
    (tmp_path / "a.csv").write_bytes(b"\n".join(lines))
    reading = read(tmp_path / "a.csv")
    assert (reading.table["row"].to_pylist(), [bad.number for bad in reading.bad]) == ([2, 3, 5], [4])


CORPUS_ROW = "{},1,Mon Apr 06 22:19:45 PDT 2009,NO_QUERY,u,{}\n"
CORPUS = b"".join(
    [
        CORPUS_ROW.format(0, "caf\u00e9").encode(),
        CORPUS_ROW.format(0, "na\u00efve").encode(),
        CORPUS_ROW.format(4, "\u00a3").encode("latin-1"),
    ]
)


def test_encodings_of_files_that_are_not_utf_8(tmp_path: Path) -> None:
    """A file in the corpus's layout is latin-1, even if most of its lines are valid UTF-8."""
    for content, encoding, text in (
        (b"label,text\n1,plain\n0,caf\xe9\n", "latin-1", "caf\u00e9"),
        (b"label,text\n1,plain\n0,don\x92t\n", "windows-1252", "don\u2019t"),
        (CORPUS, "latin-1", "\u00a3"),
        (b"target,ids,date,flag,user,text\n" + CORPUS, "latin-1", "\u00a3"),
    ):
        (tmp_path / "a.csv").write_bytes(content)
        reading = read(tmp_path / "a.csv")
        assert (reading.encoding, reading.bad_rows, list_texts(reading)[-1]) == (encoding, 0, text)


# ---- numbers of bad rows


@pytest.mark.parametrize(("malformed", "unknown", "cause"), [(2, 1, "malformed"), (1, 1, "malformed"), (1, 2, "label")])
def test_more_bad_rows_than_allowed_are_an_error_that_names_the_cause(write, malformed, unknown, cause) -> None:
    rows = [["0", "a"], ["4", "b"]] * 5 + [["4", "too", "many"]] * malformed + [["9", "nine"]] * unknown
    path, bad = write("t.csv", rows), malformed + unknown
    share = bad / (bad + 10)
    assert read(path, max_bad_rows=share + 0.001).bad_rows == bad
    with pytest.raises(DataError) as refused:
        read(path, max_bad_rows=share - 0.001)
    assert f"{bad} of {bad + 10} rows ({share:.1%})" in str(refused.value)
    assert ("most because of their label" in str(refused.value)) == (cause == "label")
    assert ("are malformed, more than" in str(refused.value)) == (cause == "malformed")


# ---- rows in equal rows out plus bad rows, for any content

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=30)
ONE_LINE = TEXT.map(lambda text: "".join(" " if char in "\t\x0b\x0c" else char for char in " ".join(text.splitlines())))
FEW = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(
    rows=st.lists(TEXT, min_size=1, max_size=12),
    delimiter=st.sampled_from([",", ";", "|"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_every_row_of_a_csv_comes_back(tmp_path: Path, rows: list[str], delimiter: str, quoting: int) -> None:
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter, quoting=quoting, lineterminator="\r\n")
    writer.writerows([["label", "text"], *(["pos", text] for text in rows)])
    (tmp_path / "a.csv").write_bytes(file.getvalue().encode())
    reading = read(tmp_path / "a.csv")
    assert (list_texts(reading), reading.bad_rows) == (rows, 0)
    assert [row.text for row in list_unlabelled(tmp_path / "a.csv") if isinstance(row, Row)] == rows


@FEW
@given(rows=st.lists(ONE_LINE, min_size=1, max_size=12), ragged=st.integers(0, 3))
def test_every_line_of_a_tsv_is_a_row_or_a_bad_row(tmp_path: Path, rows: list[str], ragged: int) -> None:
    lines = [f"pos\t{text}" for text in rows] + ["pos\ta\tb"] * ragged
    (tmp_path / "a.tsv").write_bytes("\n".join(["label\ttext", *lines]).encode() + b"\n")
    reading = read(tmp_path / "a.tsv", quoting="none")
    assert (reading.rows, list_texts(reading), reading.bad_rows) == (len(lines), rows, ragged)
    assert len(list_unlabelled(tmp_path / "a.tsv", quoting="none")) == len(lines)


# ---- the commands


def read_back(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text().splitlines()]


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


def test_too_many_unreadable_rows_are_refused_and_nothing_is_written(tmp_path, classifier_folder: Path, s140) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,good\n2\n3\n")
    words = ["predict", classifier_folder, "--input", tmp_path / "a.csv", "--output", tmp_path / "o.jsonl"]
    message = "2 of 3 rows (66.7%) cannot be read; the first is row 3: 1 columns instead of 2"
    assert message in s140(*words, code=1).stderr
    assert not (tmp_path / "o.jsonl").exists()
    s140(*words, "--max-bad-rows", "0.7")
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 3


def test_a_dry_run_shows_the_format_of_a_file(tmp_path: Path, s140) -> None:
    (tmp_path / "a.txt").write_text(THEO_WALCOTT)
    words = ["prepare", "--dataset", tmp_path / "a.txt", "--text-column", 4, "--label-column", 3, "--dry-run"]
    output = s140(*words).stdout
    parts = ("columns separated by tabs; quotation marks are part of the texts", "column 4", "column 3", "2, of which")
    assert [part for part in (*parts, 'text  "Theo Walcott" is still bad') if part not in output] == []
    assert [row["label"] for row in json.loads(s140(*words, "--json").stdout)["rows"]] == ["positive", "negative"]
