"""Files that were made to do harm: each ends soon in a sentence, or its rows are read and counted; through ``s140``."""

from __future__ import annotations

import io
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
from click.testing import Result

from conftest import as_csv, six_columns
from sentiment140_bert.data.reading import read
from sentiment140_bert.data.source import locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.settings import DataConfig

pytest_plugins = "model_fixtures"

GOOD = as_csv(six_columns(120)).encode("latin-1")
ZEROS = 1 << 20


@pytest.fixture
def prepare(s140: Callable[..., Result], cache: Path) -> Callable[..., Result]:
    def run(name: object, *flags: object, code: int = 0) -> Result:
        words = ("--model-name-or-path", "bundled:minilm", "--validation-size", 10, "--test-size", 10, *flags)
        return s140("prepare", "--dataset", name, *words, code=code)

    return run


def packed(*parts: bytes, count: int = 1) -> bytes:
    """A gzip file of these parts, the last of them ``count`` times."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = [deflate.compress(part) for part in parts]
    content += [deflate.compress(parts[-1]) for _ in range(count - 1)]
    return b"".join([*content, deflate.flush()])


def zipped(path: Path, *members: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in members:
            archive.writestr(name, content, how)
    return path


@pytest.mark.parametrize("part", [b"\0" * ZEROS, b"4,a\n" * (ZEROS // 4), b"\n" * ZEROS, b'"\n' * (ZEROS // 2)])
@pytest.mark.parametrize("flags", [(), ("--encoding", "latin-1")])
def test_a_bomb_in_gzip(prepare, tmp_path: Path, part: bytes, flags: tuple[str, ...]) -> None:
    (tmp_path / "bomb.csv.gz").write_bytes(packed(part, count=300))
    said = prepare("bomb.csv.gz", *flags, code=1).stderr
    assert "bomb.csv.gz" in said
    assert "that is no file of tweets" in said


def test_a_bomb_in_a_zip_is_refused_by_what_it_says_of_itself(prepare, tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.csv", "w") as file,
    ):
        for _ in range(200):
            file.write(b"\0" * ZEROS)
    assert "unpacks to more than" in prepare("bomb.zip", code=1).stderr


def test_a_bomb_that_lies_about_its_size(prepare, tmp_path: Path) -> None:
    file = zipped(tmp_path / "bomb.zip", ("a.csv", b"0,a\n" * ZEROS))
    size = (4 * ZEROS).to_bytes(4, "little")
    file.write_bytes(file.read_bytes().replace(size, (40).to_bytes(4, "little")))
    assert "is damaged or was cut off" in prepare("bomb.zip", code=1).stderr


@pytest.mark.parametrize(
    "name", ["../../up.csv", "/tmp/s140_absolute.csv", "C:\\up.csv", "a\x1b[31m.csv", "..\\up.csv"]
)
def test_names_that_climb_out_of_a_zip(prepare, tmp_path: Path, name: str) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    zipped(tmp_path / "deep" / "er" / "t.zip", (name, GOOD))
    before = sorted(tmp_path.rglob("*.csv"))
    result = json.loads(prepare("deep/er/t.zip", "--json").stdout)
    assert result["steps"]["rows_read"] == 120
    assert sorted(tmp_path.rglob("*.csv")) == before
    assert not Path("/tmp/s140_absolute.csv").exists()


def test_a_link_in_a_zip_is_no_tweet_file(prepare, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.csv")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    zipped(tmp_path / "t.zip", (link, b"/etc/passwd"))
    assert "holds 0 tweet files" in prepare("t.zip", code=1).stderr


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("a.csv", GOOD), ("b.csv", GOOD)], "holds 2 tweet files"),
        ([(f"{n}.csv", b"") for n in range(5000)], "and 4,980 others"),
        ([("inner.zip", GOOD)], "holds 0 tweet files"),
        ([], "holds 0 tweet files"),
        ([("a.csv", b"")], "holds no rows"),
    ],
)
def test_a_zip_of_other_things(prepare, tmp_path: Path, members, said: str) -> None:
    zipped(tmp_path / "t.zip", *members)
    result = prepare("t.zip", code=1)
    assert said in result.stderr
    assert len(result.stderr) < 5_000


def test_a_zip_with_a_password(prepare, tmp_path: Path) -> None:
    file = zipped(tmp_path / "t.zip", ("a.csv", GOOD))
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    file.write_bytes(content)
    assert "password" in prepare("t.zip", code=1).stderr


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_otherwise(prepare, tmp_path: Path, how: int) -> None:
    zipped(tmp_path / "t.zip", ("a.csv", GOOD), how=how)
    assert json.loads(prepare("t.zip", "--json").stdout)["steps"]["rows_read"] == 120


def test_a_zip_packed_in_an_unknown_way(prepare, tmp_path: Path) -> None:
    file = zipped(tmp_path / "t.zip", ("a.csv", GOOD))
    content = bytearray(file.read_bytes())
    content[content.index(b"PK\1\2") + 10] = content[8] = 97
    file.write_bytes(content)
    assert "packed in a way that cannot be read here" in prepare("t.zip", code=1).stderr


@pytest.mark.parametrize("flag", ["--dataset", "--manual-test"])
@pytest.mark.parametrize(
    "kind", ["/dev/zero", "zero.csv", "pipe.csv", "loop.csv", "gone.csv", "~nobody_here/a.csv", "a" * 5000]
)
def test_what_is_no_file(s140, tmp_path: Path, kind: str, flag: str) -> None:
    os.mkfifo("pipe.csv")
    Path("zero.csv").symlink_to("/dev/zero")
    Path("loop.csv").symlink_to("loop.csv")
    Path("gone.csv").symlink_to("nowhere")
    dataset = () if flag == "--dataset" else ("--dataset", "sample")
    said = s140("prepare", "--model-name-or-path", "bundled:minilm", *dataset, flag, kind, code=1).stderr
    assert any(words in said for words in ("is no file but a device", "cannot be read", "There is no file"))
    assert len(said) < 1500


@pytest.mark.parametrize("command", [("train", "--recipe"), ("recipes", "validate"), ("train", "--drop-suspects")])
@pytest.mark.parametrize("kind", ["/dev/zero", "pipe.yaml", "loop.yaml", "a" * 5000])
def test_nor_where_other_files_are_named(s140, tmp_path: Path, command: tuple[str, ...], kind: str) -> None:
    os.mkfifo("pipe.yaml")
    Path("loop.yaml").symlink_to("loop.yaml")
    flags = ("--dataset", "sample", "--model-name-or-path", "bundled:minilm") if command[0] == "train" else ()
    flags += ("--report-to", "none") if command[0] == "train" else ()
    s140(*command, kind, *flags, code=1)


def test_a_directory(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").mkdir()
    assert "is a directory, but no dataset" in prepare("t.csv", code=1).stderr


CSV_CASES = {
    "a field of 10 MB": (GOOD + b'"0","1","d","q","u","' + b"x" * 10_000_000 + b'"\n', 121, 1),
    "a row of 10,000 columns": (GOOD + b'"a",' * 10_000 + b"\n", 121, 1),
    "a million empty lines": (b"\n" * 1_000_000 + GOOD, 120, 0),
    "NUL bytes": (GOOD + b'"4","1","d","q","u","a\0b\0"\n' + b"\0\0\0\n", 122, 1),
    "a byte order mark in the middle": (GOOD + "\ufeff".encode() + GOOD, 240, 1),
    "half a character at the end": (GOOD.decode("latin-1").encode() + b'"4","1","d","q","u","a\xe2\x82', 121, 0),
    "a form feed, a vertical tab and all line ends": (
        GOOD + b'"0","1","d","q","u","a\x0cb\x0bc\x85d\x1ce"\r' + GOOD,
        241,
        0,
    ),
}


@pytest.mark.parametrize("case", CSV_CASES)
def test_rows_that_no_file_should_hold(prepare, tmp_path: Path, case: str) -> None:
    content, rows, bad = CSV_CASES[case]
    (tmp_path / "t.csv").write_bytes(content)
    steps = json.loads(prepare("t.csv", "--json", "--max-bad-rows", 0.5).stdout)["steps"]
    assert (steps["rows_read"], steps["bad_rows"]) == (rows, bad)


def test_10000_columns_in_the_first_row(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(",".join(f"column{n}" for n in range(10_000)).encode() + b"\n" + GOOD)
    said = prepare("t.csv", code=1).stderr
    assert "and 9,980 others" in said
    assert len(said) < 2_000


def test_a_line_without_an_end(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD + b"x" * 21_000_000)
    assert "a line of more than 20,000,000 bytes" in prepare("t.csv", code=1).stderr


def test_utf_16_cut_in_half(prepare, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD.decode("latin-1").encode("utf-16")[:-1])
    assert "is not utf-16" in prepare("t.csv", code=1).stderr


@pytest.mark.parametrize("encoding", ["undefined", "rot13", "base64", "klingon", "", "utf-8\udcff"])
def test_encodings_that_are_none(prepare, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD)
    prepare("t.csv", "--encoding", encoding, code=0 if not encoding else 1)


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r", "\0", "ab"])
def test_delimiters_that_are_none(prepare, tmp_path: Path, delimiter: str) -> None:
    (tmp_path / "t.csv").write_bytes(GOOD)
    assert "The delimiter" in prepare("t.csv", "--delimiter", delimiter, code=1).stderr


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


@pytest.mark.parametrize(("line", "reason"), JSON_LINES, ids=[reason for _, reason in JSON_LINES])
def test_lines_of_json_that_no_file_should_hold(prepare, tmp_path: Path, line: str, reason: str) -> None:
    good = [json.dumps({"text": f"tweet {n}", "label": n % 2}) for n in range(120)]
    (tmp_path / "t.jsonl").write_text("\n".join([*good, line]), "utf-8")
    report = json.loads(prepare("t.jsonl", "--json").stdout)
    assert (report["steps"]["rows_read"], report["steps"]["bad_rows"]) == (121, 1)
    (bad,) = map(json.loads, Path(report["bad_rows_file"]).read_text("utf-8").splitlines())
    assert reason in bad["reason"]
    assert len(bad["reason"]) < 500
    assert len(bad["content"]) <= 200


def table(rows: int = 120, **columns: object) -> pa.Table:
    usual = {"text": [f"tweet {n}" for n in range(rows)], "label": [n % 2 for n in range(rows)]}
    return pa.table(usual | columns)


def test_parquet_with_a_damaged_footer(prepare, tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "t.parquet")
    content = bytearray((tmp_path / "t.parquet").read_bytes())
    content[-40:-8] = b"\xff" * 32
    (tmp_path / "t.parquet").write_bytes(content)
    assert "is damaged" in prepare("t.parquet", code=1).stderr
    (tmp_path / "t.parquet").write_bytes(content[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1")
    assert "is damaged" in prepare("t.parquet", code=1).stderr


def test_an_index_past_the_dictionary(tmp_path: Path) -> None:
    """Found by the fuzzer: Arrow hands such a column on, and only a value's place in it is wrong."""
    pq.write_table(table(20, text=list("abcde") * 4), tmp_path / "t.parquet", compression="none")
    whole = (tmp_path / "t.parquet").read_bytes()
    text = pq.read_metadata(tmp_path / "t.parquet").row_group(0).column(0)
    refused = 0
    for at in range(text.data_page_offset, text.dictionary_page_offset + text.total_compressed_size):
        (tmp_path / "t.parquet").write_bytes(whole[:at] + b"\xff" + whole[at + 1 :])
        try:
            data = DataConfig(dataset="t.parquet")
            assert read(locate(data)[0], data).rows == 20
        except DataError as error:
            refused += "is damaged" in error.message
    assert refused


def test_a_dictionary_that_repeats_a_long_text_a_million_times(prepare, tmp_path: Path) -> None:
    rows = 1_000_000
    texts = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["x" * 99_000]))
    pq.write_table(pa.table({"text": texts, "label": np.arange(rows) % 2}), tmp_path / "t.parquet", compression="zstd")
    assert (tmp_path / "t.parquet").stat().st_size < 1_000_000
    assert "that is no file of tweets" in prepare("t.parquet", code=1).stderr


@pytest.mark.parametrize(
    "names", [b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"label": {"names": 5}}}}', b"\xff"]
)
def test_metadata_of_a_table_that_are_none(prepare, tmp_path: Path, names: bytes) -> None:
    pq.write_table(table().replace_schema_metadata({b"huggingface": names}), tmp_path / "t.parquet")
    assert json.loads(prepare("t.parquet", "--json").stdout)["steps"]["rows_read"] == 120


def test_huge_metadata(prepare, tmp_path: Path) -> None:
    pq.write_table(table().replace_schema_metadata({b"x": b"y" * 50_000_000}), tmp_path / "t.parquet")
    prepare("t.parquet", code=0)


TABLES = {
    "nested": ({"text": [["a"]] * 120}, "holds no texts but list"),
    "bytes that are no UTF-8": ({"text": pa.array([b"\xff\xfe"] * 120)}, "is damaged"),
    "a year that is none": ({"date": pa.array([2**62] * 120, pa.timestamp("us"))}, "is damaged"),
}


@pytest.mark.parametrize("case", TABLES)
def test_columns_of_other_types(prepare, tmp_path: Path, case: str) -> None:
    columns, said = TABLES[case]
    pq.write_table(table(**columns), tmp_path / "t.parquet")
    assert said in prepare("t.parquet", code=1).stderr


def test_bytes_that_are_utf_8_are_texts(tmp_path: Path) -> None:
    pq.write_table(table(text=pa.array([f"caf\xe9 {n}".encode() for n in range(120)])), tmp_path / "t.parquet")
    data = DataConfig(dataset="t.parquet")
    assert read(locate(data)[0], data).table["text"].to_pylist() == [f"caf\xe9 {n}" for n in range(120)]


def test_two_columns_of_one_name(prepare, tmp_path: Path) -> None:
    twice = pa.table([["a"] * 120, ["b"] * 120, [0, 1] * 60], names=["text", "text", "label"])
    pq.write_table(twice, tmp_path / "t.parquet")
    assert "two columns 'text'" in prepare("t.parquet", code=1).stderr


def test_a_file_whose_name_is_no_unicode(prepare, tmp_path: Path) -> None:
    Path("caf\udce9.csv").write_bytes(GOOD)
    result = prepare("caf\udce9.csv")
    assert "caf\\udce9.csv" in result.stdout
    assert json.loads(prepare("caf\udce9.csv", "--json").stdout)["sources"]["training"]["name"] == "caf\\udce9.csv"


def test_bad_rows_beyond_a_million_are_not_gathered(prepare, tmp_path: Path) -> None:
    file = io.BytesIO()
    file.write(GOOD + b"a\n" * 1_000_001)
    (tmp_path / "t.csv").write_bytes(file.getvalue())
    assert "more than 1,000,000 rows are malformed" in prepare("t.csv", "--max-bad-rows", 1, code=1).stderr


@pytest.mark.parametrize("name", ["t.txt.gz", "t.csv.gz", "t.jsonl.gz"])
def test_a_bomb_that_is_to_be_labelled(s140, classifier_folder: Path, tmp_path: Path, name: str) -> None:
    start = {"t.csv.gz": b"text\n"}.get(name, b"")
    Path(name).write_bytes(packed(start, b"\0" * ZEROS, count=300))
    said = s140("predict", classifier_folder, "--input", name, "--output", "out.csv", code=1).stderr
    assert "that is no file of tweets" in said or "is not a JSON object" in said
    assert not Path("out.csv").exists()


@pytest.mark.parametrize("name", ["~nobody_here/model", "a" * 5000, "a/" * 3000])
@pytest.mark.parametrize("command", ["predict", "export", "verify", "evaluate", "report", "suspects", "card"])
def test_names_of_models_that_are_none(s140, command: str, name: str) -> None:
    more = {"predict": ["hi"], "suspects": ["--output", "x.csv"], "evaluate": ["--dataset", "sample"]}.get(command, [])
    refused = 2 if command == "verify" else 1
    assert len(s140(command, name, *more, code=refused).stderr) < 2_000
