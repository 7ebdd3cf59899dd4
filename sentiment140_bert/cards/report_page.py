"""The error browser: a run's scores, and the tweets that it gets wrong, as one page that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from markupsafe import Markup, escape

from sentiment140_bert import schemas
from sentiment140_bert.cards import charts
from sentiment140_bert.cards.facts import Facts
from sentiment140_bert.cards.html_pages import format_limits, format_percent, get_value, hash_source, render_page
from sentiment140_bert.cards.markup import clean_controls, read_template
from sentiment140_bert.cards.metadata import HEADLINES
from sentiment140_bert.models.labels import order_names
from sentiment140_bert.schemas import BASELINES, SCORE_LABELS, SCORES

HELD_OUT = ("test", "manual")  # chosen by nothing; validation chose the checkpoint
ORDER = (*HELD_OUT, "validation")
LEAKS = {
    "exact": "equal to a training tweet",
    "near": "nearly equal to a training tweet",
    "same_user": "by a user in the training split",
    "overlapping_in_time": "not later than the last training tweet",
}
LEVELS = 5  # strengths of color on either side


@dataclass(frozen=True)
class Mistake:
    """A tweet with a wrong prediction.

    Args:
        split: Name of the split.
        label: Name of its label.
        prediction: Name of the likeliest label; at exactly one half positive, as for the scores.
        confidence: The probability of the prediction.
        words: The tweet in pieces, each with its weight in logits, or None.
        topic: The query that found it.
        abstains: True if the confidence is below the abstain threshold.
    """

    split: str
    label: str
    prediction: str
    confidence: float
    words: tuple[tuple[str, float | None], ...]
    topic: str | None = None
    abstains: bool = False


def render_report(facts: Facts, title: str, mistakes: Sequence[Mistake], wrong: dict[str, int]) -> str:
    """Return the whole page.

    Args:
        facts: Facts of the run.
        title: The run's name.
        mistakes: Mistakes to list; user names are masked already.
        wrong: The number of all mistakes of each split, listed or not.
    """
    style, script = read_template("report.css"), read_template("report.js")
    splits = facts.metrics["splits"]
    scored = {name: splits[name] for name in ORDER if "accuracy" in splits.get(name, {})}
    # The page may run its own script, use its own style and show pictures inside it, and nothing else.
    policy = (
        f"default-src 'none'; style-src {hash_source(style)}; script-src {hash_source(script)}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return render_page(
        "report.html",
        version=version("sentiment140-bert"),
        policy=policy,
        style=Markup(style),
        script=Markup(script),
        title=title,
        base=facts.base_name,
        **vars(facts),
        corpus=facts.corpus,
        scored=scored,
        held_out={name: scored[name] for name in HELD_OUT if name in scored} or scored,
        calibrated={name: scored[name] for name in HELD_OUT if "calibration" in scored.get(name, {})},
        has_neutral=facts.has_neutral,
        meaning=HEADLINES | {"validation": "tweets that the checkpoint was chosen on"},
        score_names=SCORES,
        names=SCORE_LABELS,
        baselines=BASELINES,
        leaks=LEAKS,
        classes=order_names(3),
        mistakes=sorted(mistakes, key=lambda mistake: -mistake.confidence),
        wrong={name: wrong[name] for name in scored if name in wrong},
        listed={name: sum(mistake.split == name for mistake in mistakes) for name in wrong},
        scale=find_color_scale(mistakes),
        weighed=sum(any(weight is not None for _, weight in mistake.words) for mistake in mistakes),
        levels=LEVELS,
        **FUNCTIONS,
    )


def find_color_scale(mistakes: Sequence[Mistake]) -> float:
    """Return the weight from which on a word has the strongest color: 19 of 20 words of the page weigh less.

    0 where no word has a weight.
    """
    sizes = sorted(abs(weight) for mistake in mistakes for _, weight in mistake.words if weight is not None)
    return sizes[int(0.95 * (len(sizes) - 1))] if sizes else 0.0


def color_words(words: Sequence[tuple[str, float | None]], scale: float) -> Markup:
    """Color each word of a tweet by its weight; what weighs less than one step of ``LEVELS`` stays plain."""
    parts = []
    for text, weight in words:
        shown = escape(clean_controls(text))
        level = min(LEVELS, int(LEVELS * abs(weight) / scale)) if weight is not None and scale else 0
        if level and shown.strip():
            side = "p" if (weight or 0) > 0 else "n"
            shown = Markup('<span class="{}{}" title="{:+.2f}">{}</span>').format(side, level, weight, shown)
        parts.append(shown)
    return Markup("").join(parts)


def draw_headline(split: schemas.SplitScores) -> Markup:
    """Draw the model's accuracy above those of the baselines."""
    baselines = split["baselines"]
    rows = {"model": split["accuracy"]}
    rows |= {name: baselines[name]["accuracy"] for name in ("tfidf", "majority") if name in baselines}
    label = "; ".join(f"{name} {format_percent(score)} ({format_limits(score, 100)})" for name, score in rows.items())
    return charts.draw_strip([(name, *_find_ends(score)) for name, score in rows.items()], f"Accuracy: {label}")


def find_slice_start(slices: Sequence[schemas.Slice]) -> float:
    """Return the beginning of the axis for all slices of a split."""
    return min([0.9, *(int(10 * _find_ends(part["accuracy"])[0]) / 10 for part in slices)])


def draw_slice(part: schemas.Slice, overall: Any, start: float) -> Markup:
    """Draw a slice's accuracy next to that of all tweets."""
    return charts.draw_whisker(*_find_ends(part["accuracy"]), get_value(overall), start)


def draw_reliability(name: str, split: schemas.SplitScores) -> Markup:
    """Draw the calibration before and after the temperature."""
    before, after = (
        [(place["predicted"], place["observed"]) for place in (calibration or {"bins": []})["bins"]]
        for calibration in (split["calibration"], split.get("calibrated"))
    )
    return charts.draw_reliability(before, after, f"Reliability on {name}: observed share over predicted probability")


def draw_coverage(name: str, split: schemas.SplitScores) -> Markup:
    """Draw risk by coverage, with the place of the abstain threshold where it leaves any tweet."""
    abstaining = split.get("abstaining", {})
    chosen = None
    if "accuracy" in abstaining:
        chosen = (get_value(abstaining["coverage"]), 1 - get_value(abstaining["accuracy"]))
    steps = [(point["coverage"], point["risk"]) for point in split["risk_coverage"]]
    return charts.draw_risk_coverage(steps, chosen, f"Risk on {name} by share of tweets answered")


def _find_ends(score: Any) -> tuple[float, float, float]:
    middle = get_value(score)
    return (score.get("low", middle), middle, score.get("high", middle)) if isinstance(score, dict) else (middle,) * 3


# What the template calls.
FUNCTIONS = {
    "color_words": color_words,
    "headline_chart": draw_headline,
    "slice_chart": draw_slice,
    "slice_start": find_slice_start,
    "reliability_chart": draw_reliability,
    "coverage_chart": draw_coverage,
    "get_matrix": schemas.get_matrix,
    "order_names": order_names,
    "shade": lambda share: round(LEVELS * share),
}
