"""Untrusted text made safe to print, and short texts for values and durations."""

from __future__ import annotations

import json
import re

# Control characters but line feed and tab; what reverses or parts a line; what takes no place, but for what joins
# letters and emoji (U+200C, U+200D); halves of characters.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def escape_hidden(text: str) -> str:
    """Return the text with escapes such as ``\\x1b`` and ``\\u202e`` in place of these characters."""
    return HIDDEN.sub(lambda sign: ascii(sign[0])[1:-1], text)


def escape_hidden_json(text: str) -> str:
    """Return JSON of the same meaning without these characters."""
    return HIDDEN.sub(lambda sign: json.dumps(sign[0])[1:-1] if sign[0] not in "\r\b\f" else sign[0], text)


def shorten(value: object, longest: int = 200) -> str:
    """Return a value's ``repr``, cut if it is long."""
    text = repr(value)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def to_line(text: str, longest: int = 300) -> str:
    """Return a text on one line, cut if it is long."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def format_duration(seconds: float) -> str:
    """Return seconds in the unit that a person would choose."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
