"""Opening a file of tweets, packed or not, so that neither a bomb nor an endless line takes all time and memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from sentiment140_bert.errors import DataError, first_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

UNSUSPICIOUS = 50_000_000  # bytes that anything may unpack to
LARGEST_RATIO = 200  # of unpacked to packed beyond that; tweets have 3, deflate can have 1,032
MOST_UNPACKED = 20_000_000_000  # bytes; the corpus has 240 million
LONGEST_LINE = 20_000_000  # bytes; a field of 10 MB is a bad row, a file without line ends no file of tweets
AT_ONCE = 1 << 18  # bytes
ROWS_AT_ONCE = 4096  # of a table
OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGE = (EOFError, OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, pa.ArrowException)


# Of the headers of zip archives and the values in tables, beside DAMAGE.
STRANGE = (ValueError, OverflowError)


@contextmanager
def damage_explained(name: str, *more: type[Exception]) -> Iterator[None]:
    """Turns the errors of a cut-off, damaged or strangely packed file, and ``more``, into one that names it."""
    try:
        yield
    except NotImplementedError as error:
        raise DataError(
            f"{name} is packed in a way that cannot be read here: {first_line(error)}.", "Unpack it and name the file."
        ) from None
    except (*DAMAGE, *more) as error:
        raise DataError(
            f"{name} is damaged or was cut off: {first_line(error)}.", "Download or export it again."
        ) from None


def check_size(unpacked: int, packed: int, name: str) -> None:
    """Raises DataError where so many bytes out of so few are a bomb."""
    if unpacked > MOST_UNPACKED or unpacked > max(UNSUSPICIOUS, LARGEST_RATIO * packed):
        raise DataError(
            f"{name} has {packed:,} bytes and unpacks to more than {min(unpacked, MOST_UNPACKED):,}: "
            "that is no file of tweets.",
            f"Up to {LARGEST_RATIO} times its size and {MOST_UNPACKED // 10**9} GB are read; unpack it if it is right.",
        )


@contextmanager
def opened(path: Path, member: str | None, name: str, longest_line: int | None = LONGEST_LINE) -> Iterator[IO[bytes]]:
    """The bytes of a file, or of ``member`` in a zip, unpacked as they are read.

    Raises:
        DataError: While reading: it unpacks to far more than tweets would, or has a line without an end.
    """
    packed: int | None = path.stat().st_size
    with contextlib.ExitStack() as stack:
        with damage_explained(name, *STRANGE):
            if path.name.lower().endswith(".zip"):
                archive = stack.enter_context(zipfile.ZipFile(path))
                described = archive.getinfo(member or "")
                check_size(described.file_size, described.compress_size, name)
                file: IO[bytes] = stack.enter_context(archive.open(described))
            elif opens := next((each for end, each in OPENERS.items() if path.name.lower().endswith(end)), None):
                file = cast(IO[bytes], stack.enter_context(opens(path)))
            else:
                file, packed = stack.enter_context(path.open("rb")), None
        yield io.BufferedReader(_Bounded(file, packed, name, longest_line), AT_ONCE)


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a parquet file, or some columns of it, into memory.

    Raises:
        DataError: It unpacks to far more than texts would: a dictionary of one text can claim a billion rows.
        pyarrow.ArrowException, OSError, ValueError: It is damaged or lacks a column.
    """
    with pq.ParquetFile(path, page_checksum_verification=True) as file:
        missing = set(columns or []) - set(file.schema_arrow.names)
        if missing:
            raise ValueError(f"it has no column {', '.join(sorted(missing))}")
        size, batches = 0, []
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=columns):
            size += batch.nbytes
            check_size(size, path.stat().st_size, path.name)
            batches.append(batch)
        schema = (
            file.schema_arrow if columns is None else pa.schema([file.schema_arrow.field(name) for name in columns])
        )
        return pa.Table.from_batches(batches, schema)


def tweet_files(path: Path, name: str) -> list[str]:
    """The files of tweets in a zip; links among them are none.

    Raises:
        DataError: It is damaged, or protected by a password.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*DAMAGE, *STRANGE, NotImplementedError):
        raise DataError(
            f"{name} is no whole zip archive: it is damaged or was cut off.", "Download it again."
        ) from None
    if any(each.flag_bits & 1 for each in members):
        raise DataError(f"{name} is protected by a password.", "Unpack it and name the file in it.")
    names = [each.filename.lower() for each in members if "__MACOSX" not in each.filename]
    tables = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
    endings = tables if any(name.endswith(tables) for name in names) else (".txt",)  # else that is a note on the others
    return [
        each.filename
        for each in members
        if each.filename.lower().endswith(endings)
        and "__MACOSX" not in each.filename
        and not stat.S_ISLNK(each.external_attr >> 16)
    ]


class _Bounded(io.RawIOBase):
    """What is read passes through here; ``packed`` is the size of the packed file, None where it is none."""

    def __init__(self, file: IO[bytes], packed: int | None, name: str, longest_line: int | None) -> None:
        super().__init__()
        self.file, self.packed, self.name, self.longest_line = file, packed, name, longest_line
        self.count = self.line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        part = self.file.read(len(view))
        view[: len(part)] = part
        self.count += len(part)
        if self.packed is not None:
            check_size(self.count, self.packed, self.name)
        end = max(part.rfind(b"\n"), part.rfind(b"\r"))
        self.line = len(part) - 1 - end if end >= 0 else self.line + len(part)
        if self.longest_line and self.line > self.longest_line:
            raise DataError(
                f"{self.name} has a line of more than {self.longest_line:,} bytes: that is no file of tweets.",
                "Is it the right file, and are there line ends in it?",
            )
        return len(part)
