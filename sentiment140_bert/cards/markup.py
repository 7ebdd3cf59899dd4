"""Text that is safe wherever a card puts it: whatever a template prints is escaped unless it is markup already."""

from __future__ import annotations

import html
import re
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sentiment140_bert.errors import RunError

# What GitHub's Markdown makes a link of although nobody asked: an address, a page, a user.
AUTOMATIC = {"://": ":&#47;/", r"(www)\.": r"\1&#46;", "@": "&#64;"}
LIST_ITEM = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
SPECIAL = re.compile(r"([\\`*_{}\[\]#|~])")


def plain(text: str) -> str:
    """One line without control characters, and without those that reverse or hide text."""
    visible = (" " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Zs") else each for each in text)
    return " ".join("".join(each for each in visible if unicodedata.category(each) not in ("Cf", "Cs", "Co")).split())


def readable(text: str) -> str:
    """As :func:`plain`, but white space at the ends stays, as one blank, and so does what joins emoji to one."""
    kept = "".join(
        " " if unicodedata.category(each) in ("Cc", "Zl", "Zp", "Zs") else each
        for at, each in enumerate(text)
        if unicodedata.category(each) not in ("Cf", "Cs", "Co") or _joins_emoji(text, at)
    )
    return re.sub(" +", " ", kept)


def _joins_emoji(text: str, at: int) -> bool:
    """Whether a zero-width joiner stands here between two emoji, the first perhaps with a skin tone (UTS 51)."""
    if text[at] != "\u200d":
        return False
    before = text[:at].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")[-1:]
    return all(each and unicodedata.category(each) == "So" for each in (before, text[at + 1 : at + 2]))


def escape(value: Any) -> Any:
    """A value as Markdown and HTML show it literally; numbers and ``Markup`` pass through."""
    if value is None or isinstance(value, Markup | int | float | jinja2.Undefined):
        return value
    text = SPECIAL.sub(r"\\\1", html.escape(plain(str(value)), quote=False))
    text = LIST_ITEM.sub(r"\1\\\2", text)
    for sign, entity in AUTOMATIC.items():
        text = re.sub(sign, entity, text, flags=re.IGNORECASE)
    return Markup(text)


def _in_code(value: Any) -> str:
    """One line that ends no code, no section and no table cell."""
    return plain(str(value)).replace("`", "'").replace("<!--", "<! --").replace("|", "\\|") or " "


def code(value: Any) -> Markup:
    """A code span, also inside a table."""
    return Markup(f"`{_in_code(value)}`")


def literal(value: str) -> Markup:
    """A Python string, for a code block."""
    return Markup(repr(plain(value)).replace("`", "\\x60").replace("<!--", "<\\x21--"))


def shell(value: str) -> Markup:
    """Part of a command, for a code block."""
    return Markup(plain(value).replace("`", "'").replace("<!--", "<! --"))


def block(value: str) -> Markup:
    """Lines for a code block, with their indentation."""
    lines = value.strip().splitlines()
    return Markup("\n".join(" " * (len(line) - len(line.lstrip())) + shell(line) for line in lines))


def count(value: int) -> Markup:
    """A whole number with commas."""
    return Markup(f"{value:,}")


def score(value: float) -> Markup:
    """Four digits, of which three mean something at some thousand tweets."""
    return Markup(f"{value:.4f}")


def interval(value: dict[str, float]) -> Markup:
    """The limits of a score that has some."""
    return Markup(f"{value['low']:.4f} to {value['high']:.4f}") if "low" in value else Markup("")


def p_value(value: float) -> Markup:
    """Two digits that mean something."""
    return Markup(f"{value:.2g}")


def render(name: str, **values: Any) -> str:
    """A card from its template in ``model_card/``."""
    return _compiled(name).render(**values)


@cache
def _compiled(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, finalize=escape, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {
        "code": code,
        "literal": literal,
        "shell": shell,
        "block": block,
        "count": count,
        "score": score,
        "interval": interval,
        "p_value": p_value,
    }
    return environment.from_string(template(name))


def template(name: str) -> str:
    """The text of a file in ``model_card/``."""
    packaged = files("sentiment140_bert").joinpath("model_card", name)
    beside = Path(__file__).parents[2] / "model_card" / name  # in a checkout
    for place in (packaged, beside):
        if place.is_file():
            return place.read_text("utf-8")
    raise RunError(f"The card template {name} is not installed.", "Install the package again.")
