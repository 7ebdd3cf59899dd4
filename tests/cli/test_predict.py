"""``s140 predict``: every kind of input and output, and the messages about unreadable ones."""

from __future__ import annotations

import csv
import fcntl
import gzip
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from sentiment140_bert import models
from sentiment140_bert.cli import main
from sentiment140_bert.data.texts import unescape_cell
from sentiment140_bert.models.save import Calibration

pytest_plugins = ("model_fixtures", "hub_fixtures")

TEXTS = ["what a lovely surprise", '@you it\'s raining, "again" &amp; again :(', "", "cafés, 日本", "=1+1; x"]


def write_texts(name: str) -> Path:
    path = Path(name)
    if ".csv" in name or ".tsv" in name:
        delimiter = "\t" if ".tsv" in name else ","
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter=delimiter).writerows([["id", "text"], *enumerate(TEXTS)])
        content = path.read_bytes()
    elif ".jsonl" in name:
        content = "".join(json.dumps({"id": at, "text": text}) + "\n" for at, text in enumerate(TEXTS)).encode()
    elif ".parquet" in name:
        pq.write_table(pa.table({"id": range(len(TEXTS)), "text": TEXTS}), path)
        return path
    else:
        content = "".join(f"{text}\n" for text in TEXTS).encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def read_back(path: Path) -> list[dict[str, object]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        texts = [unescape_cell(row["Text "]) for row in rows]
        assert not any(row["Text "].startswith(("=", "@")) for row in rows)  # which a spreadsheet would compute
        return [row | {"Text ": text} for row, text in zip(rows, texts, strict=True)]
    return pq.read_table(path).to_pylist()


@pytest.fixture(scope="module")
def expected(classifier_folder: Path) -> list[dict[str, object]]:
    from sentiment140_bert import predict

    return [{"text": text, **answer._asdict()} for text, answer in predict(str(classifier_folder), TEXTS)]


def add_ids(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{"id": str(number), **row} for number, row in enumerate(rows)]


def add_numbers(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{"row": number, **row} for number, row in enumerate(rows, start=1)]


INPUTS = ["a.txt", "a.txt.gz", "a.csv", "a.csv.gz", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.parquet", "no_ending"]


def test_every_kind_of_input(classifier_folder: Path, s140, expected) -> None:
    words = ("predict", classifier_folder, "--json", "--input")
    for name in INPUTS:
        rows = add_numbers(expected) if name.startswith(("a.txt", "no_")) else add_ids(expected)
        result = json.loads(s140(*words, write_texts(name)).stdout)
        assert result == {"count": 5, "predictions": rows, "empty": 1, "truncated": 0, "errors": 0}, name


def test_every_kind_of_output_has_all_columns(classifier_folder: Path, s140, expected) -> None:
    records = [
        {"id": at, "Text ": text, "tags": ["a", {"b": at}], "stars": None if at else 1.5, "at": f"-{at}"}
        for at, text in enumerate(TEXTS)
    ]
    Path("a.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        result = s140("predict", classifier_folder, "--input", "a.jsonl", "--output", name, "--json")
        assert json.loads(result.stdout) == {"count": 5, "output": name, "empty": 1, "truncated": 0, "errors": 0}
        rows = read_back(Path(name))
        assert [*rows[0]][:7] == [*records[0], "label", "score"], name
        for row, record, prediction in zip(rows, records, expected, strict=True):
            assert (row["Text "], row["label"], float(row["score"])) == tuple(prediction.values()), name
            assert json.loads(row["tags"]) == record["tags"], name
            assert row["at"] == record["at"], name  # a number, which is no formula
            assert str(row["id"]) == str(record["id"]), name
            assert (float(row["stars"]) if row["stars"] else None) == record["stars"], name
    assert pq.read_schema("out.parquet").field("stars").type == pa.float64()


def test_columns_are_neither_lost_nor_replaced(classifier_folder: Path, s140) -> None:
    Path("a.csv").write_text("text,label,x,x\nfine,4,1,2\nbad\n@you,0,3,4\n")
    words = ("predict", classifier_folder, "--input", "a.csv", "--output", "out.csv")
    result = s140(*words, code=1)
    assert "The input has a column label already." in result.stderr
    assert "--prefix predicted_" in result.stderr
    s140(*words, "--prefix", "new_", "--no-escape-formulas")
    good, bad, at = csv.DictReader(Path("out.csv").read_text().splitlines())
    assert [good[name] for name in ("text", "label", "x", "x (2)", "new_error")] == ["fine", "4", "1", "2", ""]
    assert (bad["text"], bad["label"], bad["new_label"]) == ("bad", "", "")
    assert "1 columns instead of 4" in bad["new_error"]
    assert at["text"] == "@you"
    assert "out.csv exists." in s140(*words, "--prefix", "new_", code=1).stderr
    s140(*words, "--prefix", "new_", "--overwrite")
    assert "'@you" in Path("out.csv").read_text()


def test_columns_that_come_late_are_neither_lost_in_silence_nor_replaced(classifier_folder: Path, s140) -> None:
    early = json.dumps({"text": "a fine day"}) + "\n"
    source = Path("late.jsonl")
    source.write_text(1_000 * early + json.dumps({"text": "a bad day", "place": "Oslo"}) + "\n")
    result = s140("predict", classifier_folder, "--input", source, "--output", "all.csv")
    assert "all.csv has not all columns of the input" in result.stderr
    assert "'place' (first in row 1,001); .jsonl keeps all" in result.stderr
    assert "place" not in s140("predict", classifier_folder, "--input", source, "--output", "all.jsonl").stderr
    assert json.loads(Path("all.jsonl").read_text().splitlines()[-1])["place"] == "Oslo"
    source.write_text(1_000 * early + json.dumps({"text": "a bad day", "label": "mine"}) + "\n")
    result = s140("predict", classifier_folder, "--input", source, "--output", "new.jsonl", code=1)
    assert "The input has a column label already." in result.stderr
    assert not Path("new.jsonl").exists()


def test_odd_values_of_other_columns_cost_no_row(classifier_folder: Path, s140) -> None:
    table = {
        "text": ["fine", "bad"],
        "bytes": pa.array([b"\xff", None]),
        "at": pa.array([2**62, 0], pa.timestamp("us")),
        "number": [float("nan"), 1.0],
        "x": pa.array([{"y": [1]}, None]),
    }
    pq.write_table(pa.table(table), "a.parquet")
    Path("a.csv").write_bytes(b"text,other\nfine,caf\xe9\nbad,\n")
    lines = (
        f'{{"text": "fine", "n": {2**70}, "m": 1}}',
        r'{"text": "bad", "m": "\ud800", "o": [{"\ud800": "\ud83d"}]}',
    )
    Path("a.jsonl").write_text("\n".join(lines))
    for source in ("a.parquet", "a.csv", "a.jsonl"):
        for name in ("out.jsonl", "out.csv", "out.parquet"):
            s140(
                "predict", classifier_folder, "--input", source, "--output", name, "--encoding", "utf-8", "--overwrite"
            )
            rows = pq.read_table(name).to_pylist() if name.endswith("t") else Path(name).read_text().splitlines()[-2:]
            assert len(rows) == 2, (source, name)
            assert not any("not valid" in str(row) for row in rows), (source, name)


def test_a_column_that_changes_its_type_is_an_error_of_parquet(classifier_folder: Path, s140) -> None:
    lines = [json.dumps({"text": "fine", "x": 1 if number < 10_000 else "one"}) for number in range(10_002)]
    Path("a.jsonl").write_text("\n".join(lines))
    result = s140("predict", classifier_folder, "--input", "a.jsonl", "--output", "out.parquet", code=1)
    assert "values of another type after row 10,000" in result.stderr
    assert not Path("out.parquet").exists()


def test_no_fraction_of_a_number_is_cut_off(classifier_folder: Path, s140, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sentiment140_bert.data.texts.ROWS_AT_ONCE", 2)
    rows = [{"text": "a fine day", "rating": rating} for rating in (4, 5, 4.75)]
    Path("ratings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = ("predict", classifier_folder, "--input", "ratings.jsonl", "--output", "ratings.parquet")
    assert "rating is 4.75, and was an integer before" in s140(*words, code=1).stderr
    assert not Path("ratings.parquet").exists()


def test_scores_are_calibrated_and_unsure_ones_neutral_on_request(
    classifier_folder: Path, s140, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(classifier_folder, tmp_path / "model"))

    def predict(*flags: str) -> list[tuple[str, float]]:
        predictions = json.loads(s140("predict", folder, *TEXTS, "--json", *flags).stdout)["predictions"]
        return [(answer["label"], answer["score"]) for answer in predictions]

    for flag in ("--calibrated", "--abstain"):
        assert "was not calibrated" in s140("predict", folder, *TEXTS, flag, code=1).stderr
    models.write_calibration(folder, Calibration(-1, 0.5))
    assert "sentiment_calibration" in s140("predict", folder, *TEXTS, "--calibrated", code=1).stderr
    plain = predict()
    odds = [(score / (1 - score)) ** (1 / 2.5) for _, score in plain]
    scores = [value / (1 + value) for value in odds]
    threshold = statistics.median_high(scores) - 1e-4
    models.write_calibration(folder, Calibration(2.5, threshold))
    assert predict() == plain
    for flags in (["--calibrated"], ["--abstain"], ["--calibrated", "--abstain"]):
        unsure = [score < threshold and "--abstain" in flags for score in scores]
        labels = ["neutral" if is_unsure else label for is_unsure, (label, _) in zip(unsure, plain, strict=True)]
        assert [label for label, _ in predict(*flags)] == labels
        answers = [score for _, score in predict(*flags)]
        assert [score is None for score in answers] == unsure
        pairs = [(answer, score) for answer, score in zip(answers, scores, strict=True) if answer is not None]
        assert [answer for answer, _ in pairs] == pytest.approx([score for _, score in pairs], rel=1e-4)
    assert 0 < sum(unsure) < len(unsure)


def test_calibration_survives_the_hub(pushed: Path, s140) -> None:
    words = ("what a lovely surprise", "so sad today", "--calibrated", "--json")
    here, there = (json.loads(s140("predict", model, *words).stdout) for model in (pushed, "tester/sentiment"))
    assert here == there


def test_arguments_and_stdin(classifier_folder: Path, s140, expected) -> None:
    as_arguments = json.loads(s140("predict", classifier_folder, *TEXTS, "--json").stdout)
    lines = "".join(f"{text}\n" for text in TEXTS).encode()
    command = ["predict", str(classifier_folder), "--input", "-", "--json"]
    from_stdin = CliRunner().invoke(main, command, input=lines, catch_exceptions=False)
    assert as_arguments["predictions"] == expected
    assert json.loads(from_stdin.stdout)["predictions"] == add_numbers(expected)


def test_lines_for_people(classifier_folder: Path, s140) -> None:
    first, second = s140("predict", classifier_folder, "what a\nlovely surprise", "").stdout.splitlines()
    label, score, text = first.split("\t")
    assert (label in ("negative", "positive"), 0.5 <= float(score) <= 1, text) == (True, True, "what a lovely surprise")
    assert second.endswith("\t")


LAYOUTS: list[tuple[str, list[str], list[str]]] = [
    ("text,note\nhello,good\nhello,bad\n", ["--text-column", "note"], ["good", "bad"]),
    # The corpus's own columns need no header.
    (
        '"4","1","Mon Apr 06 22:19:45 PDT 2009","NO_QUERY","someone","so good, so good"\n' * 2,
        [],
        ["so good, so good"] * 2,
    ),
    ('4,"so good, so good"\n4,meh\n', [], ["so good, so good", "meh"]),
    # Empty lines before a table are no rows.
    *(
        (before + rows, [], ["fine"])
        for before, rows in itertools.product(["\n", "\r\n\n", "\ufeff\n"], ["text,id\nfine,5\n", "4,fine\n"])
    ),
]


def test_layouts_of_tables(classifier_folder: Path, s140) -> None:
    for content, flags, texts in LAYOUTS:
        Path("a.csv").write_bytes(content.encode())
        result = json.loads(s140("predict", classifier_folder, "--input", "a.csv", "--json", *flags).stdout)
        assert [answer["text"] for answer in result["predictions"]] == texts, content
    for content, count in ((LAYOUTS[1][0], 6), (LAYOUTS[2][0], 2)):
        Path("a.csv").write_text(content)
        result = s140("predict", classifier_folder, "--input", "a.csv", "--text-column", "7", code=1)
        assert f"row 1 has {count} columns" in result.stderr


@pytest.mark.parametrize("output", ["out.jsonl", "out.csv", "out.parquet"])
def test_a_failure_on_the_way_leaves_no_half_file(classifier_folder: Path, s140, output: str) -> None:
    """Fail in the first window of texts and in a later one, with and without an existing output file."""
    for older, bad_line in itertools.product([None, b"an older file"], [3, 5_000]):
        lines = [json.dumps({"text": f"tweet {number % 7}"}) for number in range(1, 6_000)]
        lines[bad_line - 1] = '{"text": "cut'
        Path("a.jsonl").write_text("\n".join(lines))
        if older:
            Path(output).write_bytes(older)
        words = ("--input", "a.jsonl", "--output", output, "--max-bad-rows", 0, "--overwrite")
        result = s140("predict", classifier_folder, *words, code=1)
        assert f"the first is row {bad_line}: not valid JSON" in result.stderr
        assert {file.name for file in Path().iterdir()} == {"a.jsonl", *([output] if older else [])}
        assert not older or Path(output).read_bytes() == older


MISTAKES: list[tuple[list[str], str]] = [
    ([], "Pass texts either"),
    (["hello", "--input", "a.csv"], "or with --input"),
    (["--input", "missing.txt"], "no file missing.txt"),
    (["--input", "a.csv", "--text-column", "nope"], "no column 'nope'"),
    (["--input", "b.csv"], "no column that is obviously the text"),
    (["--input", "b.jsonl"], "no column that is obviously the text"),
    (["--input", "b.parquet"], "no column that is obviously the text"),
    (["--input", "cut.csv.gz"], "cut.csv.gz is damaged"),
    (["--input", "cut.parquet"], "cut.parquet is damaged"),
    (["--input", "a.csv", "--output", "out.xlsx"], ".jsonl, .csv, .parquet"),
    (["--input", "a.csv", "--output", "no/such/out.csv"], "no/such"),
    (["--input", "a.csv", "--encoding", "klingon"], "klingon"),
    (["--input", "a.csv", "--output", "a.csv"], "would be overwritten"),
    (["--input", "a.xlsx"], "is an Excel workbook"),
    (["--input", "empty.csv"], "empty.csv is empty"),
    *((["--input", name], f"{name} holds no rows") for name in ("line.csv", "lines.csv", "header.csv")),
    (["--input", "surrogate.jsonl", "--max-bad-rows", "0", "--output", "out.csv"], "the first is row 2"),
    (["a \udc80"], "not valid Unicode"),
]


def test_mistakes(classifier_folder: Path, s140) -> None:
    Path("a.csv").write_text("text\nhello\n")
    Path("b.csv").write_text("a,b\n1,2\n")
    Path("b.jsonl").write_text('{"a": 1}\n')
    pq.write_table(pa.table({"a": [1]}), "b.parquet")
    Path("cut.csv.gz").write_bytes(gzip.compress(b"text\n" + bytes(range(48, 123)) * 500)[:-40])
    Path("cut.parquet").write_bytes(Path("b.parquet").read_bytes()[:-20])
    Path("a.xlsx").write_bytes(b"PK\x03\x04")
    for name, content in (("empty", ""), ("line", "\n"), ("lines", "\n\r\n"), ("header", "id,text\n")):
        Path(f"{name}.csv").write_text(content)
    Path("surrogate.jsonl").write_text('{"text": "fine"}\n{"text": "ok \\udc80"}\n')
    before = set(Path().iterdir())
    for arguments, message in MISTAKES:
        result = s140("predict", classifier_folder, *arguments, code=1)
        assert message in result.stderr, arguments
        assert set(Path().iterdir()) == before, arguments
        assert result.stdout == "", arguments


HALF_A_CHARACTER = [
    ("a.txt", "utf-7", b"fine\n+2AA-\n"),
    ("a.csv", "utf-7", b"text,id\n+2AA-,5\n"),
    ("a.tsv", "utf-7", b"id\ttext\n5\t+2AA-\n"),
    ("corpus.csv", "utf-7", b"0,fine\n4,+2AA-\n"),
    ("a.csv.gz", "utf-7", b"text\n+2AA-\n"),
    ("a.txt", "unicode_escape", b"fine\n\\ud800\n"),
    ("a.csv", "unicode_escape", b"text\n\\ud800\n"),
    ("-", "utf-7", b"fine\n+2AA-\n"),
    ("-", "unicode_escape", b"fine\n\\ud800\n"),
    ("a.jsonl", "utf-8", b'{"text": "fine"}\n{"text": "\\ud800"}\n'),
    ("a.jsonl", "utf-7", b'{"text": "fine"}\n{"text": "+2AA-"}\n'),
]


def test_unreadable_text_is_an_error_of_its_row(classifier_folder: Path) -> None:
    for name, encoding, content in HALF_A_CHARACTER:
        if name != "-":
            Path(name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        command = ["predict", str(classifier_folder), "--input", name, "--encoding", encoding, "--output", "out.jsonl"]
        result = CliRunner().invoke(main, command, input=content, catch_exceptions=False)
        if result.exit_code == 0:
            *_, last = read_back(Path("out.jsonl"))
            assert (last["label"], last["error"]) == (None, "row 2: not valid Unicode (a lone surrogate)"), name
            Path("out.jsonl").unlink()
        else:
            assert "1 of 1 rows (100.0%) cannot be read" in result.stderr, (name, encoding)
            assert not Path("out.jsonl").exists(), (name, encoding)

    for line in ("[" * 100_000, '{"text": ' + "[" * 100_000, '{"a":' * 100_000):
        Path("deep.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
        result = CliRunner().invoke(main, ["predict", str(classifier_folder), "--input", "deep.jsonl"])
        assert "row 2: not valid JSON" in result.stderr
    command = ["predict", str(classifier_folder), "--input", "-", "--encoding", "idna"]
    result = CliRunner().invoke(main, command, input=b"fine\nxn--a\xff\n", catch_exceptions=False)
    assert result.exit_code == 1
    assert "standard input is not idna" in result.stderr


@pytest.mark.long
def test_a_closed_reader_is_not_an_error(classifier_folder: Path, tmp_path: Path) -> None:
    """Print no traceback for ``s140 predict --input a.txt | head -1`` with far more output than a pipe holds."""
    reader, writer = os.pipe()
    holds = fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) if sys.platform == "linux" else 65_536
    (tmp_path / "a.txt").write_text("hello\n" * (4 * holds // len("negative\t0.9999\thello\n")))
    with (tmp_path / "stderr").open("w") as errors:
        words = [sys.executable, "-m", "sentiment140_bert", "predict", classifier_folder, "--input", tmp_path / "a.txt"]
        process = subprocess.Popen([str(word) for word in words], stdout=writer, stderr=errors)
    os.close(writer)
    with os.fdopen(reader) as answers:
        assert answers.readline().startswith(("negative\t", "positive\t"))
    assert process.wait() == 141
    assert "Traceback" not in (tmp_path / "stderr").read_text()
