"""Bytes made wrong in the ways in which files go wrong, and in those of people who mean harm."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

PIECES = [
    *(b'"', b'""', b",", b"\n", b"\r", b"\r\n", b"\0", b"\\", b"\t", b";", b"|", b"'", b" ", b"\n\n\n", b'"\n"'),
    b'","',
    *(b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xc3", b"\x80", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xed\xa0\x80"),
    *(b"\\ud800", b"\xf0\x9f\x98\x80", b"\x1b[31m", b"\x1b]8;;http://x.example\x07", b"\x9b", b"\x1a", b"\x85"),
    b"\xa0",
    *(b"0", b"4", b"2", b"9", b"-1", b"1e999", b"NaN", b"4.0", b"positive", b"9" * 5000, b"null", b"{}", b"[]"),
    b"true",
    *(b"{", b"}", b"[", b"]", b":", b"[" * 2000, b'{"a":' * 2000, b'{"text": null, "label": 1}\n'),
    b'{"text": {"a": [1]}}',
    *(b"=1+1", b"@user", b"text", b"label", b"text,label\n", b"target,id,date,flag,user,text\n", b"<script>"),
    b"PK\3\4",
    *(b"\x1f\x8b\x08", b"PAR1", b"!!python/object/apply:os.system", b"&a", b"*a", b"<<: ", b"---\n", b"- "),
    *(b"? ", b"# "),
]


def mutated(content: bytes, random: Random, others: Sequence[bytes] = (), pieces: Sequence[bytes] = PIECES) -> bytes:
    """A content after some edits.

    Args:
        content: Of a file that is right, or nearly so.
        random: Decides everything.
        others: Contents of which a part may be spliced in.
        pieces: What may be inserted.
    """
    for _ in range(random.choice((1, 1, 2, 3, 5, 8))):
        content = _edited(content, random, others, pieces)
    return content


def _edited(content: bytes, random: Random, others: Sequence[bytes], pieces: Sequence[bytes]) -> bytes:
    at, kind = random.randint(0, len(content)), random.randrange(12)
    if random.random() < 0.5:  # the first line decides so much that the others would be seen too seldom
        at = max(at, random.randint(0, len(content)))
    end = min(len(content), at + random.choice((0, 1, 1, 2, 8, 40, 200)))
    before, part, after = content[:at], content[at:end], content[end:]
    if kind <= 3:
        return before + random.choice(pieces) + after
    if kind == 4:
        return before + after
    if kind == 5:
        return before + random.randbytes(len(part) or 1) + after
    if kind == 6:
        return before + part * random.choice((2, 3, 10, 120)) + after
    if kind == 7:
        return (
            before
            if random.random() < 0.3
            else before + bytes(byte ^ 1 << random.randrange(8) for byte in part) + after
        )
    if kind == 8 and others:
        other = random.choice(others)
        start = random.randint(0, len(other))
        return before + other[start : start + random.randint(0, 200)] + after
    if kind == 9:
        return _lines_shuffled(content, random)
    if kind == 10 and random.random() < 0.02:
        return (
            before + random.choice((b"x", b"\n", b",", b"\0", b'"', b'"\n')) * random.choice((10_000, 100_001)) + after
        )
    return before + random.choice(pieces) + random.choice(pieces) + part + after


def _lines_shuffled(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    one, other = random.randrange(len(lines)), random.randrange(len(lines))
    if random.random() < 0.5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(one, lines[other])
    return b"\n".join(lines)
