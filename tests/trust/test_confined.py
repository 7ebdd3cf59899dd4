"""A process that tries a file has no secret of this machine, and what passes is not tried again."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from sentiment140_bert import confined
from sentiment140_bert.trust.model_files import UnusableFile


def stand_in(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let a shell script take the place of the interpreter."""
    script = Path("interpreter").absolute()
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o700)
    monkeypatch.setattr(confined.sys, "executable", str(script))


def tokenizer(number: int) -> Path:
    file = Path("tokenizer.json")
    file.write_text(json.dumps({"number": number}))
    return file


def test_it_is_given_no_secret(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY", "HTTPS_PROXY", "ANYTHING"):
        monkeypatch.setenv(name, "planted")
    observed = Path("seen").absolute()
    stand_in(monkeypatch, f"env > {observed}")
    confined.try_tokenizer(tokenizer(1))
    assert "PYTHONPATH=" in observed.read_text()
    assert "planted" not in observed.read_text()


def test_it_is_not_in_the_folder_of_the_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a search path with an empty part from loading a library of the current folder."""
    monkeypatch.setenv("LD_LIBRARY_PATH", ":/usr/lib:relative")
    observed = Path("seen").absolute()
    stand_in(monkeypatch, f'pwd > {observed}; echo "$LD_LIBRARY_PATH" >> {observed}')
    confined.try_tokenizer(tokenizer(1))
    assert observed.read_text().split() == [str(Path(confined.__file__).parent), "/usr/lib"]


def test_only_what_passes_is_remembered(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ends = {
        "echo it is damaged.; exit 1": "cannot be used: it is damaged",
        f"kill -{signal.SIGXCPU} $$": "needs more than 10 seconds",
        f"kill -{signal.SIGABRT} $$": r"crashes the process that tries it \(-6\)",
        "exit 3": r"crashes the process that tries it \(3\)",
    }
    for body, words in ends.items():
        stand_in(monkeypatch, body)
        with pytest.raises(UnusableFile, match=words):
            confined.try_tokenizer(tokenizer(2))
    stand_in(monkeypatch, "exit 0")
    confined.try_tokenizer(tokenizer(2))
    stand_in(monkeypatch, "exit 1")
    confined.try_tokenizer(tokenizer(2))
    with pytest.raises(UnusableFile):
        confined.try_tokenizer(tokenizer(3))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_what_another_user_of_the_cache_tried_is_tried_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "exit 0")
    confined.try_tokenizer(tokenizer(5))
    [mark] = (cache / "tried").iterdir()
    os.chown(mark, 65534, -1)
    stand_in(monkeypatch, "exit 1")
    with pytest.raises(UnusableFile):
        confined.try_tokenizer(tokenizer(5))


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("file").write_text("")
    monkeypatch.setenv("S140_CACHE", str(Path("file").absolute()))
    stand_in(monkeypatch, "exit 0")
    confined.try_tokenizer(tokenizer(4))
    stand_in(monkeypatch, "exit 1")
    with pytest.raises(UnusableFile):
        confined.try_tokenizer(tokenizer(4))
