"""The encoding of a text file: as asked, by its byte order mark, or by what its lines are valid in."""

from __future__ import annotations

import codecs
import csv
import logging
from collections.abc import Iterable
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from sentiment140_bert.data import columns, unpacking
from sentiment140_bert.data.unpacking import damage_explained
from sentiment140_bert.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sentiment140_bert.data.source import Source

log = logging.getLogger(__name__)
LATIN, WINDOWS = "latin-1", "windows-1252"
C1 = bytes(range(0x80, 0xA0))  # letters and typographic signs in windows-1252, nothing that is printed in latin-1


def detect_encoding(source: Source, asked: str | None) -> str | None:
    """Return the encoding of a source; None where it is not text.

    UTF-8 if every line is valid UTF-8. Where some lines are not, it is UTF-8 with these as bad rows, unless no line
    has any other character of UTF-8, or the file has the layout of Sentiment140, whose makers wrote latin-1.

    Raises:
        DataError: There is no encoding of the name asked for.
    """
    if source.path is None or source.kind == ".parquet":
        return None
    known = known_encoding(asked) if asked else None
    if known and not source.is_packed:
        return known
    decoder = codecs.getincrementaldecoder("utf-8")()
    with damage_explained(source.name), unpacking.opened(source.path, source.member, source.name) as file:
        block = file.read(1 << 20)
        if known:
            while block:  # a bomb is found out faster here than by its rows
                block = file.read(1 << 20)
            return known
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        try:
            while block:
                decoder.decode(block)
                block = file.read(1 << 20)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            pass
        else:
            return "utf-8-sig"
    with damage_explained(source.name), unpacking.opened(source.path, source.member, source.name) as file:
        return _of_lines(file, source.name)


def _of_lines(lines: IO[bytes], name: str) -> str:
    """Return the encoding of a file of which some lines are not UTF-8."""
    valid = invalid = first = 0
    has_c1, is_windows, is_corpus = False, True, False
    for number, line in enumerate((line for part in lines for line in part.splitlines()), start=1):
        if number == 1:
            is_corpus = _is_corpus(line)
        if line.isascii():
            continue
        try:
            line.decode()
            valid += 1
        except UnicodeDecodeError:
            invalid += 1
            first = first or number
            has_c1 = has_c1 or any(byte in C1 for byte in line)
            is_windows = is_windows and _is_windows(line)
    if is_corpus or not valid:
        return WINDOWS if has_c1 and is_windows and not is_corpus else LATIN
    log.warning(
        "data: %s is UTF-8 but for %s lines, the first of them line %s; they count as malformed "
        "(--encoding latin-1 or windows-1252 reads all lines in that encoding)",
        name,
        f"{invalid:,}",
        f"{first:,}",
    )
    return "utf-8-sig"


def _is_corpus(line: bytes) -> bool:
    """Return True for the first row of Sentiment140, with or without the header that others added."""
    fields = next(csv.reader([line.decode(LATIN)]), [])
    names = {each.strip().lower() for each in fields}
    return len(fields) == 6 and (names >= columns.CORPUS_NAMES or columns.layout_without_header(fields) is not None)


def _is_windows(line: bytes) -> bool:
    try:
        line.decode(WINDOWS)
    except UnicodeDecodeError:
        return False
    return True


def known_encoding(asked: str) -> str:
    """Return Python's name of an encoding; that of UTF-8 also takes a byte order mark.

    Raises:
        DataError: There is none of that name.
    """
    try:
        "".encode(asked)
        return "utf-8-sig" if codecs.lookup(asked).name == "utf-8" else codecs.lookup(asked).name
    except (LookupError, ValueError):  # the latter of one called undefined, and of a NUL in the name
        raise DataError(f"There is no encoding {asked!r}.", "For example --encoding latin-1 or utf-8.") from None


@contextmanager
def decoding_explained(name: str, encoding: str) -> Iterator[None]:
    """Turn what cannot be decoded at all, such as half of a UTF-16 character, into a DataError."""
    try:
        yield
    except UnicodeError as error:
        reason = f"byte 0x{error.object[error.start]:02x}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(
            f"{name} is not {encoding}: {reason} cannot be decoded.",
            "Omit --encoding (UTF-8 if it is valid, else latin-1), or name the right one.",
        ) from None


def explain_undecodable(values: Iterable[str | None], encoding: str | None) -> str:
    """Return why a row is not Unicode: a byte, which was passed through as a surrogate, or half of a character."""
    byte = next((ord(sign) - 0xDC00 for value in values if value for sign in value if "\udc80" <= sign <= "\udcff"), 0)
    if byte and encoding:
        return f"byte 0x{byte:02x} is not {encoding.removesuffix('-sig')}"
    return "not valid Unicode (a lone surrogate)"
