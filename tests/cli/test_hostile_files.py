"""Malicious files: each quickly causes one error message, or its rows are read and counted; through ``s140``."""

from __future__ import annotations

import json
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from conftest import as_csv, six_columns
from sentiment140_bert.cli import main
from sentiment140_bert.data import reading
from sentiment140_bert.data.sources import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.recipe import DataConfig

pytest_plugins = "model_fixtures"

GOOD = as_csv(six_columns(120)).encode("latin-1")
ZEROS = 1 << 20
MEGABYTES = 60  # of a bomb, of which less than one is packed: 50 are suspicious


@pytest.fixture
def prepare(s140: Callable[..., Result], cache: Path) -> Callable[..., Result]:
    def run(name: object, *flags: object, code: int = 0) -> Result:
        words = ("--model-name-or-path", "bundled:minilm", "--validation-size", 10, "--test-size", 10, *flags)
        return s140("prepare", "--dataset", name, *words, code=code)

    return run


def rows_read(name: str, **settings: object) -> reading.Reading:
    """Read the rows of a file, without any further step."""
    data = DataConfig(dataset=name, **settings)
    return reading.read_tweets(locate(data)[0], data)


def packed(*parts: bytes, count: int = 1) -> bytes:
    """Return a gzip file of these parts, the last of them ``count`` times."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = [deflate.compress(part) for part in parts]
    content += [deflate.compress(parts[-1]) for _ in range(count - 1)]
    return b"".join([*content, deflate.flush()])


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content, how)
    return path


def test_a_bomb_in_gzip(prepare, tmp_path: Path) -> None:
    for part in (b"\0" * ZEROS, b"4,a\n" * (ZEROS // 4), b"\n" * ZEROS, b'"\n' * (ZEROS // 2)):
        (tmp_path / "bomb.csv.gz").write_bytes(packed(part, count=MEGABYTES))
        for flags in ((), ("--encoding", "latin-1")):
            shown = prepare("bomb.csv.gz", *flags, code=1).stderr
            assert "bomb.csv.gz" in shown
            assert "this is not a file of tweets" in shown


def test_a_bomb_in_a_zip_is_refused_by_its_own_header(prepare, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w") as file,
    ):
        for _ in range(MEGABYTES):
            file.write(b"\0" * ZEROS)
    assert "unpacks to more than" in prepare("bomb.zip", code=1).stderr


def test_a_bomb_that_lies_about_its_size(prepare, tmp_path: Path) -> None:
    file = zipped(tmp_path / "bomb.zip", ("a.csv", b"0,a\n" * ZEROS))
    size = (4 * ZEROS).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(size, (40).to_bytes(4, "little")))
    assert "is damaged or was cut off" in prepare("bomb.zip", code=1).stderr


def test_names_that_climb_out_of_a_zip(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("../../up.csv", "/tmp/s140_absolute.csv", "C:\\up.csv", "a\x1b[31m.csv", "..\\up.csv"):
        zipped(tmp_path / "deep" / "er" / "t.zip", (name, GOOD))
        assert rows_read("deep/er/t.zip").rows == 120, name
        assert not list(tmp_path.rglob("*.csv")), name
        assert not Path("/tmp/s140_absolute.csv").exists()


def test_a_link_in_a_zip_is_not_a_tweet_file(prepare, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    zipped(tmp_path / "t.zip", (link, b"/etc/passwd"))
    assert "holds 0 tweet files" in prepare("t.zip", code=1).stderr


def test_a_zip_of_other_things(prepare, tmp_path: Path) -> None:
    for members, message in (
        ([("a.csv", GOOD), ("b.csv", GOOD)], "holds 2 tweet files"),
        ([(f"{n}.csv", b"") for n in range(5000)], "and 4,980 others"),
        ([("inner.zip", GOOD)], "holds 0 tweet files"),
        ([], "holds 0 tweet files"),
        ([("a.csv", b"")], "holds no rows"),
    ):
        zipped(tmp_path / "t.zip", *members)
        result = prepare("t.zip", code=1)
        assert message in result.stderr
        assert len(result.stderr) < 5_000


def test_a_zip_with_an_unknown_compression(prepare, tmp_path: Path) -> None:
    file = zipped(tmp_path / "t.zip", ("a.csv", GOOD))
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\1\2") + 10] = content[8] = 97
    file.write_bytes(content)
    assert "uses a compression that cannot be read" in prepare("t.zip", code=1).stderr


def test_devices_pipes_and_sockets_are_refused(s140, tmp_path: Path) -> None:
    os.mkfifo("pipe.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    Path("loop.csv").symlink_to("loop.csv")
    Path("gone.csv").symlink_to("nowhere")
    usual = ("prepare", "--model-name-or-path", "bundled:minilm")
    for name in ("/dev/zero", "zero.csv", "pipe.csv", "loop.csv", "gone.csv", "~nobody_here/a.csv", "a" * 5000):
        for words in (("--dataset", name), ("--dataset", "sample", "--manual-test", name)):
            shown = s140(*usual, *words, code=1).stderr
            reasons = ("is a device, a pipe or a socket", "cannot be read", "There is no file")
            assert any(reason in shown for reason in reasons), words
            assert len(shown) < 1500


def test_other_file_options_refuse_them_too(s140, tmp_path: Path) -> None:
    os.mkfifo("pipe.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    usual = ("--dataset", "sample", "--model-name-or-path", "bundled:minilm")
    for name in ("/dev/zero", "pipe.yaml", "loop.yaml", "a" * 5000):
        for words in (("train", "--recipe"), ("recipes", "validate"), ("prepare", *usual, "--drop-suspects")):
            s140(*words, name, code=1)


CSV_CASES = {
    "a field of 10 MB": (GOOD + b'"0","1","d","q","u","' + b"x" * 10_000_000 + b'"\n', 121, 1),
    "a row of 10,000 columns": (GOOD + b'"a",' * 10_000 + b"\n", 121, 1),
    "a million empty lines": (b"\n" * 1_000_000 + GOOD, 120, 0),
    "NUL bytes": (GOOD + b'"4","1","d","q","u","a\0b\0"\n' + b"\0\0\0\n", 122, 1),
    "a byte order mark in the middle": (GOOD + "\ufeff".encode() + GOOD, 240, 1),
    "half a character at the end": (GOOD.decode("latin-1").encode() + b'"4","1","d","q","u","a\xe2\x82', 121, 1),
    "a form feed, a vertical tab and all line ends": (
        GOOD + b'"0","1","d","q","u","a\x0cb\x0bc\x85d\x1ce"\r' + GOOD,
        241,
        0,
    ),
}


def test_rows_that_no_file_should_hold(tmp_path: Path) -> None:
    for case, (content, rows, bad) in CSV_CASES.items():
        (tmp_path / "t.csv").write_bytes(content)
        result = rows_read("t.csv", max_bad_rows=0.5)
        assert (result.rows, result.bad_rows, len(result.table)) == (rows, bad, rows - bad), case


def test_10000_columns_in_the_first_row(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(",".join(f"column{n}" for n in range(10_000)).encode() + b"\n" + GOOD)
    stderr = prepare("t.csv", code=1).stderr
    assert "and 9,940 others" in stderr
    assert len(stderr) < 2_000


def test_a_line_without_an_end(prepare, classifier_folder: Path, tmp_path: Path) -> None:
    command = ["predict", str(classifier_folder), "--input", "-"]
    result = CliRunner().invoke(main, command, input=b"fine\n" + b"x" * 20_000_001)
    assert "standard input has a line of more than 20,000,000 bytes" in result.stderr
    (tmp_path / "t.csv").write_bytes(GOOD + b"x" * 21_000_000)
    assert "a line of more than 20,000,000 bytes" in prepare("t.csv", code=1).stderr


def test_invalid_encodings_and_delimiters(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD)
    for encoding in ("undefined", "rot13", "base64", "klingon"):
        assert "Unknown encoding" in prepare("t.csv", "--encoding", encoding, code=1).stderr
    assert "must be valid Unicode" in prepare("t.csv", "--encoding", "utf-8\udcff", code=1).stderr
    for delimiter in ('"', "\n", "\r", "\0", "ab"):
        assert "The delimiter" in prepare("t.csv", "--delimiter", delimiter, code=1).stderr
    prepare("t.csv", "--encoding", "")


JSON_LINES = [
    ('{"text": "half \\ud800", "label": 1}', "not valid Unicode"),
    ('{"text": "' + "\\ud800" * 100_001 + '", "label": 1}', "more than 100,000 characters"),
    ('{"text": ' + "[" * 100_000 + ', "label": 1}', "not valid JSON"),
    ('{"text": ' + "[" * 900 + "1" + "]" * 900 + ', "label": 1}', "a list or an object"),
    ('{"text": {"a": 1}, "label": 1}', "a list or an object"),
    ('{"text": "' + "x" * 10_000_000 + '", "label": 1}', "more than 100,000 characters"),
    ('{"text": "x", "label": ' + "9" * 5000 + "}", "not valid JSON"),
    ('{"text": "x", "label": 1e999}', "unknown label"),
    ('{"text": "x", "label": "' + "y" * 90_000 + '"}', "unknown label"),
    ("\0", "not valid JSON"),
]


def test_lines_of_json_that_no_file_should_hold(prepare, tmp_path: Path) -> None:
    """Try each in a file of its own, and all of them in one file."""
    good = [json.dumps({"text": f"tweet {n}", "label": n % 2}) for n in range(120)]
    for line, reason in JSON_LINES:
        (tmp_path / "t.jsonl").write_text("\n".join([*good, line]), "utf-8")
        result = rows_read("t.jsonl")
        assert (result.rows, [reason in bad.reason for bad in result.bad]) == (121, [True]), reason
    every = "\n".join([*good, *(line for line, _ in JSON_LINES)])
    (tmp_path / "t.jsonl").write_text(every, "utf-8")
    report = json.loads(prepare("t.jsonl", "--json", "--max-bad-rows", 0.2).stdout)
    assert report["bad_rows_file"] in prepare("t.jsonl", "--max-bad-rows", 0.2).stdout
    assert (report["steps"]["rows_read"], report["steps"]["bad_rows"]) == (120 + len(JSON_LINES), len(JSON_LINES))
    bad = [json.loads(line) for line in Path(report["bad_rows_file"]).read_text("utf-8").splitlines()]
    for row, (_, reason) in zip(bad, JSON_LINES, strict=True):
        assert reason in row["reason"]
        assert len(row["reason"]) < 500
        assert len(row["content"]) <= 200


def table(rows: int = 120, **columns: object) -> pa.Table:
    usual = {"text": [f"tweet {n}" for n in range(rows)], "label": [n % 2 for n in range(rows)]}
    return pa.table(usual | columns)


def test_an_index_past_the_dictionary(tmp_path: Path) -> None:
    """Try a column that the fuzzer found: Arrow accepts it, although an index in it is wrong."""
    pq.write_table(table(20, text=list("abcde") * 4), tmp_path / "t.parquet", compression="none")
    whole = (tmp_path / "t.parquet").read_bytes()
    text = pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0)
    refused = 0
    for at in range(text.data_page_offset, text.dictionary_page_offset + text.total_compressed_size):
        (tmp_path / "t.parquet").write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        try:
            assert rows_read("t.parquet").rows == 20
        except DataError as error:
            refused += "is damaged" in error.message
    assert refused


def test_a_dictionary_that_repeats_a_long_text_a_million_times(prepare, tmp_path: Path) -> None:
    rows = 1_000_000
    texts = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["x" * 99_000]))
    pq.write_table(pa.table({"text": texts, "label": np.arange(rows) % 2}), tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000
    assert "this is not a file of tweets" in prepare("t.parquet", code=1).stderr


def test_huge_metadata(tmp_path: Path) -> None:
    pq.write_table(table().replace_schema_metadata({b"x": b"y" * 10_000_000}), tmp_path / "t.parquet")
    assert rows_read("t.parquet").rows == 120


TABLES = {
    "nested": ({"text": [["a"]] * 120}, "holds list"),
    "bytes that are no UTF-8": ({"text": pa.array([b"\xff\xfe"] * 120)}, "is damaged"),
    "an impossible year": ({"date": pa.array([2**62] * 120, pa.timestamp("us"))}, "is damaged"),
}


def test_columns_of_other_types(prepare, tmp_path: Path) -> None:
    for columns, message in TABLES.values():
        pq.write_table(table(**columns), tmp_path / "t.parquet")
        assert message in prepare("t.parquet", code=1).stderr


def test_a_file_name_that_is_not_unicode(prepare, tmp_path: Path) -> None:
    Path("caf\udce9.csv").write_bytes(GOOD)
    result = prepare("caf\udce9.csv")
    assert "caf\\udce9.csv" in result.stdout
    assert json.loads(prepare("caf\udce9.csv", "--json").stdout)["sources"]["training"]["name"] == "caf\\udce9.csv"


def test_bad_rows_beyond_a_million_are_not_gathered(prepare, tmp_path: Path, monkeypatch) -> None:
    assert reading.MOST_BAD_ROWS == 1_000_000
    monkeypatch.setattr(reading, "MOST_BAD_ROWS", 1_000)
    (tmp_path / "t.csv").write_bytes(GOOD + b"a\n" * 1_000)
    assert json.loads(prepare("t.csv", "--max-bad-rows", 1, "--json").stdout)["steps"]["bad_rows"] == 1_000
    (tmp_path / "t.csv").write_bytes(GOOD + b"a\n" * 1_001)
    assert "more than 1,000 rows are malformed" in prepare("t.csv", "--max-bad-rows", 1, code=1).stderr


def test_a_bomb_that_is_to_be_labelled(s140, classifier_folder: Path, tmp_path: Path) -> None:
    for name, start in (("t.txt.gz", b""), ("t.csv.gz", b"text\n"), ("t.jsonl.gz", b"")):
        Path(name).write_bytes(packed(start, b"\0" * ZEROS, count=MEGABYTES))
        shown = s140("predict", classifier_folder, "--input", name, "--output", "out.csv", code=1).stderr
        assert "this is not a file of tweets" in shown or "is not a JSON object" in shown
        assert not Path("out.csv").exists()


def test_invalid_names_of_models(s140) -> None:
    commands = {
        **{"predict": ["hi"], "suspects": ["--output", "x.csv"], "evaluate": ["--dataset", "sample"]},
        **{"export": [], "verify": [], "report": [], "card": []},
    }
    for command, more in commands.items():
        for name in ("~nobody_here/model", "a" * 5000, "a/" * 3000):
            code = 2 if command == "verify" else 1
            assert len(s140(command, name, *more, code=code).stderr) < 2_000
