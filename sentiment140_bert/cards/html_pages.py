"""Pages in HTML from the templates in ``model_card/``: whatever a template prints is escaped."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from typing import Any

import jinja2

from sentiment140_bert.cards.markup import flatten, read_template


def render_page(name: str, **values: Any) -> str:
    """Render a page; functions that its template calls are among the values."""
    return _compile_template(name).render(**values)


@cache
def _compile_template(name: str) -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, finalize=_flatten_text, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "value": get_value,
        "percent": format_percent,
        "points": format_points,
        "score": lambda number: f"{get_value(number):.3f}",
        "limits": format_limits,
        "count": lambda number: f"{number:,}",
        "p_value": format_p_value,
    }
    return environment.from_string(read_template(name))


def _flatten_text(shown: Any) -> Any:
    return flatten(shown) if type(shown) is str else shown


def hash_source(text: str) -> str:
    """Return the source of a page's own style or script, as its Content-Security-Policy names it."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def get_value(score: Any) -> float:
    """Return the value of a score with an interval, or of one that an older version wrote as a bare number."""
    return float(score["value"] if isinstance(score, dict) else score)


def format_percent(score: Any) -> str:
    """Format a share in percent with one decimal."""
    return f"{100 * get_value(score):.1f}%"


def format_points(score: dict[str, float]) -> str:
    """Format a difference of two shares in percentage points, with its sign and its interval."""
    interval = f" ({100 * score['low']:+.1f} to {100 * score['high']:+.1f})" if "low" in score else ""
    return f"{100 * score['value']:+.1f} points{interval}"


def format_limits(score: Any, times: int = 1) -> str:
    """Format the interval of a score; of a share in percent with ``times`` 100."""
    if not isinstance(score, dict) or "low" not in score:
        return ""
    low, high = (f"{100 * score[end]:.1f}" if times == 100 else f"{score[end]:.3f}" for end in ("low", "high"))
    return f"{low} to {high}{'%' if times == 100 else ''}"


def format_p_value(number: float) -> str:
    """Format a probability under chance."""
    if number < 0.001:
        return "p < 0.001"
    return f"p = {number:.2f}" if number >= 0.1 else f"p = {number:.3f}"
