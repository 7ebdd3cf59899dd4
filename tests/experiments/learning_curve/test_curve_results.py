"""``curve.json``, the table and the picture of trainings."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binomtest

from sentiment140_bert.experiments.learning_curve import pictures, results
from sentiment140_bert.experiments.learning_curve.results import Point


def point(accuracy: float, seed: int = 1, tweets: int = 400) -> Point:
    right = round(accuracy * tweets)
    interval = binomtest(right, tweets).proportion_ci(0.95, "wilson")
    split = {
        "n": tweets,
        "accuracy": {"value": right / tweets, "low": interval.low, "high": interval.high},
        "tfidf": {"value": 0.6, "low": 0.55, "high": 0.65},
        "majority": 0.5,
    }
    output = {"seed": seed, "run": f"points/{seed}", "state": "finished", "splits": {"test": split}}
    output |= {"seconds": 10.0, "tweets_per_second": 100.0, "cost": 1.0, "steps": 5, "machine": "a CPU"}
    return Point(output, {"test": np.random.default_rng(seed).permutation(np.arange(tweets) >= right)})


ACCURACIES = {100: 0.61, 1_000: 0.70, 10_000: 0.76, 100_000: 0.80}


def curve_of(accuracies: dict[int, float]) -> dict[str, Any]:
    points = {size: [point(value, 1), point(value + 0.01, 2)] for size, value in accuracies.items()}
    sizes = [
        {"size": size, "points": [dict(item.report) for item in some]}
        | results.average_points([entry.report for entry in some])
        | {"cost": 2.0}
        for size, some in points.items()
    ]
    failed = {"seed": 3, "run": "points/3", "state": "failed", "reason": "Training diverged: so | so.", "hint": ""}
    sizes[0]["points"].append(failed)
    return {
        "name": "mine",
        "data": {"splits": {"train": {"rows": 100_000}, "test": {"rows": 400}}},
        "recipe": {"model": {"model_name_or_path": "some/bert"}},
        "cut_short": None,
        "price_per_hour": 720.0,
        "sizes": sizes,
        "fits": {"test": results.fit_split("test", points)},
    }


def test_a_size_has_its_mean_and_both_intervals() -> None:
    output = [point(value, seed).report for seed, value in enumerate((0.70, 0.72, 0.74))]
    result = results.average_points(output)["scores"]["test"]
    assert (result["seeds"], result["accuracy"]) == (3, pytest.approx(0.72))
    assert (result["over_seeds"]["min"], result["over_seeds"]["max"]) == (0.70, 0.74)
    half = 4.302653 * 0.02 / np.sqrt(3)  # Student's t, two degrees of freedom
    assert result["over_seeds"]["high"] - 0.72 == pytest.approx(half, rel=1e-5)
    assert result["over_rows"]["low"] == pytest.approx(
        np.mean([item["splits"]["test"]["accuracy"]["low"] for item in output])
    )


def test_a_single_seed_has_no_interval_over_seeds() -> None:
    assert set(results.average_points([point(0.7).report])["scores"]["test"]["over_seeds"]) == {"min", "max"}
    assert results.average_points([{"state": "missing"}]) == {}


def test_the_fit_says_what_ten_times_as_many_would_bring() -> None:
    fit = curve_of(ACCURACIES)["fits"]["test"]
    ahead = fit["ahead"]
    assert ahead["size"] == 1_000_000
    assert ahead["accuracy"]["low"] <= ahead["accuracy"]["value"] <= ahead["accuracy"]["high"]
    assert ahead["accuracy"]["value"] > 0.80
    assert (fit["band"][0]["size"], fit["band"][-1]["size"]) == pytest.approx((100, 1_000_000))
    assert fit["band"][-1]["value"] == pytest.approx(ahead["accuracy"]["value"])
    assert (
        "If the curve continues, ten times as many training tweets (1,000,000) would bring an accuracy of "
        in fit["sentence"]
    )
    assert f"{ahead['accuracy']['value']:.4f}" in fit["sentence"]
    assert fit["floor_fitted"]


def test_three_sizes_have_no_floor_and_two_no_curve() -> None:
    three = curve_of({size: value for size, value in ACCURACIES.items() if size > 100})["fits"]["test"]
    assert not three["floor_fitted"]
    assert three["c"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    two = curve_of({100: 0.61, 1_000: 0.70})["fits"]["test"]
    assert two["refused"] == "No curve is fitted: 2 sizes are finished; at least 3 are needed."


def test_sizes_no_better_than_guessing_are_left_out() -> None:
    fit = curve_of({10: 0.5, 30: 0.52} | ACCURACIES)["fits"]["test"]
    assert fit["left_out"] == [10, 30]
    assert fit["n0"] == 100
    assert curve_of({10: 0.5, 30: 0.52, 100: 0.61})["fits"]["test"]["refused"] == (
        "No curve is fitted: 1 size is finished and significantly better than guessing; at least 3 are needed."
    )


def test_the_page_and_the_rows_say_what_the_curve_says() -> None:
    curve = curve_of(ACCURACIES)
    page = pictures.render_page(curve)
    assert "| 1,000 | 2 | 0.7050, 0.7000 to 0.7100 (" in page
    assert page.count("| 2.00 |") == 4
    assert r"Training diverged: so \| so." in page.split("## Missing")[1]
    assert curve["fits"]["test"]["sentence"] in page
    rows = list(csv.DictReader(io.StringIO(pictures.render_csv(curve))))
    assert len(rows) == 9
    assert [row["test_accuracy"] for row in rows[:3]] == ["0.61", "0.62", ""]
    assert (rows[2]["state"], rows[2]["reason"]) == ("failed", "Training diverged: so | so.")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("accuracies", [ACCURACIES, {100: 0.61}, {100: 0.5, 1_000: 0.5, 10_000: 0.49, 90_000: 0.5}])
def test_the_picture_is_the_same_for_the_same_curve(tmp_path: Path, accuracies: dict[int, float]) -> None:
    curve = curve_of(accuracies)
    for name in ("one.png", "two.png"):
        pictures.draw_curve(tmp_path / name, curve)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_a_reason_computes_nothing_in_a_spreadsheet() -> None:
    curve = curve_of(ACCURACIES)
    (failed,) = (point for size in curve["sizes"] for point in size["points"] if point.get("reason"))
    failed["reason"] = '=HYPERLINK("http://evil.example","x")'
    reasons = [row["reason"] for row in csv.DictReader(io.StringIO(pictures.render_csv(curve)))]
    assert [reason for reason in reasons if reason] == ["'" + failed["reason"]]
