"""Read what wandb writes offline: LevelDB's log format around protobuf records."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

BLOCK, FILE_HEADER, RECORD_HEADER = 32 * 1024, 7, 7
FULL, LAST = 1, 4


class Kept(NamedTuple):
    """One segment of a wandb run."""

    ids: set[str]
    names: set[str]
    hosts: set[str]
    tags: list[str]
    group: str
    config: dict[str, Any]
    history: dict[int, dict[str, Any]]
    summary: dict[str, Any]
    files: set[str]
    exits: list[int]


def records(path: Path) -> Iterator[Any]:
    """Yield the records of a ``.wandb`` file."""
    from wandb.proto import wandb_internal_pb2

    content, at, parts = path.read_bytes(), FILE_HEADER, b""
    while at + RECORD_HEADER <= len(content):
        rest = BLOCK - at % BLOCK
        if rest < RECORD_HEADER:
            at += rest
            continue
        _, length, kind = struct.unpack("<IHB", content[at : at + RECORD_HEADER])
        if kind == 0:
            return
        parts += content[at + RECORD_HEADER : at + RECORD_HEADER + length]
        at += RECORD_HEADER + length
        if kind in (FULL, LAST):
            record = wandb_internal_pb2.Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def segments(folder: Path) -> list[Path]:
    """Return the ``.wandb`` files of a run directory, oldest first."""
    return sorted((folder / "wandb").glob("*run-*/*.wandb"))


def read_segment(path: Path) -> Kept:
    """Return the content of one segment."""
    result = Kept(set(), set(), set(), [], "", {}, {}, {}, set(), [])
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            result.ids.add(record.run.run_id)
            result.names.add(record.run.display_name)
            result.hosts.add(record.run.host)
            result = result._replace(tags=list(record.run.tags), group=record.run.run_group)
            result.config.update(_values(record.run.config.update))
        elif kind == "config":
            result.config.update(_values(record.config.update))
        elif kind == "history":
            row = _values(record.history.item)
            result.history.setdefault(row["_step"], {}).update(row)
        elif kind == "summary":
            result.summary.update(_values(record.summary.update))
        elif kind == "files":
            result.files.update(entry.path for entry in record.files.files)
        elif kind == "exit":
            result.exits.append(record.exit.exit_code)
    return result


def _values(items: Any) -> dict[str, Any]:
    return {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
