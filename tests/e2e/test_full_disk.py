"""A full disk causes one error message, and keeps what was complete before."""

from __future__ import annotations

import errno
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from sentiment140_bert.errors import RunError
from sentiment140_bert.files import hash_file, write_folder_whole, write_text, write_whole
from sentiment140_bert.training.checkpoints import newest_complete
from tiny_run import flags

pytest_plugins = "model_fixtures"
MIB = 2**20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[float], Path]]:
    """Return a function that mounts a file system of this many MiB; only root can."""
    mounted = []

    def mount(size: float) -> Path:
        place = tmp_path / f"disk-{len(mounted)}"
        place.mkdir()
        words = ["mount", "-t", "tmpfs", "-o", f"size={int(size * 1024)}k", "tmpfs", str(place)]
        if subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("mounting a file system takes root")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


WRITERS = {
    "python": lambda path: path.write_bytes(b"x" * 3 * MIB),
    "parquet": lambda path: pq.write_table(pa.table({"a": np.random.default_rng(1).random(MIB)}), path),
    "safetensors": lambda path: save_file({"a": torch.zeros(MIB)}, path),
    "torch": lambda path: torch.save(torch.zeros(MIB), path),
}


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_explains_the_error_of_each_library_and_keeps_the_old_file(small_disk, writer) -> None:
    place = small_disk(1)
    write_text(place / "old", "old")
    with (
        pytest.raises(RunError, match=r"The disk is full: .*old could not be written \(.* MiB are free") as caught,
        write_whole(place / "old") as temporary,
    ):
        writer(temporary)
    assert "Make room" in caught.value.hint
    assert [(path.name, path.read_text()) for path in place.iterdir()] == [("old", "old")]


def test_an_old_folder_stays(small_disk) -> None:
    place = small_disk(1)
    with write_folder_whole(place / "model") as new:
        (new / "weights").write_bytes(b"old")
    with pytest.raises(RunError, match="The disk is full"), write_folder_whole(place / "model") as new:
        (new / "weights").write_bytes(b"x" * 3 * MIB)
    assert [path.name for path in place.iterdir()] == ["model"]
    assert (place / "model" / "weights").read_bytes() == b"old"


def test_does_not_explain_other_errors_as_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Input/output") as caught, write_whole(tmp_path / "x"):
        raise OSError(errno.EIO, "Input/output error")
    assert not isinstance(caught.value, RunError)
    assert list(tmp_path.iterdir()) == []


def test_training_keeps_its_last_complete_checkpoint_and_resumes_once_there_is_room(
    classifier_folder: Path, small_disk, tmp_path: Path, s140
) -> None:
    """Let the first checkpoint fit but not the second; with room, the same command ends as if nothing had happened."""
    words = flags(model_name_or_path=classifier_folder)
    s140("train", "--output-dir", tmp_path / "free", *words, "--keep-checkpoints")
    size = sum(file.stat().st_size for file in newest_complete(tmp_path / "free" / "checkpoints").iterdir())
    place = small_disk(1.6 * size / MIB)
    stderr = s140("train", "--output-dir", place / "run", *words, code=1).stderr
    assert "Error: The disk is full: " in stderr
    assert "checkpoint-12" in stderr
    assert "Traceback" not in stderr
    assert [path.name for path in (place / "run" / "checkpoints").iterdir()] == ["checkpoint-6"]
    assert newest_complete(place / "run" / "checkpoints").name == "checkpoint-6"
    subprocess.run(["mount", "-o", "remount,size=1g", str(place)], check=True)
    stderr = s140("train", "--output-dir", place / "run", *words).stderr
    assert "resume: from checkpoint-6" in stderr
    weights = [hash_file(run / "model" / "model.safetensors") for run in (tmp_path / "free", place / "run")]
    assert weights[0] == weights[1]
    steps = [json.loads(line) for line in (place / "run" / "history.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in steps if "loss" in entry] == list(range(1, 13))


def test_preparing_reports_a_full_disk(small_disk, write, monkeypatch, s140) -> None:
    monkeypatch.setenv("S140_CACHE", str(small_disk(0.1) / "cache"))
    result = s140(
        "prepare", "--dataset", write("tweets.csv", 3000), "--test-size", 100, "--validation-size", 100, code=1
    )
    assert "The disk is full: " in result.stderr
