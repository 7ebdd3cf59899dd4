"""The page of a report as text: what stands on it, and that nothing on it can run or fetch."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import re
import unicodedata
from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards_names import HOSTILE
from report_fixtures import HOSTILE_TWEETS, full_metrics
from sentiment140_bert.cards import charts, metadata, report
from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.cards.markup import clean_controls, flatten
from sentiment140_bert.cards.report import Mistake, color_words, find_color_scale, render_report
from sentiment140_bert.recipe import SCORES
from sentiment140_bert.run import RunDir
from sentiment140_bert.shapes import BASELINES

pytest_plugins = "model_fixtures"


SCORE_NAMES = {"f1": "F1", "roc_auc": "ROC AUC", "matthews_correlation": "Matthews correlation"}
CALIBRATIONS = ("calibration", "calibrated")


class Tables(HTMLParser):
    """The tables of each section as rows of cells, by the section's id."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, list[list[list[str]]]] = {}
        self.section = ""
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "section":
            self.section = str(dict(attrs)["id"])
            self.found[self.section] = []
        elif tag == "table":
            self.found[self.section].append([])
        elif tag == "tr":
            self.found[self.section][-1].append([])
        elif tag in ("td", "th"):
            self.found[self.section][-1][-1].append("")
            self.inside = True
        elif tag == "small":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self.inside:
            row = self.found[self.section][-1][-1]
            row[-1] = (row[-1] + data.replace("\n", " ")).lstrip()


def tables(text: str) -> dict[str, list[list[list[str]]]]:
    parser = Tables()
    parser.feed(re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL))
    return {
        section: [[[" ".join(cell.split()) for cell in row] for row in table] for table in some]
        for section, some in parser.found.items()
    }


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
        if tag in ("dt", "dd"):
            self.text += " "
        self.inside = tag

    def handle_data(self, data: str) -> None:
        if self.inside in ("style", "script"):
            self.raw[self.inside] = self.raw.get(self.inside, "") + data
        else:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""


@pytest.fixture(scope="module")
def facts(smallest_run: Path) -> Facts:
    """With every key that ``metrics.json`` may hold, and numbers that are all different."""
    found = read_facts(smallest_run)
    metrics = full_metrics(deepcopy(found.metrics), pq.read_table(RunDir(smallest_run).predictions).to_pylist())
    random = Random(1)

    def differing(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: differing(value) for key, value in content.items()}
        if isinstance(content, list):
            return [differing(value) for value in content]
        return random.random() if type(content) is float else content

    return replace(found, metrics=metrics | {"splits": differing(metrics["splits"])})


def mistake(text: str = "a tweet", **changes: Any) -> Mistake:
    given = {"split": "test", "label": "negative", "positive": 0.9, "words": ((text, None),)} | changes
    return Mistake(**given)


def page(facts: Facts, *mistakes: Mistake, title: str = "a run", wrong: dict[str, int] | None = None) -> str:
    return render_report(facts, title, mistakes, wrong or {"test": 7, "manual": 1})


def words_of(text: str) -> str:
    return " ".join(text.replace("\u200d", "").split())


def words(text: str) -> str:
    return " ".join(Elements(text).text.split())


def per_cent(score: Any) -> str:
    return f"{100 * (score if isinstance(score, float) else score['value']):.1f}%"


def between(score: dict[str, float], times: int = 1) -> str:
    return f"{100 * score['low']:.1f} to {100 * score['high']:.1f}%" if times == 100 else three(score)


def three(score: dict[str, float]) -> str:
    return f"{score['low']:.3f} to {score['high']:.3f}"


def test_every_table_shows_its_numbers(facts: Facts) -> None:
    splits = facts.metrics["splits"]
    names = ["test", "manual", "validation"]
    scored = [splits[name] for name in names]
    found = tables(page(facts))
    labels = [SCORE_NAMES.get(name, name.replace("_", " ")) for name in SCORES]

    def with_limits(split: dict[str, Any], name: str) -> str:
        return f"{split[name]['value']:.3f} {three(split[name])}" if name in split else "–"

    expected: dict[str, list[list[str]]] = {
        "scores": [
            ["", *names],
            ["tweets", *(str(split["n"]) for split in scored)],
            *(
                [label, *(with_limits(split, name) for split in scored)]
                for label, name in zip(labels, SCORES, strict=True)
            ),
            *(
                [f"three-way {label}", *(with_limits(split.get("three_way", {}), key) for split in scored)]
                for key, label in (("accuracy", "accuracy"), ("macro_recall", "macro recall"), ("macro_f1", "macro F1"))
            ),
            ["neutral tweets, left out above", *(str(split["neutral_left_out"]) for split in scored)],
        ],
        "leakage": [
            ["", *names],
            *(
                [what, *(of_leaks(split["leakage"][key], split["n"]) for split in scored)]
                for key, what in report.LEAKS.items()
            ),
        ],
    }
    assert found["scores"][0] == expected["scores"]
    assert found["leakage"] == [expected["leakage"]]
    for shown, name in zip(found["slices"], names[:2], strict=True):
        assert shown[1:] == [
            [
                f"{part['name']} worse" if part["worse"] else part["name"],
                str(part["n"]),
                f"{per_cent(part['accuracy'])} {between(part['accuracy'], 100)}",
                "",
                per_cent(part["rest"]),
                report.format_p_value(part["p_value"]),
            ]
            for part in splits[name]["slices"]
        ]
    cells = (("true_negative", "false_positive"), ("false_negative", "true_positive"))
    matrices = [[[splits[name][cell]["value"] for cell in row] for row in cells] for name in names[:2]]
    matrices.append(splits["manual"]["three_way"]["matrix"])
    for shown, matrix in zip(found["confusion"], matrices, strict=True):
        classes = ["negative", "positive"] if len(matrix) == 2 else ["negative", "neutral", "positive"]
        assert shown == [
            ["", *classes],
            *(
                [label, *(f"{count} {100 * count / max(1, sum(row)):.1f}%" for count in row)]
                for label, row in zip(classes, matrix, strict=True)
            ),
        ]


def of_leaks(count: int | None, n: int) -> str:
    return "not known" if count is None else f"{count} {100 * count / n:.1f}%" if count else "0"


def test_every_sentence_shows_its_numbers(facts: Facts) -> None:
    shown = words(page(facts, mistake()))
    missing = []
    for name in ("test", "manual"):
        split = facts.metrics["splits"][name]
        before, after = (split[key] for key in ("calibration", "calibrated"))
        sentences = [
            f"{name} {split['n']} {metadata.HEADLINES[name]}",
            f"{per_cent(split['accuracy'])} right, {between(split['accuracy'], 100)}",
            f"Of many samples of {split['n']} such tweets, 95 in 100 would give",
            f"this sample gave {between(split['accuracy'], 100)}.",
            f"calibration error {before['expected_calibration_error']['value']:.3f} "
            f"({three(before['expected_calibration_error'])}) before, "
            f"{after['expected_calibration_error']['value']:.3f} ({three(after['expected_calibration_error'])}) after;",
            f"Brier score {before['brier_score']['value']:.3f} and {after['brier_score']['value']:.3f}.",
            f"{per_cent(split['abstaining']['coverage'])} are covered "
            f"({between(split['abstaining']['coverage'], 100)}), and of these "
            f"{per_cent(split['abstaining']['accuracy'])} right ({between(split['abstaining']['accuracy'], 100)})",
        ]
        for key, title in (("tfidf", BASELINES["tfidf"]), ("majority", BASELINES["majority"])):
            baseline = split["baselines"][key]
            lift = {end: 100 * number for end, number in baseline["lift"].items()}
            sentences.append(
                f"{title} {per_cent(baseline['accuracy'])} {between(baseline['accuracy'], 100)} "
                f"lift {lift['value']:+.1f} points "
                f"({lift['low']:+.1f} to {lift['high']:+.1f}), {report.format_p_value(baseline['p_value'])}"
            )
        missing += [sentence for sentence in sentences if sentence not in shown]
    missing += [
        sentence
        for sentence in (
            "after the temperature of 1.420, fitted on validation",
            "The intervals are rough: rough.",
            "the abstain threshold, 0.710:",
            "(shares: Wilson; the others: stratified bootstrap, 1,000 resamples, seed 0)",
        )
        if sentence not in shown
    ]
    assert missing == []
    assert "no leakage report" not in shown


def test_the_p_value_tells_models_apart_and_not_the_interval(facts: Facts) -> None:
    """Whatever the interval of a lift holds."""
    wrong = []
    for p_value, (low, high) in itertools.product((0.001, 0.049, 0.051, 0.6), ((0.01, 0.09), (-0.05, 0.02))):
        metrics = deepcopy(facts.metrics)
        for split in metrics["splits"].values():
            for baseline in split["baselines"].values():
                baseline |= {"p_value": p_value, "lift": {"value": (low + high) / 2, "low": low, "high": high}}
        count = words(page(replace(facts, metrics=metrics))).count("the difference is not significant")
        if count != (4 if p_value > 0.05 else 0):  # two baselines on either split
            wrong.append((p_value, low, high, count))
    assert wrong == []


def pictures(text: str) -> list[str]:
    return re.findall(r"<svg.*?</svg>", text, re.DOTALL)


def test_every_picture_shows_its_numbers(facts: Facts) -> None:
    splits = [(name, facts.metrics["splits"][name]) for name in ("test", "manual")]
    expected = []
    for _, split in splits:
        rows = {"model": split["accuracy"]}
        rows |= {key: split["baselines"][key]["accuracy"] for key in ("tfidf", "majority")}
        said = "; ".join(f"{key} {per_cent(score)} ({between(score, 100)})" for key, score in rows.items())
        marks = [(key, score["low"], score["value"], score["high"]) for key, score in rows.items()]
        expected.append(charts.draw_strip(marks, f"Accuracy: {said}"))
    for _, split in splits:
        ends = [[part["accuracy"][end] for end in ("low", "value", "high")] for part in split["slices"]]
        start = min(0.9, min(int(10 * low) / 10 for low, _, _ in ends))
        expected += [charts.draw_whisker(*some, split["accuracy"]["value"], start) for some in ends]
    for name, split in splits:
        before, after = ([(part["predicted"], part["observed"]) for part in split[key]["bins"]] for key in CALIBRATIONS)
        expected.append(
            charts.draw_reliability(before, after, f"Reliability on {name}: observed share over predicted probability")
        )
    for name, split in splits:
        points = [(point["coverage"], point["risk"]) for point in split["risk_coverage"]]
        chosen = (split["abstaining"]["coverage"]["value"], 1 - split["abstaining"]["accuracy"]["value"])
        expected.append(
            charts.draw_risk_coverage(points, chosen, f"Risk on {name} by the share of tweets that are answered")
        )
    assert pictures(page(facts)) == expected


def test_where_no_answer_is_sure_enough(facts: Facts) -> None:
    metrics = deepcopy(facts.metrics)
    for split in metrics["splits"].values():
        split["abstaining"] = {"answered": 0, "coverage": {"value": 0.0, "low": 0.0, "high": 0.1}}
    text = page(replace(facts, metrics=metrics))
    assert "% are covered (" not in words(text)
    assert 'class="chosen"' not in text


@pytest.mark.parametrize("key", ["three_way", "leakage", "roc_auc"])
def test_what_not_every_split_has(facts: Facts, key: str) -> None:
    metrics = deepcopy(facts.metrics)
    for split in metrics["splits"].values():
        split.pop(key, None)
    shown = words(page(replace(facts, metrics=metrics), mistake()))
    assert ("This run has no leakage report." in shown) == (key == "leakage")
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


def test_a_hostile_text_is_nothing_but_text(facts: Facts) -> None:
    """Wherever a text of a run may come from; the elements of the page are those of a harmless one."""

    def made(name: str) -> Elements:
        metrics = deepcopy(facts.metrics)
        metrics["splits"]["test"]["slices"][0]["name"] = name
        metrics["temperature"]["fitted_on"] = name
        hostile = mistake(name, topic=name, words=((name, 0.5), (" ok", -1.0)))
        return Elements(page(replace(facts, metrics=metrics), hostile, title=name))

    harmless = made("harmless")
    for text in HOSTILE + HOSTILE_TWEETS:
        hostile = made(text)
        assert hostile.found == harmless.found, text
        assert hostile.raw == harmless.raw, text
        assert words_of(hostile.text).count(words_of(clean_controls(text))) >= 4, text  # wherever it was put
        assert " ".join(clean_controls(text).split()) in " ".join(hostile.text.split()), text


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


WEIGHTS = st.lists(st.none() | st.floats(-5, 5) | st.sampled_from([0.0, 1.0, -1.0]), max_size=30)


@given(st.lists(WEIGHTS, max_size=4))
def test_the_strongest_colour_begins_above_19_of_20_words(pages: list[list[float | None]]) -> None:
    """Whichever side they speak for."""
    sizes = [abs(weight) for weights in pages for weight in weights if weight is not None]
    expected = float(np.quantile(sizes, 0.95, method="lower")) if sizes else 0
    assert (
        find_color_scale([mistake(words=tuple(("word", weight) for weight in weights)) for weights in pages])
        == expected
    )


@given(st.none() | st.floats(-5, 5) | st.sampled_from([0.2, 0.4, -0.4, -0.2, 1.0]), st.sampled_from([0.0, 1.0, 2.5]))
def test_a_word_has_the_colour_of_its_weight(weight: float | None, scale: float) -> None:
    level = next((step for step in range(5, 0, -1) if scale and weight and abs(weight) * 5 / scale >= step), 0)
    expected = "a&lt;b"
    if level and weight:
        expected = f'<span class="{"p" if weight > 0 else "n"}{level}" title="{weight:+.2f}">a&lt;b</span>'
    assert color_words((("a<b", weight),), scale) == expected
    assert color_words(((" ", weight), ("b", None)), scale) == " b"


def test_emoji_that_are_one_picture_stay_one() -> None:
    for text in (
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\u2764\ufe0f\u200d\U0001f525",
        "\U0001f9d1\U0001f3fd\u200d\U0001f680",
    ):
        assert clean_controls(f" a {text}") == f" a {text}"
        assert text in html.unescape(str(color_words(((text, 1.0),), 1.0)))
    for text in (
        "a\u200db",
        "\u200d",
        "\U0001f600\u200d",
        "\u200d\U0001f600",
        "@\u200d\U0001f600",
        "\U0001f600\u200d1",
    ):
        assert "\u200d" not in clean_controls(text), ascii(text)


@given(
    st.text()
    | st.sampled_from(HOSTILE + HOSTILE_TWEETS)
    | st.text(alphabet=" \t\n\u2028\xad\u200b\ue000ab\U0001f600\u200d")
)
def test_what_is_readable_hides_nothing_else(text: str) -> None:
    """White space at the ends stays, as one blank; a joiner stays between emoji alone."""
    found = clean_controls(text)
    assert " ".join(found.replace("\u200d", "").split()) == flatten(text)
    assert clean_controls(found) == found
    blank = {"Cc", "Zl", "Zp", "Zs"}
    shown = [unicodedata.category(sign) for sign in text if unicodedata.category(sign) not in ("Cf", "Cs", "Co")]
    assert found.startswith(" ") == (shown[:1] != [] and shown[0] in blank)
    assert found.endswith(" ") == (shown[-1:] != [] and shown[-1] in blank)
    assert "  " not in found


# ---- numbers and pictures


def test_numbers_are_as_they_are_read() -> None:
    assert (
        report.format_percent({"value": 0.84031, "low": 0.77, "high": 0.89})
        == report.format_percent(0.84031)
        == "84.0%"
    )
    assert report.format_limits({"value": 0.8, "low": 0.7712, "high": 0.891}, 100) == "77.1 to 89.1%"
    assert report.format_limits({"value": 0.8, "low": 0.7712, "high": 0.891}) == "0.771 to 0.891"
    assert report.format_limits(0.8) == report.format_limits({"value": 0.8}) == ""
    assert report.format_points({"value": -0.0123, "low": -0.05, "high": 0.03}) == "-1.2 points (-5.0 to +3.0)"
    numbers = (0.0, 0.00099, 0.001, 0.0213, 0.0999, 0.1, 0.62, 1.0)
    shown = ["p < 0.001", "p < 0.001", "p = 0.001", "p = 0.021", "p = 0.100", "p = 0.10", "p = 0.62", "p = 1.00"]
    assert [report.format_p_value(number) for number in numbers] == shown
    assert report.format_points({"value": 0.0123}) == "+1.2 points"


def test_an_answer_is_the_likelier_side() -> None:
    """At exactly one half it is positive, as the scores have it."""
    answers = [
        (mistake(positive=share).prediction, mistake(positive=share).confidence) for share in (0.0, 0.49, 0.5, 0.9)
    ]
    assert answers == [("negative", 1.0), ("negative", 0.51), ("positive", 0.5), ("positive", 0.9)]
