"""The confined process: ``python child.py tokenizer|graph FILE SECONDS MEMORY``. It imports nothing of the package.

It ends with 0, or with 1 and a reason on stdout; or the kernel ends it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GROWTH = 64  # characters or tokens that one character may become; Unicode's own rules make at most 18
CONTROL = {"Loop", "Scan", "If", "SequenceMap"}
DEEPEST = 8  # levels of functions and graphs in a graph


def limit(seconds: int, memory: int) -> None:
    """Bound processor time and address space, and write no file; where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name, value in (("RLIMIT_CPU", seconds), ("RLIMIT_AS", memory), ("RLIMIT_CORE", 0), ("RLIMIT_FSIZE", 0)):
        kind = getattr(resource, name)
        _, hard = resource.getrlimit(kind)
        resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


class RefusedError(Exception):
    """A file is not used; the message says why."""


# ---- tokenizers


def try_tokenizer(file: Path) -> None:
    """Tokenize probes of all kinds, each long enough to show growth and endless matching."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for text in make_probes(json.loads(file.read_text("utf-8"))):
        largest = GROWTH * (len(text) + 16)
        if tokenizer.normalizer and len(tokenizer.normalizer.normalize_str(text)) > largest:
            raise RefusedError(f"its normalizer makes one character into more than {GROWTH}")
        if len(tokenizer.encode(text).ids) > largest:
            raise RefusedError(f"it makes one character into more than {GROWTH} tokens")


def make_probes(content: dict[str, Any]) -> Iterator[str]:
    """Yield short texts: runs of each character that the file's rules name, and of characters of all scripts."""
    rules = [*find_strings([content.get("normalizer"), content.get("pre_tokenizer")])][:10_000]
    yield ""
    yield "so good :) http://example.com/a?b=c @someone #tag 123 don't &amp; caf\u00e9 \U0001f600"
    named = {character for rule in rules for character in rule}
    scripts = map(chr, [*range(1, 0x180), *range(0x180, 0xD800, 0x40), *range(0xE000, 0x20000, 0x80)])
    for character in sorted({*scripts, *named} - {chr(number) for number in range(0xD800, 0xE000)}):
        yield character * 40
        if character in named or character.isascii():
            yield f"{character * 40}!"
            yield f"a{character} " * 20
    for rule in rules:
        yield rule[:1_000] * 10


def find_strings(value: Any) -> Iterator[str]:
    """Yield all strings in a value of JSON, but charsmaps."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += [inner for key, inner in item.items() if key not in ("type", "precompiled_charsmap")]


# ---- graphs


def try_graph(file: Path) -> None:
    """Refuse control flow, then compute one batch of two short rows."""
    check_model(memoryview(file.read_bytes()))
    import numpy as np
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    session.run(None, {tensor.name: np.ones((2, 8), dtype=np.int64) for tensor in session.get_inputs()})


def check_model(content: memoryview) -> None:
    """Look at the operators of a model (onnx.proto: ModelProto 7 graph, 25 functions) without loading its numbers."""
    for number, part in read_fields(content):
        if number == 7:
            check_nodes(part, 1, 0)
        elif number == 25:
            check_nodes(part, 7, 0)


def check_nodes(content: memoryview, field: int, depth: int) -> None:
    """Look at the nodes of a GraphProto (field 1) or FunctionProto (7), and at the graphs in their attributes."""
    if depth > DEEPEST:
        raise RefusedError("its graphs are nested too deeply")
    for number, node in read_fields(content):
        if number != field:
            continue
        for kind, part in read_fields(node):  # NodeProto: 4 op_type, 5 attributes
            if kind == 4 and bytes(part).decode(errors="replace") in CONTROL:
                raise RefusedError(f"it contains the operator {bytes(part).decode()}, which no classifier needs")
            if kind == 5:
                for inner, graph in read_fields(part):  # AttributeProto: 6 graph, 11 graphs
                    if inner in (6, 11):
                        check_nodes(graph, 1, depth + 1)


def read_fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the fields of a protobuf message that have a length: their numbers and contents."""
    at = 0
    while at < len(content):
        key, at = read_number(content, at)
        kind = key & 7
        if kind == 0:
            _, at = read_number(content, at)
            continue
        length, at = read_number(content, at) if kind == 2 else ({1: 8, 5: 4}.get(kind, len(content) + 1), at)
        if at + length > len(content):
            raise RefusedError("it is damaged")
        if kind == 2:
            yield key >> 3, content[at : at + length]
        at += length


def read_number(content: memoryview, at: int) -> tuple[int, int]:
    """Return a number of protobuf, and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            break
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    raise RefusedError("it is damaged")


def main(what: str, file: str, seconds: str, memory: str) -> int:
    """Try a file; whatever a library raises is the reason, for nothing but this process is at stake."""
    limit(int(seconds), int(memory))
    try:
        {"tokenizer": try_tokenizer, "graph": try_graph}[what](Path(file))
    except MemoryError:
        reason = "it needs too much memory"
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is not an Exception
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    else:
        return 0
    sys.stdout.buffer.write(f"{reason}\n".encode(errors="replace"))
    sys.stdout.flush()
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
