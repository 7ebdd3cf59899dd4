"""The page of a report as text: its content, and that nothing on it can run or fetch."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cards_names import HOSTILE
from report_fixtures import HOSTILE_TWEETS, vary_facts
from report_page import Elements, make_mistake, read_tables, read_words, render
from sentiment140_bert.cards import charts, html_pages, metadata, report_page
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.markup import clean_controls
from sentiment140_bert.schemas import BASELINES, SCORE_LABELS, SCORES

pytest_plugins = "model_fixtures"


CALIBRATIONS = ("calibration", "calibrated")


@pytest.fixture(scope="module")
def facts(smallest_run: Path) -> Facts:
    return vary_facts(smallest_run, 1)


def join_words(text: str) -> str:
    return " ".join(text.replace("\u200d", "").split())


def format_percent(score: Any) -> str:
    return f"{100 * (score if isinstance(score, float) else score['value']):.1f}%"


def format_interval(score: dict[str, float], times: int = 1) -> str:
    return f"{100 * score['low']:.1f} to {100 * score['high']:.1f}%" if times == 100 else format_limits(score)


def format_limits(score: dict[str, float]) -> str:
    return f"{score['low']:.3f} to {score['high']:.3f}"


def test_every_table_shows_its_numbers(facts: Facts) -> None:
    splits = facts.metrics["splits"]
    names = ["test", "manual", "validation"]
    scored = [splits[name] for name in names]
    tables = read_tables(render(facts))
    labels = [SCORE_LABELS[name] for name in SCORES]

    def format_score(split: dict[str, Any], name: str) -> str:
        return f"{split[name]['value']:.3f} {format_limits(split[name])}" if name in split else "–"

    expected: dict[str, list[list[str]]] = {
        "scores": [
            ["", *names],
            ["tweets", *(str(split["n"]) for split in scored)],
            *(
                [label, *(format_score(split, name) for split in scored)]
                for label, name in zip(labels, SCORES, strict=True)
            ),
            *(
                [f"three-way {label}", *(format_score(split.get("three_way", {}), key) for split in scored)]
                for key, label in (("accuracy", "accuracy"), ("macro_recall", "macro recall"), ("macro_f1", "macro F1"))
            ),
            ["neutral tweets, left out above", *(str(split["neutral_left_out"]) for split in scored)],
        ],
        "leakage": [
            ["", *names],
            *(
                [what, *(format_leaks(split["leakage"][key], split["n"]) for split in scored)]
                for key, what in report_page.LEAKS.items()
            ),
        ],
    }
    assert tables["scores"][0] == expected["scores"]
    assert tables["leakage"] == [expected["leakage"]]
    for shown, name in zip(tables["slices"], names[:2], strict=True):
        assert shown[1:] == [
            [
                f"{part['name']} worse" if part["worse"] else part["name"],
                str(part["n"]),
                f"{format_percent(part['accuracy'])} {format_interval(part['accuracy'], 100)}",
                "",
                format_percent(part["rest"]),
                html_pages.format_p_value(part["p_value"]),
            ]
            for part in splits[name]["slices"]
        ]
    cells = (("true_negative", "false_positive"), ("false_negative", "true_positive"))
    matrices = [[[splits[name][cell]["value"] for cell in row] for row in cells] for name in names[:2]]
    matrices.append(splits["manual"]["three_way"]["matrix"])
    for shown, matrix in zip(tables["confusion"], matrices, strict=True):
        classes = ["negative", "positive"] if len(matrix) == 2 else ["negative", "neutral", "positive"]
        assert shown == [
            ["", *classes],
            *(
                [label, *(f"{count} {100 * count / max(1, sum(row)):.1f}%" for count in row)]
                for label, row in zip(classes, matrix, strict=True)
            ),
        ]


def format_leaks(count: int | None, n: int) -> str:
    return "not known" if count is None else f"{count} {100 * count / n:.1f}%" if count else "0"


def test_every_sentence_shows_its_numbers(facts: Facts) -> None:
    shown = read_words(render(facts, make_mistake()))
    missing = []
    for name in ("test", "manual"):
        split = facts.metrics["splits"][name]
        before, after = (split[key] for key in ("calibration", "calibrated"))
        sentences = [
            f"{name} {split['n']} {metadata.HEADLINES[name]}",
            f"{format_percent(split['accuracy'])} right, {format_interval(split['accuracy'], 100)}",
            f"Of many samples of {split['n']} such tweets, 95 in 100 would give",
            f"this sample gave {format_interval(split['accuracy'], 100)}.",
            f"calibration error {before['expected_calibration_error']['value']:.3f} "
            f"({format_limits(before['expected_calibration_error'])}) before, "
            f"{after['expected_calibration_error']['value']:.3f} "
            f"({format_limits(after['expected_calibration_error'])}) after;",
            f"Brier score {before['brier_score']['value']:.3f} and {after['brier_score']['value']:.3f}.",
            f"{format_percent(split['abstaining']['coverage'])} are covered "
            f"({format_interval(split['abstaining']['coverage'], 100)}), and of these "
            f"{format_percent(split['abstaining']['accuracy'])} right "
            f"({format_interval(split['abstaining']['accuracy'], 100)})",
        ]
        for key, title in (("tfidf", BASELINES["tfidf"]), ("majority", BASELINES["majority"])):
            baseline = split["baselines"][key]
            lift = {end: 100 * number for end, number in baseline["lift"].items()}
            sentences.append(
                f"{title} {format_percent(baseline['accuracy'])} {format_interval(baseline['accuracy'], 100)} "
                f"lift {lift['value']:+.1f} points "
                f"({lift['low']:+.1f} to {lift['high']:+.1f}), {html_pages.format_p_value(baseline['p_value'])}"
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
    """Follow the p-value, whatever the interval of a lift is."""
    wrong = []
    for p_value, (low, high) in itertools.product((0.001, 0.049, 0.051, 0.6), ((0.01, 0.09), (-0.05, 0.02))):
        metrics = deepcopy(facts.metrics)
        for split in metrics["splits"].values():
            for baseline in split["baselines"].values():
                baseline |= {"p_value": p_value, "lift": {"value": (low + high) / 2, "low": low, "high": high}}
        count = read_words(render(replace(facts, metrics=metrics))).count("the difference is not significant")
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
        label = "; ".join(
            f"{key} {format_percent(score)} ({format_interval(score, 100)})" for key, score in rows.items()
        )
        marks = [(key, score["low"], score["value"], score["high"]) for key, score in rows.items()]
        expected.append(charts.draw_strip(marks, f"Accuracy: {label}"))
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
        expected.append(charts.draw_risk_coverage(points, chosen, f"Risk on {name} by share of tweets answered"))
    assert pictures(render(facts)) == expected


def test_no_prediction_above_the_threshold(facts: Facts) -> None:
    metrics = deepcopy(facts.metrics)
    for split in metrics["splits"].values():
        split["abstaining"] = {"answered": 0, "coverage": {"value": 0.0, "low": 0.0, "high": 0.1}}
    text = render(replace(facts, metrics=metrics))
    assert "% are covered (" not in read_words(text)
    assert 'class="chosen"' not in text


@pytest.mark.parametrize("key", ["three_way", "leakage", "roc_auc"])
def test_parts_that_only_some_splits_have(facts: Facts, key: str) -> None:
    metrics = deepcopy(facts.metrics)
    for split in metrics["splits"].values():
        split.pop(key, None)
    shown = read_words(render(replace(facts, metrics=metrics), make_mistake()))
    assert ("This run has no leakage report." in shown) == (key == "leakage")
    assert ("three-way accuracy" in shown) == (key != "three_way")


def test_a_run_without_test_and_manual(facts: Facts) -> None:
    metrics = facts.metrics | {"splits": {"validation": facts.metrics["splits"]["validation"]}}
    shown = read_words(
        render(replace(facts, metrics=metrics), make_mistake(split="validation"), wrong={"validation": 3})
    )
    assert "validation: 1 of 3." in shown


def test_most_confident_mistakes_come_first_with_their_number(facts: Facts) -> None:
    text = render(
        facts,
        make_mistake("second", prediction="negative", confidence=0.92),
        make_mistake("third"),
        make_mistake("first", confidence=0.99),
    )
    assert text.index("first") < text.index("second") < text.index("third")
    assert "test: 3 of 7; manual: 0 of 1." in read_words(text)


def test_no_mistakes(facts: Facts) -> None:
    assert "There are no mistakes." in read_words(render(facts, wrong={"test": 0, "manual": 0}))


def test_a_hostile_text_is_nothing_but_text(facts: Facts) -> None:
    """Put it everywhere a text of a run may come from; the page has the same elements as a harmless one."""

    def build(name: str) -> Elements:
        metrics = deepcopy(facts.metrics)
        metrics["splits"]["test"]["slices"][0]["name"] = name
        metrics["temperature"]["fitted_on"] = name
        hostile = make_mistake(name, topic=name, words=((name, 0.5), (" ok", -1.0)))
        return Elements(render(replace(facts, metrics=metrics), hostile, title=name))

    harmless = build("harmless")
    for text in HOSTILE + HOSTILE_TWEETS:
        hostile = build(text)
        assert hostile.elements == harmless.elements, text
        assert hostile.raw == harmless.raw, text
        assert join_words(hostile.text).count(join_words(clean_controls(text))) >= 4, text  # wherever it was put
        assert " ".join(clean_controls(text).split()) in " ".join(hostile.text.split()), text


def test_nothing_is_fetched_and_nothing_but_its_own_script_runs(facts: Facts) -> None:
    text = render(facts, make_mistake())
    elements = Elements(text)
    contents = {attributes.get("http-equiv"): attributes.get("content") for _, attributes in elements.elements}
    policy = contents["Content-Security-Policy"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    for tag in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(elements.raw[tag].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert [tag for tag, _ in elements.elements].count("script") == 1
    for tag, attributes in elements.elements:
        assert not {"src", "style"} & {*attributes}, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert (attributes.get("href") or "#").startswith(("#", "data:")), tag
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|innerHTML|eval\(", text)


def test_the_same_facts_give_the_same_bytes(facts: Facts) -> None:
    assert render(facts, make_mistake()) == render(facts, make_mistake())
