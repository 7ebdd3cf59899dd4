"""Limits of what is unpacked: to the byte, whatever the pieces in which a file is read."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from sentiment140_bert.data import files
from sentiment140_bert.errors import DataError


def is_refused(unpacked: int, packed: int) -> bool:
    try:
        files.check_size(unpacked, packed, "t.csv.gz")
    except DataError as error:
        return "that is no file of tweets" in error.message
    return False


def test_how_much_may_come_out_of_how_little():
    cases = {
        (50_000_000, 1): False,  # little enough, however it is packed
        (50_000_001, 1): True,
        (50_000_001, 250_000): True,
        (200 * 300_000, 300_000): False,  # 200 times as much
        (200 * 300_000 + 1, 300_000): True,
        (20_000_000_000, 10_000_000_000): False,
        (20_000_000_001, 10_000_000_000): True,
        (240_000_000, 81_363_704): False,  # the corpus
    }
    assert {sizes: is_refused(*sizes) for sizes in cases} == cases


@pytest.mark.parametrize("at_once", [1, 7, 64, 1 << 18])
def test_the_longest_line_is_counted_to_the_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int):
    monkeypatch.setattr(files, "LONGEST_LINE", 100)
    monkeypatch.setattr(files, "BLOCK", at_once)
    fits = [b"x" * 100, b"a\n" + b"x" * 100, b"a\r" + b"x" * 100, (b"x" * 99 + b"\n") * 5, b""]
    wrong = [b"x" * 101, b"a\n" + b"x" * 101, b"a\r" + b"x" * 101, b"x" * 5000]
    missed = []
    for content in fits + wrong:
        for name in ("t.csv", "t.csv.gz"):
            (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
            try:
                with files.open_bytes(tmp_path / name, None, name, files.LONGEST_LINE) as file:
                    read = file.read()
            except DataError as error:
                read = b"refused" if "a line of more than 100 bytes" in error.message else b"?"
            if read != (content if content in fits else b"refused"):
                missed.append((name, content))
    assert not missed
