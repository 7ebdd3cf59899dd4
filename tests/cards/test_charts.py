"""Pictures inside a page: every mark is at its number, read back from the picture's own axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiment140_bert.cards import charts

SHARE = st.floats(0, 1)
INTERVAL = st.tuples(SHARE, SHARE, SHARE).map(lambda values: tuple(sorted(values)))
POINTS = st.lists(st.tuples(SHARE, SHARE), max_size=8)
ROUNDING = 0.06  # coordinates have one decimal


class Picture:
    """An SVG picture, and what its axes say of a place."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)
        numbers = [*map(float, self.root.attrib["viewBox"].split())]
        assert numbers[:2] == [0, 0]
        self.width, self.height = numbers[2:]

    def all(self, tag: str, kind: str | None = None) -> list[dict[str, str]]:
        return [part.attrib for part in self.root.iter(tag) if kind is None or part.attrib.get("class") == kind]

    def dots(self, kind: str) -> list[tuple[float, float]]:
        return [(float(dot["cx"]), float(dot["cy"])) for dot in self.all("circle", kind)]

    def lines(self, kind: str) -> list[tuple[float, ...]]:
        return [tuple(float(line[end]) for end in ("x1", "y1", "x2", "y2")) for line in self.all("line", kind)]

    def paths(self, kind: str) -> list[list[tuple[float, float]]]:
        return [
            [tuple(map(float, point.split(","))) for point in path["points"].split()]
            for path in self.all("polyline", kind)
        ]

    def texts(self, anchor: str, scale: float) -> dict[float, float]:
        """Return the number of each tick by its place."""
        way = "x" if anchor == "middle" else "y"
        return {
            float(part.attrib[way]): float(str(part.text).rstrip("%")) / scale
            for part in self.root.iter("text")
            if part.attrib["text-anchor"] == anchor and re.fullmatch(r"[\d.]+%?", str(part.text))
        }


def axis(ticks: dict[float, float]) -> Callable[[float], float]:
    """Map numbers to places by the first and the last tick, with which those between agree."""
    (first, low), *_, (last, high) = sorted(ticks.items())

    def place(number: float) -> float:
        return first + (last - first) * (number - low) / (high - low)

    assert all(abs(place(number) - at) < 2 * ROUNDING for at, number in ticks.items())
    return place


def near(*places: Any) -> Any:
    return pytest.approx(places, abs=4 * ROUNDING)


@given(st.lists(st.tuples(st.sampled_from(["model", "tfidf", "majority"]), INTERVAL), min_size=1, max_size=4))
def test_a_strip(rows: list[tuple[str, tuple[float, float, float]]]) -> None:
    marks = [(kind, *ends) for kind, ends in rows if ends[0] < 0.95]
    if not marks:
        return
    picture = Picture(charts.draw_strip(marks, "a < b & c"))
    assert picture.root.attrib["aria-label"] == "a < b & c"
    ticks = picture.texts("middle", 100)
    assert max(ticks.values()) == 1
    lowest = min(low for _, low, _, _ in marks)
    assert min(ticks.values()) == pytest.approx(min(0.5, int(10 * lowest) / 10))
    assert len(ticks) == round(10 * (1 - min(ticks.values()))) + 1
    place = axis(ticks)
    dots = [(kind, *dot) for kind in ("model", "tfidf", "majority") for dot in picture.dots(kind)]
    whiskers = [(kind, *line) for kind in ("model", "tfidf", "majority") for line in picture.lines(f"whisker {kind}")]
    heights = sorted(y for _, _, y in dots)
    assert len({*heights}) == len(dots) == len(whiskers) == len(marks)
    for y, (kind, low, value, high) in zip(heights, marks, strict=True):
        (dot,), (whisker,) = ([part for part in parts if part[2] == y] for parts in (dots, whiskers))
        assert dot[0] == whisker[0] == kind
        assert dot[1:] == near(place(value), y)
        assert whisker[1:] == near(place(low), y, place(high), y)
    assert all(0 <= x <= picture.width for _, x, _ in dots)
    assert all(0 < y < picture.height - 15 for y in heights)


@given(INTERVAL, SHARE, st.sampled_from([0.0, 0.3, 0.9]))
def test_a_whisker_in_a_table(ends: tuple[float, float, float], overall: float, start: float) -> None:
    """Draw the axis from ``start`` to 1; lower values are at its beginning."""
    picture = Picture(charts.draw_whisker(*ends, overall, start))

    def place(number: float) -> float:
        return 4 + (picture.width - 8) * max(0, (number - start) / (1 - start))

    low, value, high = map(place, ends)
    (dot,), (whisker,), (tick,) = picture.dots("model"), picture.lines("whisker model"), picture.lines("all")
    middle = picture.height / 2
    assert dot == near(value, middle)
    assert whisker == near(low, middle, high, middle)
    assert (tick[0], tick[2]) == near(place(overall), place(overall))
    assert picture.root.attrib["aria-hidden"] == "true"


def square(picture: Picture) -> tuple[Callable[[float], float], Callable[[float], float]]:
    """Return the place of a number across and upwards; a label's baseline is 3.5 below its tick."""
    upwards = axis({-at: number for at, number in picture.texts("end", 1).items()})
    return axis(picture.texts("middle", 1)), lambda number: -upwards(number) - 3.5


@given(POINTS, POINTS)
def test_reliability(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> None:
    picture = Picture(charts.draw_reliability(before, after, "said"))
    across, upwards = square(picture)
    assert [text for text in picture.root.itertext() if text.strip()][-2:] == [
        "probability of positive",
        "share that is positive",
    ]
    assert picture.lines("ideal") == [near(across(0), upwards(0), across(1), upwards(1))]
    for kind, points in (("model", before), ("after", after)):
        expected = [(across(x), upwards(y)) for x, y in points]
        assert picture.dots(kind) == [near(*point) for point in expected]
        assert picture.paths(kind) == [[near(*point) for point in expected]]


@given(POINTS, st.none() | st.tuples(SHARE, SHARE), st.sampled_from([1.0, 0.4, 0.09, 0.04]))
def test_risk_by_coverage(points: list[tuple[float, float]], chosen: tuple[float, float] | None, scale: float) -> None:
    """End the axis at the first round number above all risks."""
    points = [(coverage, risk * scale) for coverage, risk in points]
    chosen = (chosen[0], chosen[1] * scale) if chosen else None
    picture = Picture(charts.draw_risk_coverage(points, chosen, "said"))
    across, upwards = square(picture)
    highest = max([risk for _, risk in [*points, *([chosen] if chosen else [])]], default=0)
    top = max(picture.texts("end", 1).values())
    assert top == next(end for end in (0.05, 0.1, 0.2, 0.3, 0.5, 1.0) if highest <= end)
    expected = [(across(coverage), upwards(risk)) for coverage, risk in points]
    (path,) = picture.paths("model")
    assert path == [near(*point) for point in [*expected, *expected[-1:]]]
    if chosen:
        place = across(chosen[0]), upwards(chosen[1])
        assert picture.dots("after") == [near(*place)]
        assert picture.lines("chosen") == [near(place[0], upwards(0), *place)]
    else:
        assert picture.dots("after") == picture.lines("chosen") == []


def test_thins_many_points_and_keeps_the_last() -> None:
    points = [(at / 5000, 0.1 * (at / 5000)) for at in range(1, 5001)]
    picture = Picture(charts.draw_risk_coverage(points, None, "risk"))
    (path,) = picture.paths("model")
    across, upwards = square(picture)
    assert 150 <= len(path) <= charts.MOST_POINTS + 2
    assert path[-1] == near(across(1), upwards(0.1))
    assert path[0] == near(across(1 / 5000), upwards(0.1 / 5000))
