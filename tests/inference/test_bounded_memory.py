"""Files of any length and of any shape pass from texts to predictions in bounded memory."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# Texts of a thousand characters, so that those that are held would show.
# Last: the MiB that may be grown, of the 57 or 114 that the longer file has more.
COUNTS = [pytest.param(20_000, 80_000, 28), pytest.param(120_000, 240_000, 40, marks=pytest.mark.long)]
GROUP = 5_000  # rows of a Parquet file that lie together

# `s140 predict` with a model that takes no memory, in a process of its own, which prints how far its peak is above the
# memory of the libraries; that differs by 17 MiB from one process to the next.
PROGRAM = """
import itertools
import resource
import sys
from pathlib import Path
import numpy as np
from sentiment140_bert.data.records import measure_row, take_window
from sentiment140_bert.data.texts import plan_output, read_rows, write_predictions
from sentiment140_bert.inference.classifier import Classifier
from sentiment140_bert.inference.tokens import Tokenization
from sentiment140_bert.recipe import DataConfig
from sentiment140_bert.inference.predict import predict_rows
from tokenizers import Tokenizer, models, pre_tokenizers


class Short:
    labels, tokens_per_batch = ("negative", "positive"), 100_000

    def logits(self, inputs):
        return np.stack([inputs["input_ids"].sum(axis=1), inputs["input_ids"][:, 0]], axis=1).astype(np.float32)


tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "sad": 1, "glad": 2}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
classifier = Classifier(Short(), Tokenization(tokenizer, 8))


def memory(kind):
    line = next(line for line in open("/proc/self/status") if line.startswith(kind))
    return int(line.split()[1]) / 1024


before = memory("VmRSS")
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]) << 20,) * 2)
rows = read_rows(sys.argv[1], DataConfig())
first = take_window(rows, 1_000, measure_row)
predictions = predict_rows(classifier, itertools.chain(first, rows), 1.0)
count = write_predictions(Path(sys.argv[2]), predictions, plan_output(first, DataConfig()))
print(count, memory("VmHWM") - before)
"""


def write_texts(path: Path, count: int) -> Path:
    """Write different texts of 1,000 characters that no file format makes shorter."""

    def make_text(number: int) -> str:
        return f"{number} {'sad' if number % 2 else 'glad'} {hashlib.shake_128(b'%d' % number).hexdigest(500)}"

    rows = ({"text": make_text(number)} for number in range(count))
    if path.suffix == ".parquet":
        with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
            for _ in range(0, count, GROUP):
                writer.write_table(pa.table({"text": [row["text"] for row in islice(rows, GROUP)]}))
        return path
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write("text\n")
        for row in rows:
            file.write((json.dumps(row) if path.suffix == ".jsonl" else row["text"]) + "\n")
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(("few", "many", "growth"), COUNTS)
@pytest.mark.parametrize(
    "ending", [".csv", *(pytest.param(name, marks=pytest.mark.long) for name in (".jsonl", ".parquet"))]
)
def test_the_number_of_texts_takes_no_memory(tmp_path: Path, ending: str, few: int, many: int, growth: int) -> None:
    peaks = []
    for count in (few, many):
        words = [write_texts(tmp_path / f"texts-{count}{ending}", count), tmp_path / f"answers{ending}"]
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        written, peak = done.stdout.split()
        assert int(written) == count
        peaks.append(float(peak))
    assert peaks[1] - peaks[0] < growth, peaks


LIMIT = 3_000  # MiB of addresses, of which the libraries take 1,500


def make_wide_objects() -> bytes:
    """Return objects of which only the first has 3,000 keys, but every row of a table would have them."""
    return json.dumps({"text": "a"} | {f"key {n}": n for n in range(3_000)}).encode() + b'\n{"text": "a"}' * 12_000


def make_parquet(rows: int, **columns: pa.Array) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"text": ["a"] * rows, **columns}), sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def repeat(values: pa.Array, times: int) -> pa.Array:
    """Return lists that are all the same, each a text that is stored once."""
    indices = pa.DictionaryArray.from_arrays(pa.array([0] * times, pa.int32()), values)
    return pa.ListArray.from_arrays(pa.array(range(times + 1), pa.int32()), indices)


# Small files whose windows and batches of rows are large, however few rows they have.
SHAPES = {
    "wide.jsonl": make_wide_objects,
    "wide.parquet": lambda: make_parquet(100_000, **dict.fromkeys(map(str, range(4_000)), pa.nulls(100_000))),
    "lists.parquet": lambda: make_parquet(6_000, x=repeat(pa.array(["y" * 300_000]), 6_000)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="addresses are limited by the kernel")
@pytest.mark.parametrize("name", SHAPES)
def test_a_small_file_of_any_shape_is_labeled_or_refused(tmp_path: Path, name: str) -> None:
    file, output = tmp_path / name, tmp_path / "out.jsonl"
    file.write_bytes(SHAPES[name]())
    assert file.stat().st_size < 1_500_000
    words = [sys.executable, "-c", PROGRAM, str(file), str(output), str(LIMIT)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        assert "this is not a file of tweets" in done.stderr, done.stderr[-500:]
    elif name == "wide.jsonl":
        assert output.stat().st_size < 20 * file.stat().st_size
