"""Whatever bytes are given: rows, bad rows that are counted, or a sentence."""

from __future__ import annotations

import gzip
import io
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiment140_bert.data.reading import read
from sentiment140_bert.data.source import locate
from sentiment140_bert.errors import S140Error
from sentiment140_bert.recipe import DataConfig

CSV = "".join(f'"{4 * (n % 2)}","{n}","d","q","u","tweet {n}, caf\xe9"\n' for n in range(12)).encode("latin-1")
JSON = "".join(f'{{"text": "tweet {n}", "label": {n % 2}}}\n' for n in range(12)).encode()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"text": [f"tweet {n}" for n in range(12)], "label": [n % 2 for n in range(12)]}), file)
    return file.getvalue()


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tweets.csv", CSV)
    return file.getvalue()


VALID = {".csv": CSV, ".tsv": CSV.replace(b",", b"\t"), ".jsonl": JSON, ".csv.gz": gzip.compress(CSV, mtime=0)}
VALID |= {".zip": zipped(), ".parquet": parquet()}
PIECES = [
    b'"',
    b",",
    b"\n",
    b"\r",
    b"\0",
    b"\\",
    b"\t",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"9",
    b'""',
    b"{}",
    b"null",
]
edits = st.tuples(st.integers(0, 2000), st.integers(0, 40), st.sampled_from(PIECES) | st.binary(max_size=8))


@st.composite
def files(draw: st.DrawFn) -> tuple[str, bytes]:
    suffix = draw(st.sampled_from(sorted(VALID)))
    if draw(st.integers(0, 9)) == 0:
        return suffix, draw(st.binary(max_size=300))
    content = VALID[suffix]
    for at, removed, added in draw(st.lists(edits, max_size=6)):
        at %= len(content) + 1
        content = content[:at] + added + content[at + removed :]
    return suffix, content


@given(file=files(), allowed=st.sampled_from([0.01, 1.0]), encoding=st.sampled_from([None, None, "utf-8", "utf-16"]))
@settings(max_examples=500)
def test_any_bytes(tmp_path_factory, file, allowed, encoding):
    suffix, content = file
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    path.write_bytes(content)
    data = DataConfig(dataset=str(path), max_bad_rows=allowed, encoding=encoding)
    try:
        reading = read(locate(data)[0], data)
    except S140Error:
        return
    assert reading.rows == len(reading.table) + reading.bad_rows
    assert reading.bad_rows <= allowed * reading.rows
    assert set(reading.table["label"].to_pylist()) <= {0, 1, 2}
    assert all(each.reason and each.number > 0 and each.rows > 0 for each in reading.bad)
