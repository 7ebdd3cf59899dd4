"""The targets ``clean`` and ``labels``: every text has one cleaned form, every label one meaning or none."""

from __future__ import annotations

import unicodedata
from collections import Counter
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from fuzzing.mutation import PIECES, mutated
from fuzzing.tweet_files import seeds
from sentiment140_bert.data import clean
from sentiment140_bert.data.labels import DROPPED, interpret_labels
from sentiment140_bert.errors import DataError
from sentiment140_bert.models.labels import LABEL_NAMES, NEGATIVE, NEUTRAL, POSITIVE, SCHEMES, is_possible, tidy

MISREAD = "éïßÉÅ’”…–€™½\u00a0\ufffd♥😂👍".encode()
RULES = [rule.pattern.encode() for rule in clean.ENTITIES + clean.MOJIBAKE if not rule.regex]
RULES += [MISREAD.decode("latin-1").encode(), *(f"&{name};".encode() for name in ("rsquo", "#8217", "#x27", "#038"))]
RULES += [bytes([byte]).decode("cp1252", "ignore").encode() for byte in sorted({*MISREAD})]
MARKS = [
    *(b"@", b"@a_1", b"http://x.y/z", b"HTTPS://", b"www.", b"wWw.a", b"://", b"&amp;", b"&", b"amp;", b";"),
    b"&#39;",
]
MARKS += [
    *("\xc3".encode(), "\xc2".encode(), "\xe2".encode(), "\xef\xbf\xbd".encode(), "\x80\x99".encode()),
    "\u3000".encode(),
]
MARKS += ["\u202e".encode(), "\u200b".encode(), "\u200d".encode(), "\ufeff".encode(), b"\x00", "\x85".encode(), b" "]


class Cleaning:
    """Texts separated by NUL characters, in UTF-8."""

    name = "clean"

    def __init__(self) -> None:
        self.normalizers: dict[str, Any] = {level: clean.make_normalizer(level) for level in clean.LEVELS}

    def draw(self, random: Random) -> bytes:
        """Draw mutated tweets."""
        tweet = random.choice(seeds(".csv"))
        start = random.randint(0, max(0, len(tweet) - 200))
        texts = [mutated(tweet[start : start + random.randint(0, 200)], random, (), RULES + MARKS) for _ in range(4)]
        return b"\0".join([*texts, b"".join(random.choices(RULES + MARKS + PIECES[:30], k=random.randint(0, 12)))])

    def check(self, raw: bytes) -> str:
        """Check that cleaning twice changes nothing, that Arrow and the normalizer agree, and that keys stay."""
        texts = raw.decode("utf-8", "replace").split("\0")
        column = pa.chunked_array([texts[:1], texts[1:]], pa.string())
        changed = 0
        for level in clean.LEVELS:
            cleaned, counts = clean.clean(column, level)
            assert (len(cleaned), cleaned.null_count) == (len(texts), 0), "texts went missing"
            assert clean.clean(cleaned, level)[0] == cleaned, f"{level}: cleaned twice is not as cleaned once"
            assert max(counts.values()) <= len(texts), "counts"
            if rules := self.normalizers[level]:
                normal = pa.chunked_array([[rules.normalize_str(text) for text in texts]], pa.string())
                same = pc.utf8_trim_whitespace(normal).to_pylist() == cleaned.to_pylist()
                assert same, f"{level}: the tokenizer's normalizer gives another text"
            changed += cleaned.to_pylist() != texts
        repaired = clean.clean(column, "repair")[0]
        assert clean.make_keys(repaired) == clean.make_keys(column), "the cleaned text has another key"
        return f"cleaned; {changed} of {len(clean.LEVELS)} levels changed something"


LABELS = [
    *("0", "1", "2", "4", "-1", "0.0", "4.0", " 4 ", '"4"', "neg", "Positive", "NEUTRAL", "neut", "9", "", "nan"),
    "None",
]
LABELS += ["0=1", "a,b", "\u0660", "drop", "1e999", "٤", "İ", "\x1b[31m", "x" * 300, "positive.0", "０", "true"]


class LabelMaps:
    """The first line is a label map, or empty; each other line is a label of the file."""

    name = "labels"

    def draw(self, random: Random) -> bytes:
        """Draw a map of likely labels, sometimes mutated."""
        meanings = ["negative", "neutral", "positive", "drop", "Positive", " positive ", "", "pos"]
        weights = [9, 5, 9, 5, 1, 1, 1, 1]
        pairs = [
            f"{random.choice(LABELS)}={random.choices(meanings, weights)[0]}"
            for _ in range(random.choice((0, 1, 2, 3, 5)))
        ]
        lines = [",".join(pairs), *random.choices(LABELS, k=random.randint(0, 12))]
        raw = "\n".join(lines).encode()
        return mutated(raw, random) if random.random() < 0.4 else raw

    def check(self, raw: bytes) -> str:
        """Check that a map is refused, or gives its labels their meaning, and that others are read by their names."""
        written, *labels = raw.decode("utf-8", "replace").split("\n")
        counts: Counter[str] = Counter(map(tidy, labels))
        try:
            interpreted = interpret_labels(counts, written or None, "t.csv")
        except DataError as error:
            if not error.hint or len(error.message) > 2_000:
                raise AssertionError("a long sentence") from error
            return f"error: {'label map' if written else 'ambiguous labels'}"
        assert set(interpreted.meaning.values()) <= {DROPPED, NEGATIVE, POSITIVE, NEUTRAL}
        assert all(tidy(label) == label or label.endswith(".0") for label in interpreted.meaning), "a label never found"
        if not written:
            plain = (scheme for name, scheme in SCHEMES.items() if is_possible(name, ()))
            best = max(sum(n for label, n in counts.items() if label in sign) for sign in plain)
            assert (
                sum(n for label, n in counts.items() if label in interpreted.meaning) >= best - 0.01 * len(labels) - 1
            )
            return f"read as {interpreted.scheme}"
        for pair in written.lower().split(","):
            label, _, meaning = (part.strip() for part in pair.partition("="))
            names = {value: key for key, value in LABEL_NAMES.items()} | {"drop": DROPPED}
            assert interpreted.meaning[tidy(label)] == names[meaning], "another meaning"
        return "mapped"


def invisible(text: str) -> set[str]:
    """Return the signs that hide, reverse or command."""
    return {
        sign for sign in text if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp") and sign != "\n"
    }
