"""The target ``csv``: whatever a file holds, its rows are read and counted rightly, or a sentence says why not."""

from __future__ import annotations

import csv
import functools
import gzip
import io
import re
import zipfile
from importlib.resources import files
from pathlib import Path
from random import Random

import pyarrow as pa
import pyarrow.parquet as pq

from fuzzing.csv_reference import Expected, expected_csv, expected_json
from fuzzing.mutation import mutated
from sentiment140_bert.data.columns import find_columns
from sentiment140_bert.data.encodings import detect_encoding
from sentiment140_bert.data.labels import is_label
from sentiment140_bert.data.reading import Reading, read_tweets
from sentiment140_bert.data.sources import Source, locate
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import SCHEMES, tidy
from sentiment140_bert.recipe import DataConfig

KINDS = (".csv", ".tsv", ".jsonl", ".csv.gz", ".jsonl.gz", ".zip", ".parquet", ".tsv.gz")
WEIGHTS = (46, 10, 14, 7, 3, 8, 10, 2)
SETTINGS: tuple[dict[str, object], ...] = (
    *[{}] * 3,
    *[{"max_bad_rows": 1.0}] * 24,
    {"max_bad_rows": 0.5, "encoding": "utf-8"},
    {"max_bad_rows": 1.0, "encoding": "latin-1"},
    {"max_bad_rows": 1.0, "encoding": "cp1252"},
    {"max_bad_rows": 1.0, "encoding": "utf-16"},
    {"max_bad_rows": 1.0, "encoding": "utf-32"},
    {"max_bad_rows": 1.0, "delimiter": ";"},
    {"max_bad_rows": 1.0, "delimiter": "|"},
    {"max_bad_rows": 1.0, "delimiter": "tab"},
    {"max_bad_rows": 1.0, "delimiter": " "},
    {"max_bad_rows": 1.0, "text_column": "text"},
    {"max_bad_rows": 1.0, "text_column": "Tweet", "label_column": "sentiment"},
    {"max_bad_rows": 1.0, "label_map": "0=negative,4=positive,2=drop"},
    {"max_bad_rows": 1.0, "label_map": "9=positive,good=positive,bad=negative"},
    {"label_map": "0=negative,1=neutral,2=positive"},
)
# Every sentence that may come out, and how it is counted.
SENTENCES = {
    r"is damaged or was cut off": "error: damaged or cut off",
    r"is not a complete zip archive": "error: no whole zip archive",
    r"is password-protected": "error: password",
    r"tweet files \(": "error: not one tweet file in the zip",
    r"uses a compression that cannot be read": "error: packed in an unknown way",
    r"is not [\w-]+: .* cannot be decoded": "error: wrong encoding",
    r"is empty \(0 bytes\)": "error: 0 bytes",
    r"holds no rows": "error: no rows",
    r"row 1 has a single column": "error: wrong delimiter",
    r"no column .* in row 1": "error: no such column",
    r"nothing says what they mean": "error: ambiguous labels",
    r"the label map .* names none": "error: label map names none",
    r"cannot be used, more than .* most because of their label": "error: unknown labels",
    r"are malformed, more than": "error: too many bad rows",
    r"the column .* holds .*, not text": "error: a column of no texts",
    r"has two columns": "error: two columns of one name",
    r"this is not a file of tweets": "error: a bomb, or no line ends",
    r" is (?:compressed with|a web page|an? .*Excel|a parquet|a PDF|an SQLite|a Git LFS)": "error: another file type",
}


def _rows(count: int, encoding: str = "latin-1", **layout: object) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, **({"quoting": csv.QUOTE_ALL, "lineterminator": "\n"} | layout))
    for n in range(count):
        words = f'tweet {n}, caf\xe9 &amp; "so" @user_{n} http://a.example/{n}' + (
            "\nsecond line" if n % 5 == 4 else ""
        )
        writer.writerow([4 * (n % 2), 1467810000 + n, "Mon Apr 06 22:19:45 PDT 2009", "NO_QUERY", f"user_{n}", words])
    return text.getvalue().encode(encoding)


def _headed(delimiter: str) -> bytes:
    lines = [f"Tweet {n}{delimiter}{('neg', 'positive', 'Neutral')[n % 3]}{delimiter}{n}" for n in range(9)]
    return "\r\n".join([delimiter.join(("Tweet", "sentiment", "id")), *lines]).encode()


def _parquet(rows: int = 12, **columns: pa.Array) -> bytes:
    file = io.BytesIO()
    usual = {"text": pa.array([f"tweet {n}" for n in range(rows)]), "label": pa.array([n % 2 for n in range(rows)])}
    pq.write_table(pa.table(usual | columns), file, row_group_size=5)
    return file.getvalue()


def _sample(name: str, lines: int) -> bytes:
    text = files("sentiment140_bert.data").joinpath("sample", name).read_bytes().splitlines(keepends=True)
    return b"".join(text[:: max(1, len(text) // lines)][:lines])


@functools.cache
def seeds(kind: str) -> tuple[bytes, ...]:
    """Files of a kind, not packed, that are right or were made to do harm."""
    if kind == ".parquet":
        nested = pa.array([[f"word {n}"] for n in range(12)])
        labels = pa.array([("negative", "positive", None)[n % 3] for n in range(12)]).dictionary_encode()
        return (_parquet(), _parquet(text=nested), _parquet(label=labels), _parquet(user=pa.array(["u"] * 12)))
    if ".jsonl" in kind:
        lines = [f'{{"text": "tweet {n}, \\u00e9 \\"x\\"", "label": {n % 2}, "user": "u{n}"}}' for n in range(12)]
        hostile = ['{"text": "a\\ud800", "label": 0}', '{"text": ["a"], "label": 1}', '{"text": "a", "label": 1e999}']
        hostile += [
            '{"text": null, "label": 1}',
            '{"text": 5, "label": true}',
            "[]",
            '{"label": 0, "label": 1, "text": ""}',
        ]
        return ("\n".join(lines).encode(), "\n\n".join(lines[:2] + hostile).encode(), "\r".join(lines).encode("utf-16"))
    separator = "\t" if ".tsv" in kind else ","
    six = _rows(12, delimiter=separator)
    two = b"".join(b"%d%stweet %d\n" % (n % 3 - 1, separator.encode(), n) for n in range(12))
    hostile = _rows(4) + b'"0","unclosed\n' + b"\0\0\n\n\n\r\r" + b'"4"x,"y"z"\n' + b",,,,,\n" + b'0,"' + b"x" * 300
    long = b"".join(b'"0"%s"line %d\n' % (separator.encode(), n) for n in range(130)) + b'"\n' + two
    packaged = () if separator == "\t" else (_sample("tweets.csv", 16), _sample("manual.csv", 10))
    same = _rows(8, "utf-8-sig", delimiter=separator), _rows(6, "utf-16", delimiter=separator)
    plain = _rows(8, delimiter=separator, quoting=csv.QUOTE_MINIMAL, lineterminator="\r\n")
    wide = separator.encode() * 300 + b"\n"
    return (six, six, two, plain, *same, _headed(separator), _headed(";"), hostile, long, wide + six, *packaged)


def _packed(kind: str, content: bytes, random: Random) -> bytes:
    if kind.endswith(".gz"):
        return gzip.compress(content, 1, mtime=0)
    if kind != ".zip":
        return content
    file = io.BytesIO()
    how = random.choice(
        (zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)
    )
    with zipfile.ZipFile(file, "w", how) as archive:
        name = random.choice(
            ("tweets.csv", "tweets.csv", "t.tsv", "../../up.csv", "/tmp/abs.csv", "caf\xe9.csv", "x.txt")
        )
        archive.writestr(zipfile.ZipInfo(name), content, how)
        if random.random() < 0.2:
            archive.writestr(
                zipfile.ZipInfo(random.choice((schema_manual(), "more.csv", "__MACOSX/a.csv"))), content[:500]
            )
    return file.getvalue()


def schema_manual() -> str:
    """The name of the hand-labeled file in the original archive."""
    return "testdata.manual.2009.06.14.csv"


def _drawn_table(random: Random) -> bytes:
    """A whole Parquet file of strange values in columns of any type."""
    texts: list[object] = mutated(random.choice(seeds(".csv")), random).decode("latin-1").splitlines()[:40] or ["a"]
    if random.random() < 0.2:
        texts[random.randrange(len(texts))] = random.choice((None, "", "\0", "x" * 100_001))
    choices = random.choice(
        ([0, 1], [0, 4, 2], [-1, 0, 1], ["neg", "pos"], [0.0, 1.0], [None, 1], [True, False], ["", "9"])
    )
    columns = {"text": pa.array(texts, pa.string()), "label": pa.array([random.choice(choices) for _ in texts])}
    kind = random.choice(
        (pa.string(), pa.large_string(), pa.binary(), pa.int64(), pa.timestamp("s"), pa.date32(), pa.null())
    )
    values = [b"\xff" if pa.types.is_binary(kind) else "u"] if not pa.types.is_primitive(kind) else [0, -(2**31), None]
    extra = pa.array([None if pa.types.is_null(kind) else random.choice(values) for _ in texts], kind)
    columns[random.choice(("date", "user", "query", "other", "label", "text"))] = extra
    for name in columns:
        if random.random() < 0.2 and not pa.types.is_null(columns[name].type):
            columns[name] = columns[name].dictionary_encode()
    table, file = pa.table(columns), io.BytesIO()
    if random.random() < 0.2:
        original = random.choice(
            (b"{", b"[]", b'{"info": 1}', b'{"info": {"features": {"label": {"names": ["neg", "pos"]}}}}')
        )
        table = table.replace_schema_metadata({b"huggingface": original})
    pq.write_table(table, file, row_group_size=random.choice((1, 7, 100)), use_dictionary=random.random() < 0.7)
    return file.getvalue()


class TweetFiles:
    """The first two bytes choose the kind of the file and the settings; the others are its content."""

    name = "csv"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def draw(self, random: Random) -> bytes:
        """A mutated file: what is packed was mutated before or after it was packed, or both."""
        kind = random.choices(range(len(KINDS)), WEIGHTS)[0]
        choices = seeds(KINDS[kind].removesuffix(".gz") if KINDS[kind] != ".zip" else ".csv")
        content, packs = random.choice(choices), KINDS[kind].endswith((".gz", ".zip"))
        if KINDS[kind] == ".parquet" and random.random() < 0.6:
            content = _drawn_table(random)
        elif not packs or random.random() < 0.6:
            content = mutated(content, random, choices)
        content = _packed(KINDS[kind], content, random)
        if packs and random.random() < 0.5:
            content = mutated(content, random)
        return bytes((kind, random.randrange(len(SETTINGS)))) + content

    def check(self, raw: bytes) -> str:
        """Read the file and compare with a second reading."""
        if len(raw) < 2:
            return "nothing"
        kind = KINDS[raw[0] % len(KINDS)]
        path = self.folder / f"current{kind}"
        path.write_bytes(raw[2:])
        settings = {"quoting": "double", "delimiter": "tab" if ".tsv" in kind else ","}
        data = DataConfig(dataset=str(path), **settings | SETTINGS[raw[1] % len(SETTINGS)])
        source: Source | None = None
        try:
            source = locate(data)[0]
            reading = read_tweets(source, data)
        except DataError as error:
            return _counted(error, source, raw[2:], data)
        _consistent(reading, data)
        if kind != ".parquet":
            _as_expected(reading, _expected(source, data, reading.encoding or "utf-8"))
        else:
            _as_in_table(reading, path, data)
        return f"rows, {'some' if reading.bad else 'none'} bad ({kind.removesuffix('.gz')})"


def _counted(error: DataError, source: Source | None, content: bytes, data: DataConfig) -> str:
    """The name of a sentence; it must be one of ours, short, and true where that can be told."""
    outcome = next((name for words, name in SENTENCES.items() if re.search(words, error.message, re.DOTALL)), None)
    if outcome is None:
        raise AssertionError(f"a sentence that is not known: {error.message}") from error
    if len(error.message) > 5_000 or not error.hint:
        raise AssertionError(f"{len(error.message)} characters: {error.message[:500]}") from error
    if source and source.kind != ".parquet" and source.path.suffix in (".csv", ".tsv", ".jsonl"):
        if outcome == "error: damaged or cut off":
            raise AssertionError("a plain file cannot be damaged") from error
        if outcome in ("error: no rows", "error: too many bad rows"):
            _true(outcome, _expected(source, data, detect_encoding(source, data.encoding)), data, error)
    return outcome


def _true(outcome: str, expected: Expected, data: DataConfig, error: DataError) -> None:
    rows = len(expected.good) + sum(expected.bad.values())
    if outcome == "error: no rows" and rows:
        raise AssertionError(f"there are {rows} rows") from error
    if outcome == "error: too many bad rows" and f" of {rows:,} rows" not in error.message:
        raise AssertionError(f"there are {rows} rows: {error.message}") from error


def _expected(source: Source, data: DataConfig, encoding: str) -> Expected:
    content = source.path.read_bytes()
    if source.member:
        with zipfile.ZipFile(source.path) as archive:
            content = archive.read(source.member)
    elif source.path.suffix == ".gz":
        content = gzip.decompress(content)
    text = content.decode(encoding, "surrogateescape")
    if source.kind == ".jsonl":
        return expected_json(text, data, source.name)
    delimiter = "\t" if data.delimiter == "tab" else data.delimiter
    return expected_csv(text, delimiter, data, source.name)


def _consistent(reading: Reading, data: DataConfig) -> None:
    """Check what is true of every reading."""
    numbers = reading.table["row"].to_pylist()
    bad = [bad_row.number for bad_row in reading.bad]
    assert reading.rows == len(numbers) + reading.bad_rows + reading.dropped, "rows"
    assert reading.bad_rows <= data.max_bad_rows * reading.rows, "more bad rows than allowed"
    assert [numbers, bad] == [sorted({*numbers}), sorted({*bad})], "the numbers do not ascend"
    assert not {*numbers} & {*bad}, "a row that is good and bad"
    assert {*reading.table["label"].to_pylist()} <= {0, 1, 2}, "labels"
    assert all(bad_row.reason and bad_row.number > 0 and bad_row.rows > 0 for bad_row in reading.bad), "reasons"
    assert all(len(bad_row.reason) <= 1000 and len(bad_row.content) <= 200 for bad_row in reading.bad), "long reasons"
    assert all(f"{bad_row.reason}{bad_row.content}".encode() for bad_row in reading.bad), "what cannot be written"
    reading.table.validate(full=True)


def _as_expected(reading: Reading, expected: Expected) -> None:
    """The same rows with the same texts as in the second reading."""
    rows = len(expected.good) + sum(expected.bad.values())
    assert reading.rows == rows, f"{reading.rows} rows, not {rows}"
    unknown = {bad_row.number for bad_row in reading.bad} - expected.bad.keys()
    assert expected.bad.keys() <= {bad_row.number for bad_row in reading.bad}, "a bad row that was not noticed"
    assert all(
        bad_row.rows == expected.bad.get(bad_row.number, 1) for bad_row in reading.bad if bad_row.number not in unknown
    ), "span"
    good = {number: (text, label) for number, text, label in expected.good}
    triples = zip(*(reading.table[name].to_pylist() for name in ("row", "text", "label")), strict=True)
    for number, text, label in triples:
        assert good.pop(number)[0] == text, "another text"
        assert label in (0, 1, 2), "another label"
    left = good.keys() - unknown
    assert len(left) == reading.dropped, f"{len(left)} rows went missing, {reading.dropped} were dropped"
    assert unknown <= good.keys(), "bad, though nothing was wrong"
    for number in unknown:
        assert not is_label(good[number][1]) or not data_explains(reading, good[number][1]), "a known label"


def _as_in_table(reading: Reading, path: Path, data: DataConfig) -> None:
    """Check the number of rows, and their texts if all columns can be read."""
    assert reading.rows == pq.read_metadata(path).num_rows, "not the rows of the file"
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):  # another column is damaged
        return
    assert reading.rows == len(table), f"{reading.rows} rows of {len(table)}"
    at = find_columns(table.column_names, data, "").text
    texts = table.column(at).to_pylist()
    for number, text in zip(*(reading.table[name].to_pylist() for name in ("row", "text")), strict=True):
        original = texts[number - 1]
        assert text == (original.decode() if isinstance(original, bytes) else str(original)), "another text"


def data_explains(reading: Reading, label: str) -> bool:
    """Return True if the scheme by which a file was read has a label."""
    return tidy(label) in SCHEMES.get(reading.scheme, {})
