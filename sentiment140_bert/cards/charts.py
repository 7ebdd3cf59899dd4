"""Small pictures inside a page, as SVG made of numbers alone; colors and sizes are those of the page's style sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from markupsafe import Markup

Point = tuple[float, float]
Mark = tuple[str, float, float, float]  # kind, low, value, high
SIDE, LEFT, BOTTOM, EDGE = 240, 44, 34, 8  # of a square picture: its size, and the room for the labels of the axes
MOST_POINTS = 200


def draw_strip(marks: Sequence[Mark], label: str) -> Markup:
    """Draw scores with their intervals, one below the other on one axis that ends at 1.

    Args:
        marks: From the top; ``kind`` is the class of the style sheet, and ``low`` and ``high`` are ``value`` where
            there is no interval.
        label: A description for screen readers.
    """
    start = min(0.5, min(int(low * 10) / 10 for _, low, _, _ in marks))
    width, row, foot = 320, 22, 22
    height = row * len(marks) + foot

    def x(value: float) -> float:
        return 8 + (width - 24) * (value - start) / (1 - start)

    ticks = [step / 10 for step in range(round(10 * start), 11)]
    parts = [_line("grid", x(tick), 4, x(tick), height - foot + 2) for tick in ticks]
    parts += [_text(x(tick), height - 6, f"{100 * tick:.0f}%", "middle") for tick in ticks]
    for at, (kind, low, value, high) in enumerate(marks):
        y = row * at + row / 2 + 2
        parts += [_line(f"whisker {kind}", x(low), y, x(high), y), _dot(kind, x(value), y, 5)]
    return _svg("strip", width, height, label, parts)


def draw_whisker(low: float, value: float, high: float, overall: float, start: float) -> Markup:
    """Draw a score with its interval for a cell of a table, and a tick at the score of all the tweets.

    Args:
        low: Lower limit of the interval.
        value: The score.
        high: Upper limit of the interval.
        overall: The score of all tweets.
        start: Start of the axis, which ends at 1.
    """
    width, height = 120, 14

    def x(share: float) -> float:
        return 4 + (width - 8) * max(0.0, share - start) / (1 - start)

    parts = [
        _line("all", x(overall), 1, x(overall), height - 1),
        _line("whisker model", x(low), height / 2, x(high), height / 2),
        _dot("model", x(value), height / 2, 3.5),
    ]
    return _svg("cell", width, height, "", parts)


def draw_reliability(before: Sequence[Point], after: Sequence[Point], label: str) -> Markup:
    """Draw the share that is positive over the probability of positive, without and with the temperature."""
    parts = [*_frame("probability of positive", "share that is positive", 1.0)]
    parts.append(_line("ideal", *_at(0, 0), *_at(1, 1)))
    for kind, points in (("model", before), ("after", after)):
        placed = [_at(*point) for point in points]
        parts += [_path(kind, placed), *(_dot(kind, *point, 3) for point in placed)]
    return _svg("square", SIDE, SIDE, label, parts)


def draw_risk_coverage(points: Sequence[Point], chosen: Point | None, label: str) -> Markup:
    """Draw the share wrong over the share answered, and the place of the abstain threshold."""
    thinned = [*points[:: max(1, len(points) // MOST_POINTS)], *points[-1:]]
    highest = max((risk for _, risk in [*thinned, *([chosen] if chosen else [])]), default=0.0)
    top = next((limit for limit in (0.05, 0.1, 0.2, 0.3, 0.5) if highest <= limit), 1.0)
    parts = [*_frame("share answered", "share wrong", top)]
    parts.append(_path("model", [_at(coverage, risk / top) for coverage, risk in thinned]))
    if chosen:
        place = _at(chosen[0], chosen[1] / top)
        parts += [_line("chosen", place[0], _at(0, 0)[1], *place), _dot("after", *place, 4.5)]
    return _svg("square", SIDE, SIDE, label, parts)


def _at(x: float, y: float) -> Point:
    inner = SIDE - BOTTOM - EDGE
    return LEFT + (SIDE - LEFT - EDGE) * x, EDGE + inner * (1 - y)


def _frame(across: str, upwards: str, top: float) -> Iterable[Markup]:
    for share in (0.0, 0.5, 1.0):
        yield _line("grid", *_at(share, 0), *_at(share, 1))
        yield _line("grid", *_at(0, share), *_at(1, share))
        yield _text(_at(share, 0)[0], SIDE - BOTTOM + 14, f"{share:g}", "middle")
        yield _text(LEFT - 6, _at(0, share)[1] + 3.5, f"{share * top:g}", "end")
    yield _text(_at(0.5, 0)[0], SIDE - 4, across, "middle")
    yield Markup('<text class="upwards" x="{}" y="10" transform="rotate(-90)" text-anchor="middle">{}</text>').format(
        _short(-_at(0, 0.5)[1]), upwards
    )


def _svg(kind: str, width: float, height: float, label: str, parts: Iterable[Markup]) -> Markup:
    role = Markup('role="img" aria-label="{}"').format(label) if label else Markup('aria-hidden="true"')
    return Markup('<svg class="{}" viewBox="0 0 {} {}" {}>{}</svg>').format(
        kind, width, height, role, Markup("").join(parts)
    )


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _line(kind: str, *ends: float) -> Markup:
    return Markup('<line class="{}" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(kind, *map(_short, ends))


def _dot(kind: str, x: float, y: float, radius: float) -> Markup:
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(kind, _short(x), _short(y), radius)


def _path(kind: str, points: Sequence[Point]) -> Markup:
    return Markup('<polyline class="{}" points="{}"/>').format(
        kind, " ".join(f"{_short(x)},{_short(y)}" for x, y in points)
    )


def _text(x: float, y: float, text: Any, anchor: str) -> Markup:
    return Markup('<text x="{}" y="{}" text-anchor="{}">{}</text>').format(_short(x), _short(y), anchor, text)
