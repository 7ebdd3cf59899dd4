"""``s140 prepare``: its output, and every bad input through the real command line."""

from __future__ import annotations

import gzip
import itertools
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

BUNDLED = ("--model-name-or-path", "bundled:minilm", "--validation-size", "0.1", "--test-size", "0.1")


@pytest.fixture
def prepare(s140, cache):
    return lambda dataset, *more, code=0: s140("prepare", "--dataset", dataset, *BUNDLED, *more, code=code)


def test_json_is_the_only_output_on_stdout(prepare, write):
    report = json.loads(prepare(write("t.csv"), "--json").stdout)
    assert {name: split["rows"] for name, split in report["splits"].items()} == {
        "train": 96,
        "validation": 12,
        "test": 12,
    }
    assert report["splits"]["train"]["token_length"]["truncated"] == 0
    assert report["cached"] == {"splits": False, "tokens": False}
    assert (Path(report["folder"]) / "data.json").is_file()


def test_a_table_for_people(prepare, write):
    shown = prepare(write("t.csv"), "--max-samples", 100).stdout
    for part in ("rows read", "120", "distinct tweets", "drawn", "100", "train", "tokens p50", "fingerprint"):
        assert part in shown


def test_what_the_splits_share_with_train_is_shown(prepare, write):
    shown = prepare(write("t.csv")).stdout
    table = shown[shown.index("shared with train:") :].splitlines()[1:4]
    assert table[0].split("  ")[0] == "split"
    report = json.loads(prepare(write("t.csv"), "--json").stdout)["leakage"]
    for line, name in zip(table[1:], ("validation", "test"), strict=True):
        assert line.split() == [name, *map(str, report[name].values())]
    without = prepare(write("t.csv", [[str(4 * (n % 2)), f"tweet {n}"] for n in range(99)])).stdout
    assert without[without.index("\ntest") :].count("unknown") == 4


def test_labels_that_may_mean_two_things_need_a_map(prepare, write):
    path = write("t.csv", [["label", "text"], *([str(n % 3), f"tweet {n}"] for n in range(180))])
    assert "--label-map 0=negative,1=neutral,2=positive" in prepare(path, code=1).stderr
    shown = prepare(path, "--label-map", "0=negative,1=drop,2=positive").stdout
    assert "dropped by the label map" in shown
    assert "as mapped: 0=negative,1=drop,2=positive" in shown
    assert "each label once" in prepare(path, "--label-map", "0=bad", code=1).stderr


def test_the_second_time_reports_that_the_cache_was_used(prepare, write):
    path = write("t.csv")
    first = prepare(path)
    second = prepare(path)
    assert "loaded from the cache" not in first.stderr
    assert "loaded from the cache" in second.stderr
    assert "tokenize" not in second.stderr.replace("tokenized", "")
    assert json.loads(prepare(path, "--json").stdout)["cached"] == {"splits": True, "tokens": True}


def test_flags_beat_the_recipe(s140, cache):
    report = json.loads(s140("prepare", "--recipe", "quickstart", "--test-size", 200, "--seed", 7, "--json").stdout)
    assert report["splits"]["test"]["rows"] == 200
    assert (report["seed"], report["settings"]["split_seed"]) == (7, 7)
    assert report["splits"]["manual"]["rows"] + report["splits"]["manual_neutral"]["rows"] == 100


def cut(path: Path, share: float = 0.6) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    return path


def unknown_labels(write):
    return write("t.csv", [["label", "text"], *([f"l{n % 2}", f"t{n}"] for n in range(60))])


def malformed(write):
    path = write("t.csv", 100)
    path.write_bytes(path.read_bytes() + b'"4","too few"\n' * 10)
    return path


def locked(write):
    path = write("t.zip")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the flag "encrypted", in the local header and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return path


def damaged_parquet(write):
    path = write("t.parquet", "")
    pq.write_table(pa.table({"text": ["a", "b"] * 50, "label": [0, 1] * 50}), path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 16 + content[20:])
    return path


def folder(write):
    (write("t.csv").parent / "folder").mkdir()
    return Path("folder")


def one_label(write):
    return write("t.csv", [["0", f"tweet {n}"] for n in range(100)])


BAD_INPUTS = {
    "missing": (lambda write: Path("nowhere.csv"), [], "There is no file nowhere.csv"),
    "empty": (lambda write: write("t.csv", ""), [], "is empty (0 bytes)"),
    "header only": (lambda write: write("t.csv", "label,text\n"), [], "holds no rows"),
    "no file extension": (lambda write: write("t.docx", "x"), [], "has no file extension that can be read"),
    "other wrong delimiter": (lambda write: write("t.csv"), ["--delimiter", ";"], "--delimiter"),
    "no such column": (lambda write: write("t.csv", "a,b\n0,x\n"), ["--text-column", "tweet"], "no column 'tweet'"),
    "no obvious column": (lambda write: write("t.csv", "a,b\nx,0\n"), [], "the columns are: 'a', 'b'"),
    "unknown labels": (unknown_labels, [], "unknown label 'l0'"),
    "unknown labels allowed": (unknown_labels, ["--max-bad-rows", "1"], "holds no negative or positive tweets"),
    "one class": (one_label, [], "sample from all of it"),
    "too many samples": (lambda write: write("t.csv"), ["--max-samples", "121"], "only 120 distinct tweets"),
    "locked zip": (locked, [], "password"),
    "cut gzip": (lambda write: cut(write("t.csv.gz", 3000)), [], "damaged or was cut off"),
    "damaged parquet": (damaged_parquet, [], "damaged or was cut off"),
    "undecodable": (lambda write: write("t.csv"), ["--encoding", "utf-8"], "is not utf-8"),
    "not a dataset": (folder, [], "is a folder, but not one saved"),
    "malformed": (malformed, [], "the first is row 101: 2 columns instead of 6"),
    "no dates": (
        lambda write: write("t.csv", [[str(n % 2), f"t{n}"] for n in range(90)]),
        ["--split-by", "time"],
        "has no date for every tweet",
    ),
    "no manual file": (lambda write: write("t.csv"), ["--manual-test", "gone.csv"], "There is no file gone.csv"),
}


@pytest.mark.parametrize("case", BAD_INPUTS)
def test_bad_input_ends_with_one_error_and_leaves_nothing(prepare, write, cache, case):
    make, flags, message = BAD_INPUTS[case]
    path = make(write)
    result = prepare(path, *flags, code=1)
    assert result.stdout == ""
    assert message in result.stderr
    sentence = result.stderr[result.stderr.index("Error: ") :]
    if case != "no manual file":
        assert path.name in sentence
    assert len(sentence.splitlines()) >= 2, "what to do about it is missing"
    assert "Traceback" not in result.output
    assert list(cache.rglob("*")) == []


def test_a_cache_that_cannot_be_written(prepare, write, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("S140_CACHE", str(tmp_path / "file"))
    assert "S140_CACHE" in prepare(write("t.csv"), code=1).stderr


@pytest.mark.realdata
def test_the_head_of_the_real_corpus_is_one_class(prepare, real_data, cache, tmp_path):
    with gzip.open(real_data / "sentiment140_two_columns.csv.gz", "rb") as whole:
        (tmp_path / "head.csv").write_bytes(b"".join(itertools.islice(whole, 100_000)))
    result = prepare("head.csv", "--max-samples", 10_000, code=1)
    assert "one class only" in result.stderr
    assert "sample from all of it" in result.stderr
    assert list(cache.rglob("*")) == []


@pytest.mark.realdata
def test_real_tweets_in_their_original_format(prepare, real_data):
    manual = real_data / "testdata.manual.2009.06.14.csv"
    path = real_data / "original_format_random.csv"
    report = json.loads(prepare(path, "--manual-test", manual, "--max-samples", 2000, "--json").stdout)
    assert report["steps"]["rows_read"] == 27_361
    assert report["steps"]["bad_rows"] == 0
    assert report["sources"]["training"]["encoding"] == "latin-1"
    splits = report["splits"]
    assert (splits["train"]["rows"], splits["validation"]["rows"], splits["test"]["rows"]) == (1600, 200, 200)
    assert (splits["manual"]["rows"], splits["manual_neutral"]["rows"]) == (359, 139)
