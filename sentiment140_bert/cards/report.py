"""The error browser: what a run's files say of its scores, and the tweets it gets wrong, as one page that asks nothing
of the network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup, escape

from sentiment140_bert.cards import charts
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.markup import plain, readable, template
from sentiment140_bert.cards.metadata import HEADLINES
from sentiment140_bert.cards.model import LABELS
from sentiment140_bert.settings import BASELINES, SCORES

SHOWN = ("test", "manual")  # chosen by nothing; validation chose the checkpoint
ORDER = (*SHOWN, "validation")
CLASSES = ("negative", "neutral", "positive")  # as three_way.matrix has them
LEAKS = {
    "exact": "equal to a training tweet",
    "near": "nearly equal to one",
    "same_user": "by a user of training",
    "overlapping_in_time": "not later than the last training tweet",
}
LEVELS = 5  # strengths of colour on either side


@dataclass(frozen=True)
class Mistake:
    """A tweet that was answered wrong.

    Args:
        split: Where it is from.
        label: Name of its label.
        positive: P(positive | not neutral), as the model has it.
        words: The tweet in pieces, each with its weight in logits; None for what was not weighed.
        topic: The query that it was found by.
        abstains: Whether the confidence lies below the abstain threshold.
    """

    split: str
    label: str
    positive: float
    words: tuple[tuple[str, float | None], ...]
    topic: str | None = None
    abstains: bool = False

    @property
    def answer(self) -> str:
        """The name of the likelier side; at exactly one half positive, as the scores have it."""
        return "positive" if self.positive >= 0.5 else "negative"

    @property
    def confidence(self) -> float:
        """The answer's probability."""
        return max(self.positive, 1 - self.positive)


def report_page(facts: Facts, title: str, mistakes: Sequence[Mistake], wrong: dict[str, int]) -> str:
    """The whole page.

    Args:
        facts: Of the run.
        title: The run's name.
        mistakes: Those to be listed; user names are masked already.
        wrong: For each split how many mistakes there are in all, listed or not.
    """
    style, script = template("report.css"), template("report.js")
    splits = facts.metrics["splits"]
    scored = {name: splits[name] for name in ORDER if "accuracy" in splits.get(name, {})}
    text = _compiled().render(
        version=version("sentiment140-bert"),
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        title=title,
        base=facts.base_model or Path(facts.recipe["model"]["model_name_or_path"]).name,
        environment=facts.environment,
        data=facts.data,
        metrics=facts.metrics,
        corpus=facts.corpus,
        intervals=facts.metrics["intervals"],
        temperature=facts.metrics["temperature"],
        abstention=facts.metrics["abstention"],
        scored=scored,
        held_out={name: scored[name] for name in SHOWN if name in scored} or scored,
        meaning=HEADLINES | {"validation": "tweets that chose the checkpoint"},
        score_names=SCORES,
        names=LABELS,
        baselines=BASELINES,
        leaks=LEAKS,
        classes=CLASSES,
        mistakes=sorted(mistakes, key=lambda each: -each.confidence),
        wrong={name: wrong[name] for name in scored if name in wrong},
        listed={name: sum(each.split == name for each in mistakes) for name in wrong},
        scale=scale_of(mistakes),
        weighed=sum(any(weight is not None for _, weight in each.words) for each in mistakes),
        levels=LEVELS,
    )
    return text


def scale_of(mistakes: Sequence[Mistake]) -> float:
    """The weight from which on a word has the strongest colour: 19 of 20 words of the page weigh less.

    0 where no word has a weight.
    """
    sizes = sorted(abs(weight) for each in mistakes for _, weight in each.words if weight is not None)
    return sizes[int(0.95 * (len(sizes) - 1))] if sizes else 0.0


def weighted(words: Sequence[tuple[str, float | None]], scale: float) -> Markup:
    """A tweet's words, each in the colour of its weight; what weighs less than one step of ``LEVELS`` has none."""
    parts = []
    for text, weight in words:
        shown = escape(readable(text))
        level = min(LEVELS, int(LEVELS * abs(weight) / scale)) if weight is not None and scale else 0
        if level and shown.strip():
            side = "p" if (weight or 0) > 0 else "n"
            shown = Markup('<span class="{}{}" title="{:+.2f}">{}</span>').format(side, level, weight, shown)
        parts.append(shown)
    return Markup("").join(parts)


def _policy(style: str, script: str) -> str:
    """The page may run its own script, use its own style, show pictures that it carries, and nothing else."""
    hashes = [base64.b64encode(hashlib.sha256(each.encode()).digest()).decode() for each in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _compiled() -> jinja2.Template:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, autoescape=True, finalize=_plain, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "value": value,
        "percent": percent,
        "points": points,
        "score": lambda number: f"{value(number):.3f}",
        "limits": limits,
        "count": lambda number: f"{number:,}",
        "p_value": p_value,
        "weighted": weighted,
    }
    environment.globals |= {
        "headline_chart": headline_chart,
        "slice_chart": slice_chart,
        "slice_start": slice_start,
        "reliability_chart": reliability_chart,
        "coverage_chart": coverage_chart,
        "shade": lambda share: round(LEVELS * share),
    }
    return environment.from_string(template("report.html"))


def _plain(shown: Any) -> Any:
    return plain(shown) if type(shown) is str else shown


# ---- numbers as they are read


def value(score: Any) -> float:
    """Of a score with an interval, or of one that an older version wrote as a bare number."""
    return float(score["value"] if isinstance(score, dict) else score)


def percent(score: Any) -> str:
    """A share with one decimal."""
    return f"{100 * value(score):.1f}%"


def points(score: dict[str, float]) -> str:
    """A difference of two shares in percentage points, with its sign and its interval."""
    between = f" ({100 * score['low']:+.1f} to {100 * score['high']:+.1f})" if "low" in score else ""
    return f"{100 * score['value']:+.1f} points{between}"


def limits(score: Any, times: int = 1) -> str:
    """The interval of a score; of a share in percent with ``times`` 100."""
    if not isinstance(score, dict) or "low" not in score:
        return ""
    low, high = (f"{100 * score[end]:.1f}" if times == 100 else f"{score[end]:.3f}" for end in ("low", "high"))
    return f"{low} to {high}{'%' if times == 100 else ''}"


def p_value(number: float) -> str:
    """A probability under chance."""
    if number < 0.001:
        return "p < 0.001"
    return f"p = {number:.2f}" if number >= 0.1 else f"p = {number:.3f}"


# ---- pictures of what metrics.json holds


def headline_chart(split: dict[str, Any]) -> Markup:
    """The model's accuracy above those of the baselines."""
    baselines = split["baselines"]
    rows = {"model": split["accuracy"]}
    rows |= {name: baselines[name]["accuracy"] for name in ("tfidf", "majority") if name in baselines}
    said = "; ".join(f"{name} {percent(each)} ({limits(each, 100)})" for name, each in rows.items())
    return charts.strip([(name, *_ends(each)) for name, each in rows.items()], f"Accuracy: {said}")


def slice_start(slices: Sequence[dict[str, Any]]) -> float:
    """Where the axis of all the slices of a split begins."""
    return min([0.9, *(int(10 * _ends(each["accuracy"])[0]) / 10 for each in slices)])


def slice_chart(one: dict[str, Any], overall: Any, start: float) -> Markup:
    """A slice's accuracy beside that of all tweets."""
    return charts.whisker(*_ends(one["accuracy"]), value(overall), start)


def reliability_chart(name: str, split: dict[str, Any]) -> Markup:
    """Before and after the temperature."""
    before, after = (
        [(each["predicted"], each["observed"]) for each in split[key]["bins"]] for key in ("calibration", "calibrated")
    )
    return charts.reliability(before, after, f"Reliability on {name}: predicted probability beside observed share")


def coverage_chart(name: str, split: dict[str, Any]) -> Markup:
    """Risk by coverage, with the place of the abstain threshold where it leaves any answer."""
    abstaining = split["abstaining"]
    some = "accuracy" in abstaining
    chosen = (value(abstaining["coverage"]), 1 - value(abstaining["accuracy"])) if some else None
    steps = [(each["coverage"], each["risk"]) for each in split["risk_coverage"]]
    return charts.risk_coverage(steps, chosen, f"Risk on {name} by the share of tweets that are answered")


def _ends(score: Any) -> tuple[float, float, float]:
    middle = value(score)
    return (score.get("low", middle), middle, score.get("high", middle)) if isinstance(score, dict) else (middle,) * 3
