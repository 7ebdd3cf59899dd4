"""A pytest plugin for tests of the report: a run with all that ``s140 evaluate`` writes, and tweets that mean harm."""

from __future__ import annotations

import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentiment140_bert.cards.facts import Facts, read_facts
from sentiment140_bert.run import RunDir

HOSTILE_TWEETS = [
    *("<script>alert(1)</script> so bad", "</script></style><img src=x onerror=\"document.title='evil'\"> meh"),
    '"quotes\' & <b>bold</b> &lt;i&gt; " onclick="document.title=\'evil\'" x="',
    "right \u202eto left\u202c zero\u200bwidth, glad",
    "@some_user_of_ours and @\u200bhidden_user see http://twitpic.com/secret_user &amp; smile 👨\u200d👩\u200d👧",
    *("averyveryverylongwordwithoutanyspaceatall" * 6, "مرحبا يا صديقي what a day"),
    "{{ 7 * 7 }} {% raw %} ${1 + 1} --> ]]>",
]


def score(value: float, by: float = 0.05) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - by), "high": min(1.0, value + by)}


def full_split(split: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a split with invented scores that are easy to recognize on the page."""
    accuracy, n = split["accuracy"]["value"], split["n"]
    sure = sorted((abs(row["positive"] - 0.5) + 0.5 for row in rows if row["label"] != 2), reverse=True)
    wrong = split["false_positive"]["value"] + split["false_negative"]["value"]
    coverage = [
        {"coverage": at / 20, "risk": wrong / n * (at / 20) ** 1.5, "confidence": sure[max(0, n * at // 20 - 1)]}
        for at in range(1, 21)
    ]
    bins = split["calibration"]["bins"]
    softer = [place | {"predicted": 0.5 + (place["predicted"] - 0.5) * 0.85} for place in bins]
    slices = [
        ("negation", 41, score(0.72, 0.14), 0.88, 0.0004, True),
        ("21 to 40 characters", 30, score(0.83, 0.12), 0.84, 0.9, False),
        ("mentions", 52, score(0.87, 0.09), 0.83, 0.62, False),
        ("emoji", 12, score(0.92, 0.08), 0.84, 0.7, False),
        ("contrast words", 18, score(0.67, 0.2), 0.86, 0.06, False),
    ]
    abstaining = {"coverage": score(0.85, 0.03), "accuracy": score(min(1, accuracy + 0.04)), "answered": n * 17 // 20}
    calibration = {"expected_calibration_error": score(0.03, 0.02)}
    keys = ("name", "n", "accuracy", "rest", "p_value", "worse")
    full = {
        "risk_coverage": coverage,
        "abstaining": abstaining,
        "calibrated": {"bins": softer, "brier_score": score(0.12, 0.02)} | calibration,
        "baselines": {
            name: {
                "accuracy": score(accuracy - lift),
                "lift": {"value": lift, "low": lift - 0.06, "high": lift + 0.06},
                "p_value": p_value,
            }
            for name, lift, p_value in (("majority", accuracy - 0.5, 0.31), ("tfidf", 0.07, 0.0213))
        },
        "slices": [dict(zip(keys, row, strict=True)) for row in slices],
        "leakage": {"exact": 0, "near": 3, "same_user": None, "overlapping_in_time": None},
    }
    neutral = [row for row in rows if row["label"] == 2]
    if neutral:
        sides = sum(row["positive"] >= 0.5 for row in neutral)
        full["three_way"] = {
            "n": n + len(neutral),
            "accuracy": score(0.66),
            "macro_recall": score(0.61),
            "macro_f1": score(0.6),
            "recall": {"negative": score(0.8), "neutral": score(0.3), "positive": score(0.7)},
            "matrix": [[30, 4, 2], [len(neutral) - sides - 5, 8, sides - 3], [9, 5, 22]],
        }
    return split | full


def full_metrics(metrics: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return ``metrics.json`` with them."""
    splits = {
        name: full_split(split, [row for row in rows if row["split"] == name])
        for name, split in metrics["splits"].items()
    }
    return metrics | {
        "splits": splits,
        "temperature": {"value": 1.42, "fitted_on": "validation", "n": 72},
        "abstention": {"threshold": 0.71, "share": 0.15},
        "intervals": {"level": 0.95, "shares": "Wilson", "others": "stratified bootstrap", "calibration_error": "rough"}
        | {"resamples": 1000, "seed": 0},
    }


def vary_facts(run: Path, seed: int) -> Facts:
    """Return a run's facts with every key that ``metrics.json`` may hold, and numbers that are all different."""
    facts, random = read_facts(run), Random(seed)
    metrics = full_metrics(deepcopy(facts.metrics), pq.read_table(RunDir(run).predictions).to_pylist())

    def vary(content: Any) -> Any:
        if isinstance(content, dict):
            return {key: vary(value) for key, value in content.items()}
        if isinstance(content, list):
            return [vary(value) for value in content]
        return random.random() if type(content) is float else content

    return replace(facts, metrics=metrics | {"splits": vary(metrics["splits"])})


def write_predictions(run: RunDir, rows: list[dict[str, Any]]) -> None:
    types = dict.fromkeys(("split", "text", "topic"), pa.string()) | {"label": pa.int8(), "positive": pa.float64()}
    pq.write_table(pa.Table.from_pylist(rows, pa.schema(types)), run.predictions)


def wrong_rows(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    """Return the wrong predictions of a split, the most confident first."""
    own_rows = [row for row in rows if row["split"] == split and row["label"] != 2]
    wrong = [row for row in own_rows if (row["positive"] >= 0.5) != (row["label"] == 1)]
    return sorted(wrong, key=lambda row: -abs(row["positive"] - 0.5))


@pytest.fixture(scope="session")
def scored_run(smallest_run: Path, tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """Return the run with all files of scoring and some malicious tweets among its mistakes; not to be changed."""
    folder = tmp_path_factory.mktemp("scored") / "scored"
    run = RunDir(shutil.copytree(smallest_run, folder))
    rows = pq.read_table(run.predictions).to_pylist()
    wrong = wrong_rows(rows, "test") + wrong_rows(rows, "manual")
    assert len(wrong) >= len(HOSTILE_TWEETS)
    for row, text in zip(wrong, HOSTILE_TWEETS, strict=False):
        row["text"] = text
    write_predictions(run, rows)
    return run
