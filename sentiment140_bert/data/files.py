"""Open files of tweets, packed or not, in any encoding, safely: no bomb or endless line takes all time and memory."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import logging
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
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentiment140_bert.errors import DataError, first_line

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from sentiment140_bert.data.sources import Source

log = logging.getLogger(__name__)
UNSUSPICIOUS = 50_000_000  # bytes that any file may unpack to
LARGEST_RATIO = 200  # of unpacked to packed beyond that; tweets have 3, deflate can have 1,032
MOST_UNPACKED = 20_000_000_000  # bytes; the corpus has 240 million
LONGEST_LINE = 20_000_000  # bytes; a field of 10 MB is a bad row, and a file without line ends is not a file of tweets
BLOCK = 1 << 18  # bytes
ROWS_AT_ONCE = 50_000  # of a table
VALUES_AT_ONCE = 4_000_000  # of a table of many columns, or of long lists
OPENERS: dict[str, Callable[[Path], Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
DAMAGE = (EOFError, OSError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, pa.ArrowException)
# What headers of zip archives and values in tables also raise.
SENSELESS_VALUE = (ValueError, OverflowError)


@contextmanager
def explain_damage(name: str, *more: type[Exception]) -> Iterator[None]:
    """Turn the errors of a truncated, damaged or oddly packed file, and ``more``, into one that names it."""
    try:
        yield
    except NotImplementedError as error:
        raise DataError(
            f"{name} uses a compression that cannot be read: {first_line(error)}.",
            "Unpack it, and name the unpacked file.",
        ) from None
    except (*DAMAGE, *more) as error:
        raise DataError(
            f"{name} is damaged or was cut off: {first_line(error)}.", "Download or export it again."
        ) from None


def check_size(unpacked: int, packed: int, name: str) -> None:
    """Raise DataError if the sizes are those of a decompression bomb; values of a table count as a byte at least."""
    if unpacked > MOST_UNPACKED or unpacked > max(UNSUSPICIOUS, LARGEST_RATIO * packed):
        raise DataError(
            f"{name} has {packed:,} bytes and unpacks to more than {min(unpacked, MOST_UNPACKED):,} bytes or values: "
            "this is not a file of tweets.",
            f"At most {LARGEST_RATIO} times its size and {MOST_UNPACKED // 10**9} GB are read. If it is one, unpack it "
            "yourself, or leave out columns that few rows have.",
        )


@contextmanager
def open_bytes(
    path: Path, member: str | None, name: str, longest_line: int | None = LONGEST_LINE
) -> Iterator[IO[bytes]]:
    """Open a file, or ``member`` in a zip, unpacked as it is read.

    Raises:
        DataError: While reading: it unpacks to far more than tweets would, or has a line without an end.
    """
    packed: int | None = path.stat().st_size
    with contextlib.ExitStack() as stack:
        with explain_damage(name, *SENSELESS_VALUE):
            if path.name.lower().endswith(".zip"):
                archive = stack.enter_context(zipfile.ZipFile(path))
                info = archive.getinfo(member or "")
                check_size(info.file_size, info.compress_size, name)
                file: IO[bytes] = stack.enter_context(archive.open(info))
            elif opener := next((opener for end, opener in OPENERS.items() if path.name.lower().endswith(end)), None):
                file = cast(IO[bytes], stack.enter_context(opener(path)))
            else:
                file, packed = stack.enter_context(path.open("rb")), None
        yield bound_lines(file, name, packed, longest_line)


def bound_lines(
    file: IO[bytes], name: str, packed: int | None = None, longest_line: int | None = LONGEST_LINE
) -> io.BufferedReader:
    """Return a file that refuses endless lines and, if its ``packed`` size is given, decompression bombs."""
    return io.BufferedReader(_BoundedFile(file, packed, name, longest_line), BLOCK)


class _BoundedFile(io.RawIOBase):
    """A file that refuses bombs and endless lines; ``packed`` is the size of a packed file, else None."""

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
                f"{self.name} has a line of more than {self.longest_line:,} bytes: this is not a file of tweets.",
                "Is it the right file, and does it have line ends?",
            )
        return len(part)


@contextmanager
def open_text(source: Source, encoding: str, errors: str = "strict") -> Iterator[io.TextIOWrapper]:
    """Open the file of a source, unpacked and decoded; damage becomes a DataError.

    Args:
        source: A text file.
        encoding: Result of :func:`detect_encoding`.
        errors: How to treat undecodable bytes: a DataError (``strict``), or surrogates (``surrogateescape``).
    """
    if source.path is None:
        raise TypeError(f"{source.name} is not a file")
    longest = None if source.kind == ".json" else LONGEST_LINE
    with (
        explain_damage(source.name),
        open_bytes(source.path, source.member, source.name, longest) as file,
        explain_decoding(source.name, encoding),
    ):
        yield io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")


@contextmanager
def open_parquet(path: Path, name: str) -> Iterator[pq.ParquetFile]:
    """Open a parquet file. Its texts stay in dictionaries as they are read, those in lists and objects, too: a file
    that repeats a long one a million times takes no more memory than the text.

    Raises:
        DataError: By its own account it unpacks to far more than texts would.
        pyarrow.ArrowException, OSError: It is damaged.
    """
    with pq.ParquetFile(path) as file:
        check_size(max(_count_bytes(file), sum(_count_values(file))), path.stat().st_size, name)
        leaves = [file.schema.column(at) for at in range(len(file.schema))]
    texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
    with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=texts) as file:
        yield file


def _count_bytes(file: pq.ParquetFile) -> int:
    groups = (file.metadata.row_group(at) for at in range(file.metadata.num_row_groups))
    return sum(group.total_byte_size for group in groups)


def _count_values(file: pq.ParquetFile) -> list[int]:
    """Count the values of each group of rows, those in lists and missing ones, too; one of a fixed size counts as often
    as it has bytes."""
    sizes = [max(1, file.schema.column(at).length) for at in range(len(file.schema))]
    groups = (file.metadata.row_group(at) for at in range(file.metadata.num_row_groups))
    return [sum(group.column(at).num_values * size for at, size in enumerate(sizes)) for group in groups]


def read_batches(file: pq.ParquetFile, names: list[str] | None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of an open parquet file, fewer at once the more values they have.

    Damage that Arrow overlooks, such as an index past its dictionary, is an ArrowInvalid. Each row group is read by
    itself: one reader for all of them adds every group's texts to one dictionary.
    """
    rows = 0
    for group, values in enumerate(_count_values(file)):
        at_once = VALUES_AT_ONCE * file.metadata.row_group(group).num_rows // max(values, 1)
        for batch in file.iter_batches(max(1, min(at_once, ROWS_AT_ONCE)), row_groups=[group], columns=names):
            batch.validate(full=True)
            rows += batch.num_rows
            yield batch
    if rows != file.metadata.num_rows:
        raise pa.ArrowInvalid(f"it holds {rows:,} rows but declares {file.metadata.num_rows:,}")


def read_parquet(path: Path, names: list[str] | None = None) -> pa.Table:
    """Read a parquet file, or the columns of these names, into memory.

    Raises:
        DataError: It unpacks to far more than texts would: a dictionary of one text can claim a billion rows.
        pyarrow.ArrowException, OSError, ValueError: It is damaged, lacks a column or holds texts in lists.
    """
    schema = pq.read_schema(path)
    names = schema.names if names is None else names
    if missing := set(names) - set(schema.names):
        raise ValueError(f"it has no column {', '.join(sorted(missing))}")
    schema = pa.schema([schema.field(name) for name in names], schema.metadata)
    size, batches = 0, []
    with open_parquet(path, path.name) as file:
        for batch in read_batches(file, names):
            size += sum(map(_measure_column, batch.columns))
            check_size(size, path.stat().st_size, path.name)
            batches.append(batch.cast(schema))
    return pa.Table.from_batches(batches, schema)


def _measure_column(column: pa.Array) -> int:
    """Return the bytes of a column once the texts of its dictionary are repeated."""
    if isinstance(column, pa.DictionaryArray):
        characters = pc.sum(pc.binary_length(column.dictionary).take(column.indices)).as_py()
        return int(column.indices.nbytes) + (characters or 0)
    if pa.types.is_nested(column.type) and "dictionary" in str(column.type):
        raise ValueError("it holds texts in lists or objects")
    return int(column.nbytes)


def list_tweet_files(path: Path, name: str) -> list[str]:
    """List the files of tweets in a zip, links aside.

    Raises:
        DataError: It is damaged, or protected by a password.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*DAMAGE, *SENSELESS_VALUE, NotImplementedError):
        raise DataError(
            f"{name} is not a complete zip archive: it is damaged or was cut off.", "Download it again."
        ) from None
    if any(member.flag_bits & 1 for member in members):
        raise DataError(f"{name} is password-protected.", "Unpack it and name the file in it.")
    members = [member for member in members if "__MACOSX" not in member.filename]
    tables = (".csv", ".tsv", ".jsonl", ".ndjson", ".json")
    has_tables = any(member.filename.lower().endswith(tables) for member in members)
    endings = tables if has_tables else (".txt",)  # in an archive of tables that is a note on them
    return [
        member.filename
        for member in members
        if member.filename.lower().endswith(endings) and not stat.S_ISLNK(member.external_attr >> 16)
    ]


# ---- encodings


@contextmanager
def explain_decoding(name: str, encoding: str) -> Iterator[None]:
    """Turn text that cannot be decoded, such as half of a UTF-16 character, into a DataError."""
    try:
        yield
    except UnicodeError as error:
        reason = f"byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(
            f"{name} is not {encoding}: {reason} cannot be decoded.",
            "Omit --encoding (UTF-8 if it is valid, else latin-1), or name the right one.",
        ) from None
