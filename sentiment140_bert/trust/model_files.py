"""JSON files of an untrusted model: read in bounded size, checked by a schema, never followed."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sentiment140_bert.errors import ModelError, first_line
from sentiment140_bert.text import HIDDEN, shorten

LARGEST_JSON = 1 << 24  # bytes; config.json has some thousands
MOST_LABELS = 1_000
LONGEST_LABEL = 200
ADVICE = "Fetch or copy it again. If that does not help, do not trust its source."


class UnusableFile(ValueError):
    """A file of a model is damaged, or not of the shape that it must have; the boundary makes a ModelError of it."""


def check_archive(file: Path) -> None:
    """Refuse an archive that grows when it is unpacked; torch packs nothing.

    Raises:
        UnusableFile: It grows, or is damaged.
    """
    if not zipfile.is_zipfile(file):
        return
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnusableFile(first_line(error)) from None
    if size > 2 * file.stat().st_size:
        raise UnusableFile(f"it unpacks to {size:,} bytes, which no archive of torch does")


def read_object(file: Path, largest: int = LARGEST_JSON) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Args:
        file: The file, of any size and content.
        largest: Bytes that are read at most.

    Raises:
        UnusableFile: It cannot be read, is larger, is not JSON, holds NaN or Infinity, or is not an object.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(largest + 1)
    except OSError as error:
        raise UnusableFile(f"{file.name} cannot be read: {error.strerror}") from None
    if len(content) > largest:
        raise UnusableFile(f"{file.name} is larger than {largest:,} bytes")
    try:
        value = json.loads(content, parse_constant=_refuse_constant, parse_float=_parse_float)
    except (ValueError, RecursionError) as error:
        raise UnusableFile(f"{file.name} is damaged: {first_line(error)}") from None
    if not isinstance(value, dict):
        raise UnusableFile(f"{file.name} holds {_KINDS[type(value)]} where an object belongs")
    return value


_KINDS = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "a list"}


def check_shape(content: Any, shape: Any, file: str) -> dict[str, Any]:
    """Return the part of a file's content that is of this shape.

    Raises:
        UnusableFile: A key that belongs to it is missing, or has another kind of value.
    """
    try:
        checked: dict[str, Any] = TypeAdapter(shape).validate_python(content, strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part)[:50] for part in problem["loc"][:2])
        raise UnusableFile(f"{file}: {where}: {problem['msg']}") from None
    return checked


def read_labels(config: Mapping[str, Any]) -> list[str] | None:
    """Return the names of the labels by position, or None where a ``config.json`` names none.

    Raises:
        UnusableFile: They are not numbered from 0 without a gap, not as many as ``num_labels``, or no plain names.
    """
    count, named = config.get("num_labels"), config.get("id2label")
    if count is not None and (type(count) is not int or not 1 <= count <= MOST_LABELS):
        raise UnusableFile(f"config.json: num_labels is {shorten(count)}, not a number from 1 to {MOST_LABELS:,}")
    if named is None:
        return [f"LABEL_{number}" for number in range(count)] if count is not None else None
    if not isinstance(named, dict) or not 1 <= len(named) <= MOST_LABELS:
        raise UnusableFile(f"config.json: id2label is {shorten(named)}, not the names of 1 to {MOST_LABELS:,} labels")
    if set(named) != {str(number) for number in range(len(named))}:
        raise UnusableFile(f"config.json: id2label has the numbers {shorten([*named])}, not 0 to {len(named) - 1}")
    if count not in (None, len(named)):
        raise UnusableFile(f"config.json: id2label names {len(named)} labels, num_labels says {count}")
    labels = [named[str(number)] for number in range(len(named))]
    for label in labels:
        if not isinstance(label, str) or not 1 <= len(label) <= LONGEST_LABEL or HIDDEN.search(label.translate(_LINES)):
            raise UnusableFile(f"config.json: {shorten(label)} in id2label is not a name on one line")
    if len(set(labels)) < len(labels):
        raise UnusableFile(f"config.json: id2label has the same name for two labels: {shorten(labels)}")
    return labels


_LINES = {ord("\n"): "\0", ord("\t"): "\0"}  # HIDDEN allows them in texts, which may have lines


def is_rust_failure(error: BaseException) -> bool:
    """Return True if tokenizers raised it: a bare Exception, or a panic, which is not an Exception."""
    return type(error) is Exception or type(error).__name__ == "PanicException"


@contextmanager
def working_tokenizer() -> Iterator[None]:
    """Make a ModelError of it where a tokenizer fails on texts, though it loads."""
    try:
        yield
    except BaseException as error:
        if not is_rust_failure(error):
            raise
        raise ModelError(
            f"The model's tokenizer fails on these texts: {first_line(error)}.",
            "Its tokenizer.json is damaged, or made for another version of tokenizers: name another model.",
        ) from None


def _refuse_constant(name: str) -> float:
    raise ValueError(f"it holds {name}")


def _parse_float(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text[:20])
