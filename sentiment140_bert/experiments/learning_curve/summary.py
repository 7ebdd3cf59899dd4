"""What ``curve.json`` says of a size, and of the curve through all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sentiment140_bert.experiments.learning_curve import power_law, resampling
from sentiment140_bert.experiments.learning_curve.power_law import PowerLaws

SHOWN = ("test", "manual")  # the splits whose accuracy is drawn and fitted
AHEAD = 10  # times the largest size, of which the curve is asked
BAND = 60  # places at which it is drawn
WORDS = {"test": "the test tweets", "manual": "the hand-labelled tweets"}
Wrong = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Point:
    """One finished training.

    Args:
        told: What ``curve.json`` holds of it: ``seed``, ``splits`` (``n``, ``accuracy``, ``tfidf``, ``majority``), …
        wrong: By split, which of its tweets were answered wrongly.
    """

    told: Mapping[str, Any]
    wrong: Mapping[str, Wrong]


def of_size(points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Means over the finished trainings of a size.

    Args:
        points: What is told of each; those that failed or are missing are left out.

    Returns:
        ``scores`` by split: ``seeds`` (how many), ``accuracy`` (its mean), ``over_seeds`` (``min``, ``max``, and of two
        or more ``low`` and ``high`` of the mean's t interval), ``over_rows`` (the means of the seeds' Wilson limits);
        ``tfidf`` by split; ``seconds`` and ``tweets_per_second``, means. Empty without a finished one.
    """
    done = [each for each in points if each["state"] == "finished"]
    if not done:
        return {}
    splits = [name for name in SHOWN if name in done[0]["splits"]]
    found: dict[str, Any] = {
        "scores": {name: _score([each["splits"][name]["accuracy"] for each in done]) for name in splits},
        "tfidf": {name: tfidf for name in splits if (tfidf := done[0]["splits"][name]["tfidf"])},
    }
    for name in ("seconds", "tweets_per_second"):
        found[name] = round(float(np.mean([each[name] for each in done])), 2)
    return found


def _score(accuracies: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    values = np.array([each["value"] for each in accuracies])
    over_seeds = {"min": float(values.min()), "max": float(values.max())}
    if len(values) > 1:
        from scipy.stats import t

        half = float(t.ppf((1 + resampling.LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values)))
        over_seeds |= {"low": float(values.mean()) - half, "high": float(values.mean()) + half}
    over_rows = {name: float(np.mean([each[name] for each in accuracies])) for name in ("low", "high")}
    return {
        "seeds": len(values),
        "accuracy": float(values.mean()),
        "over_seeds": over_seeds,
        "over_rows": over_rows,
    }


def fit_of(split: str, sizes: Mapping[int, Sequence[Point]]) -> dict[str, Any]:
    """The curve through the means of all sizes.

    Args:
        split: Its name.
        sizes: The finished trainings by training tweets, ascending.

    Returns:
        The part ``fits.SPLIT`` of ``curve.json``; ``refused``, a sentence, where there is nothing to fit.
    """
    left_out = _guessing(split, sizes)
    wrong = {
        size: np.stack([each.wrong[split] for each in points])
        for size, points in sizes.items()
        if points and size not in left_out
    }
    if len(wrong) < power_law.ENOUGH:
        count = "1 size is" if len(wrong) == 1 else f"{len(wrong)} sizes are"
        better = " and surely better than guessing" if left_out else ""
        return {
            "refused": f"No curve is fitted: {count} finished{better}; it takes {power_law.ENOUGH}.",
            "left_out": left_out,
        }
    tweets, floored = np.array(list(wrong), dtype=np.float64), len(wrong) >= power_law.FLOORED
    law, drawn, unexplained = resampling.fitted(tweets, list(wrong.values()), floored)
    at = np.geomspace(tweets[0], AHEAD * tweets[-1], BAND)
    accuracy, others = 1 - law.errors(at)[0], 1 - drawn.errors(at)
    settings = {name: _measured(getattr(law, name)[0], getattr(drawn, name)) for name in ("a", "b", "c")}
    found = {
        "form": "error(n) = a * (n / n0)^-b + c",
        "left_out": left_out,
        "n0": int(tweets[0]),
        **settings,
        "floor_fitted": floored,
        "unexplained": unexplained,
        "resamples": resampling.RESAMPLES,
        "level": resampling.LEVEL,
        "ahead": _ahead(law, drawn, float(tweets[-1])),
        "band": [
            {"size": float(size)} | _measured(value, others[:, place])
            for place, (size, value) in enumerate(zip(at, accuracy, strict=True))
        ],
    }
    return found | {"sentence": _sentence(split, found)}


def _guessing(split: str, sizes: Mapping[int, Sequence[Point]]) -> list[int]:
    """The smallest sizes, at which a model is not surely better than the commoner class.

    Errors fall as a power of the size only beyond "the small data region", in which models guess (Hestness et al.
    2017).
    """
    found: list[int] = []
    for size, points in sizes.items():
        scores = [each.told["splits"][split] for each in points]
        if scores and np.mean([each["accuracy"]["low"] for each in scores]) > scores[0]["majority"]:
            break
        found += [size] if scores else []
    return found


def _ahead(law: PowerLaws, drawn: PowerLaws, largest: float) -> dict[str, Any]:
    """What more tweets would bring: accuracy there, and by how much it is above the curve's at the largest size."""
    places = np.array([largest, AHEAD * largest])
    (now, then), others = 1 - law.errors(places)[0], 1 - drawn.errors(places)
    return {
        "size": int(AHEAD * largest),
        "accuracy": _measured(then, others[:, 1]),
        "gain": _measured(then - now, others[:, 1] - others[:, 0]),
    }


def _measured(value: float, resampled: npt.NDArray[np.float64]) -> dict[str, float]:
    return {"value": float(value)} | resampling.limits(resampled)


def _sentence(split: str, found: Mapping[str, Any]) -> str:
    ahead = found["ahead"]
    accuracy, gain = ahead["accuracy"], ahead["gain"]
    points = {name: 100 * value for name, value in gain.items()}
    return (
        f"Ten times as many training tweets ({ahead['size']:,}) would bring, if the curve goes on as it is, an "
        f"accuracy of {accuracy['value']:.4f} ({accuracy['low']:.4f} to {accuracy['high']:.4f}) on "
        f"{WORDS.get(split, split)}: {points['value']:.2f} points more ({points['low']:.2f} to {points['high']:.2f})."
    )
