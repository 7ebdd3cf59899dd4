"""The results of a learning curve, from the run directories of its trainings: ``curve.json`` and what is made of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.learning_curve import fit, pictures
from sentiment140_bert.experiments.learning_curve.fit import PowerLaws
from sentiment140_bert.experiments.learning_curve.plan import FAILED, FINISHED, SPLITS, CurveDir, Plan
from sentiment140_bert.files import write_json, write_text
from sentiment140_bert.recipe import parse_recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import RunDir, suggest_remedy
from sentiment140_bert.schemas.experiments import (
    Curve,
    CurveAhead,
    CurveFit,
    CurvePoint,
    CurveSize,
    CurveSplit,
    MeanAccuracy,
)
from sentiment140_bert.schemas.metrics import MeasuredScore

log = logging.getLogger(__name__)
METRICS = ("accuracy", "f1", "log_loss", "roc_auc")  # of a split, in curve.json
SUBSET_KEYS = ("size", "fingerprint", "train", "sha256_in_next")  # of plan.json, in curve.json
BAND_POINTS = 60  # places at which the fitted curve is drawn
TWEETS = {"test": "the test tweets", "manual": "the hand-labeled tweets"}
Wrong = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """One training.

    Args:
        report: The entry in ``curve.json``: ``seed``, ``state``, ``splits`` (``n``, ``accuracy``, ``tfidf``,
            ``majority``), …
        wrong: Tweets that a finished training predicts wrongly, by split.
    """

    report: CurvePoint
    wrong: Mapping[str, Wrong]

    @property
    def is_finished(self) -> bool:
        return bool(self.report["state"] == FINISHED)


def write_results(home: CurveDir) -> Curve:
    """Write ``curve.json`` and what is made of it: ``curve.csv``, ``curve.png`` and ``README.md``.

    Args:
        home: With its ``plan.json``.

    Returns:
        The content of ``curve.json``.

    Raises:
        RunError: A file of a finished training is missing or damaged.
    """
    curve = make_curve(home)
    write_text(home.path / "curve.csv", pictures.render_csv(curve))
    pictures.draw_curve(home.path / "curve.png", curve)
    write_text(home.path / "README.md", pictures.render_page(curve))
    write_json(home.curve, curve)
    return curve


def make_curve(home: CurveDir) -> Curve:
    """Return the content of ``curve.json`` (docs/learning_curve.md lists its keys)."""
    plan = RunDir(home.path).read(home.plan, Plan)
    price, data = plan.get("price_per_hour"), plan["data"]
    recipe = parse_recipe(plan["recipe"], str(home.plan))
    hashes = {name: data["splits"][name]["sha256"] for name in SPLITS if name in data["splits"]}
    sizes: list[CurveSize] = []
    finished = {}
    for subset in plan["subsets"]:
        points = [read_point(home, home.run(subset["size"], seed), seed, hashes, price) for seed in plan["seeds"]]
        finished[subset["size"]] = [point for point in points if point.is_finished]
        reports = [point.report for point in points]
        cost = None if price is None else sum(point.report["cost"] or 0.0 for point in finished[subset["size"]])
        described = {key: value for key, value in subset.items() if key in SUBSET_KEYS}
        sizes.append(cast(CurveSize, described | {"points": reports} | average_points(reports) | {"cost": cost}))
    runs = [home.run(subset["size"], seed) for subset in plan["subsets"] for seed in plan["seeds"]]
    base = next((run.read_environment()["base_model"]["name"] for run in runs if run.is_run()), None)
    done = [point for points in finished.values() for point in points]
    return {
        "name": plan["name"],
        "group": plan["group"],
        "recipe": make_public(recipe, base, data["sources"]["training"]["on_hub"]).to_dict(),
        "data": data,
        "seeds": plan["seeds"],
        "cut_short": plan["cut_short"],
        "price_per_hour": price,
        "sizes": sizes,
        "fits": {split: fit_split(split, finished) for split in hashes},
        "trainings": {
            "planned": len(plan["subsets"]) * len(plan["seeds"]),
            "finished": len(done),
            "seconds": round(sum(point.report["seconds"] for point in done), 2),
        },
    }


def read_point(
    home: CurveDir, run: RunDir, seed: int, hashes: Mapping[str, str], price_per_hour: float | None
) -> Point:
    """Read a training's part of ``curve.json``, and which tweets its model predicts wrongly.

    Args:
        home: The curve.
        run: The training.
        seed: Seed of the training.
        hashes: Hashes of the tweets of each split, from ``data.json``.
        price_per_hour: Price of the machine.

    Raises:
        RunError: A file of it is missing or damaged, or it was scored on other tweets.
    """
    state = home.find_state(run)
    report: CurvePoint = {"seed": seed, "run": f"points/{run.path.name}", "state": state}
    if state == FAILED:
        failure = home.read_failures()[run.path.name]
        report |= {"reason": failure["reason"], "hint": failure["hint"]}
    if state != FINISHED:
        return Point(report, {})
    metrics = run.read_metrics()
    environment = run.read_environment()
    predictions = series.read_answers(run, SPLITS)
    scored = {name for name, split in metrics["splits"].items() if "majority" in split.get("baselines", {})}
    if {name: split.sha256 for name, split in predictions.items()} != hashes or not scored >= predictions.keys():
        raise RunError(
            f"{run.path} was not scored on the tweets of this curve, or {run.predictions.name} is damaged.",
            suggest_remedy(run.predictions),
        )
    training = environment["training"]
    report |= {
        "splits": {name: _pick_scores(metrics["splits"][name], split.sha256) for name, split in predictions.items()},
        "data_fingerprint": metrics["data_fingerprint"],
        "weights_sha256": metrics["weights_sha256"],
        "steps": training["steps"],
        "best_step": training["best_step"],
        "seconds": training["seconds"],
        "tweets_per_second": training["tweets_per_second"],
        "cost": None if price_per_hour is None else training["seconds"] / 3600 * price_per_hour,
        "machine": environment["gpu"] or environment["cpu"],
        "precision": environment["precision"]["name"],
    }
    return Point(report, {name: ~split.right for name, split in predictions.items()})


def _pick_scores(split: schemas.SplitScores, rows_sha256: str) -> CurveSplit:
    tfidf = split["baselines"].get("tfidf")
    scores = {
        "n": split["n"],
        **{name: score for name in METRICS if (score := schemas.get_score(split, name))},
        "tfidf": tfidf and tfidf["accuracy"],
        "lift": tfidf and tfidf["lift"],
        "majority": split["baselines"]["majority"]["accuracy"]["value"],
        "rows_sha256": rows_sha256,
    }
    return cast(CurveSplit, scores)


def average_points(reports: Sequence[CurvePoint]) -> dict[str, Any]:
    """Average the finished trainings of a size.

    Args:
        reports: The ``report`` of each point; those that failed or are missing are left out.

    Returns:
        ``scores`` by split: ``seeds`` (how many), ``accuracy`` (its mean), ``over_seeds`` (``min``, ``max``, and of two
        or more ``low`` and ``high`` of the mean's t interval), ``over_rows`` (the means of the seeds' Wilson limits);
        ``tfidf`` by split; ``seconds`` and ``tweets_per_second``, means. Empty without a finished one.
    """
    finished = [report for report in reports if report["state"] == FINISHED]
    if not finished:
        return {}
    first = finished[0]["splits"]
    splits = [name for name in SPLITS if name in first]
    return {
        "scores": {name: _average([report["splits"][name]["accuracy"] for report in finished]) for name in splits},
        "tfidf": {name: first[name]["tfidf"] for name in splits if first[name]["tfidf"]},
        **{
            name: round(float(np.mean([report[name] for report in finished])), 2)
            for name in ("seconds", "tweets_per_second")
        },
    }


def _average(accuracies: Sequence[MeasuredScore]) -> MeanAccuracy:
    values = np.array([accuracy["value"] for accuracy in accuracies])
    mean = float(values.mean())
    over_seeds = {"min": float(values.min()), "max": float(values.max())}
    if len(values) > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + fit.LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        over_seeds |= {"low": mean - half, "high": mean + half}
    over_rows = {name: float(np.mean([accuracy[name] for accuracy in accuracies])) for name in ("low", "high")}
    return {"seeds": len(values), "accuracy": mean, "over_seeds": over_seeds, "over_rows": over_rows}


def fit_split(split: str, sizes: Mapping[int, Sequence[Point]]) -> CurveFit:
    """Fit the curve through the means of all sizes.

    Args:
        split: Name of the split.
        sizes: The finished trainings by training tweets, ascending.

    Returns:
        The part ``fits.SPLIT`` of ``curve.json``; ``refused``, a sentence, where there is nothing to fit.
    """
    left_out = _list_guessing_sizes(split, sizes)
    wrong = {
        size: np.stack([point.wrong[split] for point in points])
        for size, points in sizes.items()
        if points and size not in left_out
    }
    if len(wrong) < fit.MIN_SIZES:
        count = "1 size is" if len(wrong) == 1 else f"{len(wrong)} sizes are"
        better = " and significantly better than guessing" if left_out else ""
        sentence = f"No curve is fitted: {count} finished{better}; at least {fit.MIN_SIZES} are needed."
        return {"refused": sentence, "left_out": left_out}
    tweets, has_floor = np.array(list(wrong), dtype=np.float64), len(wrong) >= fit.MIN_SIZES_FOR_FLOOR
    law, resampled, unexplained = fit.fit_with_resamples(tweets, list(wrong.values()), has_floor)
    places = np.geomspace(tweets[0], fit.AHEAD * tweets[-1], BAND_POINTS)
    accuracies, others = 1 - law.errors(places)[0], 1 - resampled.errors(places)
    ahead = _look_ahead(law, resampled, float(tweets[-1]))
    return {
        "form": "error(n) = a * (n / n0)^-b + c",
        "left_out": left_out,
        "n0": int(tweets[0]),
        "a": _with_limits(law.a[0], resampled.a),
        "b": _with_limits(law.b[0], resampled.b),
        "c": _with_limits(law.c[0], resampled.c),
        "floor_fitted": has_floor,
        "unexplained": unexplained,
        "resamples": fit.RESAMPLES,
        "level": fit.LEVEL,
        "ahead": ahead,
        "band": [
            {"size": float(size), **_with_limits(accuracy, others[:, at])}
            for at, (size, accuracy) in enumerate(zip(places, accuracies, strict=True))
        ],
        "sentence": _describe_ahead(split, ahead),
    }


def _list_guessing_sizes(split: str, sizes: Mapping[int, Sequence[Point]]) -> list[int]:
    """Return the smallest sizes, at which a model is not significantly better than the majority class.

    Errors fall as a power of the size only beyond "the small data region", in which models guess (Hestness et al.
    2017).
    """
    guessing: list[int] = []
    for size, points in sizes.items():
        scores = [point.report["splits"][split] for point in points]
        if scores and np.mean([score["accuracy"]["low"] for score in scores]) > scores[0]["majority"]:
            break
        guessing += [size] if scores else []
    return guessing


def _look_ahead(law: PowerLaws, resampled: PowerLaws, largest: float) -> CurveAhead:
    """Return what more tweets would bring: the accuracy there, and its gain over the curve's at the largest size."""
    places = np.array([largest, fit.AHEAD * largest])
    (now, then), others = 1 - law.errors(places)[0], 1 - resampled.errors(places)
    return {
        "size": int(fit.AHEAD * largest),
        "accuracy": _with_limits(then, others[:, 1]),
        "gain": _with_limits(then - now, others[:, 1] - others[:, 0]),
    }


def _with_limits(value: float, resampled: npt.NDArray[np.float64]) -> MeasuredScore:
    return cast(MeasuredScore, {"value": float(value)} | fit.find_limits(resampled))


def _describe_ahead(split: str, ahead: CurveAhead) -> str:
    accuracy, gain = ahead["accuracy"], ahead["gain"]
    return (
        f"If the curve continues, ten times as many training tweets ({ahead['size']:,}) would bring an accuracy of "
        f"{accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f}) on {TWEETS.get(split, split)}: "
        f"{100 * gain['value']:.2f} points more ({100 * gain['low']:.2f} to {100 * gain['high']:.2f})."
    )
