"""``curve.json`` as a picture, a page of Markdown and a CSV file; nothing is computed here."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sentiment140_bert.cards import markup
from sentiment140_bert.cards.figures import default_style, save_figure
from sentiment140_bert.data.texts import escape_cell
from sentiment140_bert.experiments.learning_curve.fit import AHEAD
from sentiment140_bert.experiments.learning_curve.plan import SPLITS
from sentiment140_bert.schemas.experiments import Curve, CurveFit, CurveSize

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = ("size", "seed", "state", "reason", "run", "steps", "seconds", "tweets_per_second", "cost", "machine")
BLUE, ORANGE, GREY, DARK = "#2a6f97", "#e07a1f", "#9a9a9a", "#555555"  # the first three as in the pictures of a run


def render_csv(curve: Curve) -> str:
    """Return a row for each training."""
    scores = [f"{split}_{name}" for split in SPLITS for name in ("n", "accuracy", "low", "high", "tfidf")]
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS[:5], *scores, *COLUMNS[5:]], lineterminator="\n")
    writer.writeheader()
    for size in curve["sizes"]:
        for point in size["points"]:
            row = {name: point.get(name) for name in COLUMNS} | {"size": size["size"]}
            for split, score in point.get("splits", {}).items():
                row |= {f"{split}_n": score["n"], f"{split}_accuracy": score["accuracy"]["value"]}
                row |= {f"{split}_{name}": score["accuracy"][name] for name in ("low", "high")}
                row[f"{split}_tfidf"] = score["tfidf"]["value"] if score["tfidf"] else None
            texts = {name: escape_cell(value) for name, value in row.items() if isinstance(value, str)}
            writer.writerow(row | texts)
    return text.getvalue()


def render_page(curve: Curve) -> str:
    """Return the README of the curve's folder."""
    splits = [name for name in SPLITS if name in curve["data"]["splits"]]
    return markup.render("learning_curve.md", curve=curve, splits=splits)


@default_style()
def draw_curve(path: Path, curve: Curve) -> None:
    """Write a PNG: accuracy by training tweets, a panel for each split; the same content gives the same bytes."""
    from matplotlib.figure import Figure

    splits = [name for name in SPLITS if name in curve["data"]["splits"]]
    figure = Figure(figsize=(max(5.4 * len(splits), 8.0), 4.6), dpi=110, layout="constrained")
    figure.subplots(1, len(splits), squeeze=False)
    sizes = [size for size in curve["sizes"] if "scores" in size]
    for axes, split in zip(figure.axes, splits, strict=True):
        axes.set_title(f"{split} ({curve['data']['splits'][split]['rows']:,} tweets)", fontsize=10)
        axes.set(xscale="log", xlabel="training tweets", ylabel="accuracy")
        axes.grid(color="#e8e8e8", linewidth=0.6)
        axes.set_axisbelow(True)
        if sizes:
            _mark_sizes(axes, [size["size"] for size in sizes], curve["fits"][split])
            _draw_fit(axes, curve["fits"][split])
            _draw_baseline(axes, sizes, split)
            _draw_points(axes, sizes, split)
            _limit_accuracy(axes, sizes, split)
    legend = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if legend:
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    save_figure(figure, path)


def _draw_points(axes: Axes, sizes: Sequence[CurveSize], split: str) -> None:
    """Draw the mean of each size with its interval for other tweets, and a bar from its least to its greatest seed."""
    tweets, scores = [size["size"] for size in sizes], [size["scores"][split] for size in sizes]
    means = [score["accuracy"] for score in scores]
    below = [score["accuracy"] - score["over_rows"]["low"] for score in scores]
    above = [score["over_rows"]["high"] - score["accuracy"] for score in scores]
    label = "fine-tuned: mean of seeds, 95% for other tweets"
    errors = [below, above]
    axes.errorbar(tweets, means, yerr=errors, fmt="o", color=BLUE, markersize=5, linewidth=1, capsize=3, label=label)
    lowest, highest = ([score["over_seeds"][end] for score in scores] for end in ("min", "max"))
    axes.vlines(tweets, lowest, highest, color=BLUE, linewidth=4, alpha=0.35, label="lowest to highest seed")


def _draw_baseline(axes: Axes, sizes: Sequence[CurveSize], split: str) -> None:
    points = [(size["size"], size["tfidf"][split]["value"]) for size in sizes if split in size["tfidf"]]
    if points:
        label = "TF-IDF, logistic regression"
        axes.plot(*zip(*points, strict=True), color=ORANGE, marker="s", markersize=4, linewidth=1, label=label)


def _draw_fit(axes: Axes, fit: CurveFit) -> None:
    """Draw the fitted curve with its band, dashed beyond the largest size."""
    if "refused" in fit:
        return
    band = fit["band"]
    tweets, low, high = ([place[name] for place in band] for name in ("size", "low", "high"))
    axes.fill_between(tweets, low, high, color=GREY, alpha=0.25, linewidth=0)
    largest = fit["ahead"]["size"] / AHEAD
    inside = [place for place in band if place["size"] <= largest * 1.0001]
    label = "power law with 95% band; dashed: extrapolated"
    for places, style, name in ((inside, "-", None), (band[len(inside) - 1 :], "--", label)):
        sizes, values = [place["size"] for place in places], [place["value"] for place in places]
        axes.plot(sizes, values, color=DARK, linewidth=1.2, linestyle=style, label=name)


def _mark_sizes(axes: Axes, sizes: Sequence[int], fit: CurveFit) -> None:
    """Label the axis with the sizes themselves, as far as there is room, and with the place ahead."""
    places = [*sizes, *([fit["ahead"]["size"]] if "ahead" in fit else [])]
    axes.set_xlim(places[0] / 1.5, places[-1] * 1.5)
    ticks = [size for at, size in enumerate(places) if at == len(places) - 1 or places[at + 1] / size > 1.6]
    axes.set_xticks(ticks, [shorten_size(size) for size in ticks], fontsize=8)
    axes.set_xticks([], minor=True)


def _limit_accuracy(axes: Axes, sizes: Sequence[CurveSize], split: str) -> None:
    """Let the axis begin below the lowest score, however far the band goes."""
    lowest = [size["scores"][split]["over_rows"]["low"] for size in sizes]
    lowest += [size["tfidf"][split]["value"] for size in sizes if split in size["tfidf"]]
    axes.set_ylim(bottom=max(axes.get_ylim()[0], min(lowest) - 0.04))


def shorten_size(size: int) -> str:
    """Abbreviate a number of tweets: 300, 1k, 1.37M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return str(size)
