"""The page of a report as text: what stands on it, and that nothing on it can run or fetch."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pyarrow.parquet as pq
import pytest

from cards_names import HOSTILE
from report_fixtures import HOSTILE_TWEETS, full_metrics
from sentiment140_bert.cards import charts, report
from sentiment140_bert.cards.facts import Facts, read
from sentiment140_bert.cards.markup import plain, readable
from sentiment140_bert.cards.report import Mistake, report_page, scale_of, weighted
from sentiment140_bert.run_dir import RunDir

pytest_plugins = "model_fixtures"


class Elements(HTMLParser):
    """Every element with its attributes, and all text that is neither style nor script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.inside = ""
        self.raw: dict[str, str] = {}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


@pytest.fixture(scope="module")
def facts(run: Any) -> Facts:
    """With every key that ``metrics.json`` may hold."""
    found = read(run)
    metrics = full_metrics(deepcopy(found.metrics), pq.read_table(RunDir(run).predictions).to_pylist())
    for split in metrics["splits"].values():
        split["calibration"]["brier_score"] = {"value": 0.1234, "low": 0.1, "high": 0.15}
        split["calibration"]["expected_calibration_error"] = {"value": 0.0567, "low": 0.03, "high": 0.08}
    return replace(found, metrics=metrics)


def mistake(text: str = "a tweet", **changes: Any) -> Mistake:
    given = {"split": "test", "label": "negative", "positive": 0.9, "words": ((text, None),)} | changes
    return Mistake(**given)


def page(facts: Facts, *mistakes: Mistake, title: str = "a run", wrong: dict[str, int] | None = None) -> str:
    return report_page(facts, title, mistakes, wrong or {"test": 7, "manual": 1})


def words(text: str) -> str:
    return " ".join(Elements(text).text.split())


def test_the_headline_has_intervals_baselines_and_lifts(facts: Facts) -> None:
    shown = words(page(facts))
    for name in ("test", "manual"):
        accuracy = facts.metrics["splits"][name]["accuracy"]
        low, value, high = (100 * accuracy[key] for key in ("low", "value", "high"))
        assert f"{value:.1f}% right, {low:.1f} to {high:.1f}%" in shown
        assert f"this sample gave {low:.1f} to {high:.1f}%" in shown
    assert "lift +7.0 points (+1.2 to +13.1), p = 0.021 " in shown
    assert shown.count("these tweets do not tell the two apart") == 2  # the commoner class, on either split


def test_every_section_is_filled(facts: Facts) -> None:
    shown = words(page(facts, mistake()))
    for text in ("negation worse", "the temperature of 1.420", "0.057 (0.030 to 0.080) before, 0.030", "not known"):
        assert text in shown
    assert "abstain threshold, 0.710" in shown
    assert "85.0% are answered" in shown
    assert "manual, with the abstain threshold" in shown
    assert "The intervals are rough: rough." in shown
    assert "not audited" not in shown


@pytest.mark.parametrize("key", ["three_way", "leakage", "roc_auc"])
def test_what_not_every_split_has(facts: Facts, key: str) -> None:
    metrics = deepcopy(facts.metrics)
    for split in metrics["splits"].values():
        split.pop(key, None)
    shown = words(page(replace(facts, metrics=metrics), mistake()))
    assert ("The data of this run were not audited." in shown) == (key == "leakage")
    assert ("three-way accuracy" in shown) == (key != "three_way")


def test_a_run_without_test_and_manual(facts: Facts) -> None:
    metrics = facts.metrics | {"splits": {"validation": facts.metrics["splits"]["validation"]}}
    shown = words(page(replace(facts, metrics=metrics), mistake(split="validation"), wrong={"validation": 3}))
    assert "validation: 1 of 3." in shown


def test_the_surest_comes_first_and_how_many_there_are_is_said(facts: Facts) -> None:
    text = page(facts, mistake("second", positive=0.08), mistake("third"), mistake("first", positive=0.99))
    assert text.index("first") < text.index("second") < text.index("third")
    assert "test: 3 of 7; manual: 0 of 1." in words(text)


def test_no_mistakes(facts: Facts) -> None:
    assert "There are none." in words(page(facts, wrong={"test": 0, "manual": 0}))


@pytest.mark.parametrize("text", HOSTILE + HOSTILE_TWEETS)
def test_a_hostile_text_is_nothing_but_text(facts: Facts, text: str) -> None:
    """Wherever a text of a run may come from; the elements of the page are those of a harmless one."""

    def made(name: str) -> str:
        metrics = deepcopy(facts.metrics)
        metrics["splits"]["test"]["slices"][0]["name"] = name
        metrics["temperature"]["fitted_on"] = name
        return page(
            replace(facts, metrics=metrics), mistake(name, topic=name, words=((name, 0.5), (" ok", -1.0))), title=name
        )

    hostile, harmless = Elements(made(text)), Elements(made("harmless"))
    assert hostile.found == harmless.found
    assert hostile.raw == harmless.raw
    assert " ".join(readable(text).split()) in " ".join(hostile.text.split())


def test_nothing_is_fetched_and_nothing_but_its_own_script_runs(facts: Facts) -> None:
    text = page(facts, mistake())
    elements = Elements(text)
    policy = next(
        each["content"] for tag, each in elements.found if each.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(elements.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert [tag for tag, _ in elements.found].count("script") == 1
    for tag, attributes in elements.found:
        assert not {"src", "style"} & {*attributes}, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|innerHTML|eval\(", text)


def test_the_same_facts_give_the_same_bytes(facts: Facts) -> None:
    assert page(facts, mistake()) == page(facts, mistake())


# ---- words


def test_colours_are_on_one_scale() -> None:
    one = mistake(words=tuple((str(at), at / 100) for at in range(100)))
    assert scale_of([one]) == pytest.approx(0.94)
    assert scale_of([]) == scale_of([mistake()]) == 0
    shown = weighted((("up", 2.0), (" ", None), ("down", -0.5), ("hardly", 0.19), ("not", None)), 1.0)
    assert shown == ('<span class="p5" title="+2.00">up</span> <span class="n2" title="-0.50">down</span>hardlynot')
    assert weighted((("all", 0.0), ("zero", 0.0)), 0.0) == "allzero"


@pytest.mark.parametrize(
    "text",
    [
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    ],
)
def test_emoji_that_are_one_picture_stay_one(text: str) -> None:
    assert readable(f" a {text}") == f" a {text}"
    assert text in html.unescape(str(weighted(((text, 1.0),), 1.0)))


@pytest.mark.parametrize("text", HOSTILE + HOSTILE_TWEETS)
def test_what_is_readable_hides_nothing_else(text: str) -> None:
    assert " ".join(readable(text).replace("\u200d", "").split()) == plain(text)
    assert readable(readable(text)) == readable(text)


@pytest.mark.parametrize("text", ["a\u200db", "\u200d", "\U0001f600\u200d", "\u200d\U0001f600", "@\u200d\U0001f600"])
def test_a_joiner_that_joins_no_emoji_goes(text: str) -> None:
    assert "\u200d" not in readable(text)


# ---- numbers and pictures


def test_numbers_are_as_they_are_read() -> None:
    assert report.percent({"value": 0.84031, "low": 0.77, "high": 0.89}) == report.percent(0.84031) == "84.0%"
    assert report.limits({"value": 0.8, "low": 0.7712, "high": 0.891}, 100) == "77.1 to 89.1%"
    assert report.limits({"value": 0.8, "low": 0.7712, "high": 0.891}) == "0.771 to 0.891"
    assert report.limits(0.8) == report.limits({"value": 0.8}) == ""
    assert report.points({"value": -0.0123, "low": -0.05, "high": 0.03}) == "-1.2 points (-5.0 to +3.0)"
    assert [report.p_value(each) for each in (0.0004, 0.0213, 0.62)] == ["p < 0.001", "p = 0.021", "p = 0.62"]


def test_pictures_hold_what_they_are_given() -> None:
    strip = charts.strip([("model", 0.7, 0.8, 0.9), ("majority", 0.31, 0.4, 0.5)], "a < b")
    assert strip.count("<circle") == 2
    assert "30%" in strip
    assert 'aria-label="a &lt; b"' in strip
    many = charts.risk_coverage([(at / 5000, 0.1) for at in range(1, 5001)], (0.5, 0.04), "risk")
    assert len(re.findall(r"[\d.]+,[\d.]+", many)) <= 202
    assert charts.reliability([(0.1, 0.2)], [], "one bin").count("<circle") == 1
    assert charts.risk_coverage([], None, "nothing")
