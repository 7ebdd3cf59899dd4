"""The encoding of a file of tweets: named, or found in its bytes; and why a text of it is not Unicode."""

from __future__ import annotations

import codecs
import csv
import logging
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from sentiment140_bert.data import columns
from sentiment140_bert.data.files import explain_damage, open_bytes
from sentiment140_bert.errors import DataError

if TYPE_CHECKING:
    from sentiment140_bert.data.sources import Source

log = logging.getLogger(__name__)
LATIN, WINDOWS = "latin-1", "windows-1252"
C1 = bytes(range(0x80, 0xA0))  # letters and typographic signs in windows-1252, control characters in latin-1


def detect_encoding(source: Source, name: str | None) -> str | None:
    """Return the encoding of a source; None if it is not text.

    UTF-8 if every line is valid UTF-8. If some lines are not, it is UTF-8 with these as bad rows, unless no line
    has any other character of UTF-8, or the file has the layout of Sentiment140, whose makers wrote latin-1.

    Args:
        source: A file or a dataset.
        name: The encoding that ``--encoding`` names, if any.

    Raises:
        DataError: There is no encoding of that name.
    """
    if source.path is None or source.kind == ".parquet":
        return None
    named = resolve_encoding(name) if name else None
    if named and not source.is_packed:
        return named
    decoder = codecs.getincrementaldecoder("utf-8")()
    with explain_damage(source.name), open_bytes(source.path, source.member, source.name) as file:
        block = file.read(1 << 20)
        if named:
            while block:  # a bomb is detected faster here than by its rows
                block = file.read(1 << 20)
            return named
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
    with explain_damage(source.name), open_bytes(source.path, source.member, source.name) as file:
        return _detect_by_line(file, source.name)


def _detect_by_line(lines: IO[bytes], name: str) -> str:
    """Return the encoding of a file in which some lines are not UTF-8."""
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
        "data: %s is UTF-8 except for %s lines, the first of which is line %s; these count as malformed "
        "(--encoding latin-1 or windows-1252 reads all lines in that encoding)",
        name,
        f"{invalid:,}",
        f"{first:,}",
    )
    return "utf-8-sig"


def _is_corpus(line: bytes) -> bool:
    """Return True for the first row of Sentiment140, with or without the header that others added."""
    try:
        fields = next(csv.reader([line.decode(LATIN)]), [])
    except csv.Error:  # a field that is longer than any of the corpus
        return False
    names = {field.strip().lower() for field in fields}
    has_corpus_names = names >= columns.CORPUS_NAMES
    return len(fields) == 6 and (has_corpus_names or columns.find_layout_without_header(fields) is not None)


def _is_windows(line: bytes) -> bool:
    try:
        line.decode(WINDOWS)
    except UnicodeDecodeError:
        return False
    return True


def resolve_encoding(name: str) -> str:
    """Return Python's name of an encoding; that of UTF-8 also takes a byte order mark.

    Raises:
        DataError: No encoding has that name.
    """
    try:
        "".encode(name)
        return "utf-8-sig" if codecs.lookup(name).name == "utf-8" else codecs.lookup(name).name
    except (LookupError, ValueError):  # the latter for "undefined", and for a NUL in the name
        raise DataError(f"Unknown encoding {name!r}.", "For example --encoding latin-1 or utf-8.") from None


def explain_undecodable(values: Iterable[str | None], encoding: str | None) -> str:
    """Return why a row is not Unicode: a byte, which was passed through as a surrogate, or half of a character."""
    byte = next((ord(sign) - 0xDC00 for value in values if value for sign in value if "\udc80" <= sign <= "\udcff"), 0)
    if byte and encoding:
        return f"byte 0x{byte:02x} is not {encoding.removesuffix('-sig')}"
    return "not valid Unicode (a lone surrogate)"
