"""Text that is safe wherever a card puts it: whatever a template prints is escaped unless it is markup already."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from sentiment140_bert.errors import RunError
from sentiment140_bert.schemas import pick

# Text from which GitHub's Markdown makes links: an address, a page, a user.
AUTOMATIC = {"://": ":&#47;/", r"(www)\.": r"\1&#46;", "@": "&#64;"}
FORMULAS = {"\\": "&#92;", "$": "&#36;"}  # with which the Hub's formulas begin
LIST_ITEM = re.compile(r"^(\d*)([-+.)])(?=\s|$)")
MISSING = Markup("–")
SPACES, HIDDEN = ("Cc", "Zl", "Zp", "Zs"), ("Cf", "Cs", "Co")  # Unicode categories
SPECIAL = re.compile(r"[$\\`*_{}\[\]#|~]")


def flatten(text: str) -> str:
    """Return one line without control characters, and without those that reverse or hide text."""
    line = "".join(" " if unicodedata.category(character) in SPACES else character for character in text)
    return " ".join("".join(character for character in line if unicodedata.category(character) not in HIDDEN).split())


def clean_controls(text: str) -> str:
    """Do the same as :func:`flatten`, but keep white space at the ends, as one blank, and what joins emoji to one."""
    line = "".join(
        " " if unicodedata.category(character) in SPACES else character
        for at, character in enumerate(text)
        if unicodedata.category(character) not in HIDDEN or _joins_emoji(text, at)
    )
    return re.sub(" +", " ", line)


def _joins_emoji(text: str, at: int) -> bool:
    """Return True if a zero-width joiner is here between two emoji, the first perhaps with a skin tone (UTS 51)."""
    if text[at] != "\u200d":
        return False
    before = text[:at].rstrip("\ufe0f\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")[-1:]
    return all(emoji and unicodedata.category(emoji) == "So" for emoji in (before, text[at + 1 : at + 2]))


def escape(value: Any) -> Any:
    """Escape a value so that Markdown and HTML show it literally; numbers and ``Markup`` pass through."""
    if value is None or isinstance(value, Markup | int | float | jinja2.Undefined):
        return value
    text = html.escape(flatten(str(value)), quote=False)
    text = SPECIAL.sub(lambda sign: FORMULAS.get(sign[0], f"\\{sign[0]}"), text)
    text = LIST_ITEM.sub(r"\1\\\2", text)
    for sign, entity in AUTOMATIC.items():
        text = re.sub(sign, entity, text, flags=re.IGNORECASE)
    return Markup(text)


def format_code(value: Any) -> Markup:
    """Return a code span of one line that ends no section and no table cell."""
    return Markup("`{}`".format(format_shell(str(value)).replace("|", "\\|") or " "))


def format_literal(value: str) -> Markup:
    """Return a Python string in double quotes, for a code block."""
    return Markup(json.dumps(flatten(value), ensure_ascii=False).replace("`", "\\x60").replace("<!--", "<\\x21--"))


def format_shell(value: str) -> Markup:
    """Return a part of a command, for a code block."""
    return Markup(flatten(value).replace("`", "'").replace("<!--", "<! --"))


def format_block(value: str) -> Markup:
    """Return the lines of a code block, with their indentation."""
    lines = value.strip().splitlines()
    return Markup("\n".join(" " * (len(line) - len(line.lstrip())) + format_shell(line) for line in lines))


def format_count(value: int | None) -> Markup:
    """Return a whole number with commas; a dash for None, as in the next functions."""
    return MISSING if value is None else Markup(f"{value:,}")


def format_score(score: Any) -> Markup:
    """Return four digits, as on the terminal, and the interval of a score that has one."""
    if isinstance(score, dict):
        return Markup(f"{format_score(score['value'])} {format_interval(score)}".rstrip())
    return MISSING if score is None else Markup(f"{score:.4f}")


def format_interval(score: dict[str, float]) -> Markup:
    """Return the limits of a score in brackets; empty without any."""
    return Markup(f"({score['low']:.4f} to {score['high']:.4f})") if "low" in score else Markup("")


def format_p_value(value: float | None) -> Markup:
    """Return two significant digits."""
    return MISSING if value is None else Markup(f"{value:.2g}")


def render(name: str, **values: Any) -> str:
    """Render a card from its template in ``model_card/``."""
    return _compiled(name).render(**values)


@cache
def _compiled(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, finalize=escape, keep_trailing_newline=True, autoescape=False
    )
    environment.filters |= {
        "code": format_code,
        "literal": format_literal,
        "shell": format_shell,
        "block": format_block,
        "pick": pick,
        "count": format_count,
        "score": format_score,
        "interval": format_interval,
        "p_value": format_p_value,
    }
    return environment.from_string(read_template(name))


def read_template(name: str) -> str:
    """Return the text of a file in ``model_card/``."""
    packaged = files("sentiment140_bert").joinpath("model_card", name)
    in_checkout = Path(__file__).parents[2] / "model_card" / name
    for place in (packaged, in_checkout):
        if place.is_file():
            return place.read_text("utf-8")
    raise RunError(f"The card template {name} is not installed.", "Install the package again.")
