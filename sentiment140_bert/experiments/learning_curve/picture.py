"""The picture of what ``curve.json`` says; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.experiments.learning_curve.summary import AHEAD, SHOWN
from sentiment140_bert.run_dir import written_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#9a9a9a"  # as in the pictures of a run


def draw(path: Path, curve: Mapping[str, Any]) -> None:
    """Writes a PNG: accuracy by training tweets, a panel for each split; the same content gives the same bytes."""
    from matplotlib.figure import Figure

    shown = [name for name in SHOWN if name in curve["data"]["splits"]]
    figure = Figure(figsize=(max(5.4 * len(shown), 8.0), 4.6), dpi=110, layout="constrained")
    figure.subplots(1, len(shown), squeeze=False)
    for axes, split in zip(figure.axes, shown, strict=True):
        sizes = [each for each in curve["sizes"] if "scores" in each]
        axes.set_title(f"{split} ({curve['data']['splits'][split]['rows']:,} tweets)", fontsize=10)
        axes.set(xscale="log", xlabel="training tweets", ylabel="accuracy")
        axes.grid(color="#e8e8e8", linewidth=0.6)
        axes.set_axisbelow(True)
        if sizes:
            _places(axes, [each["size"] for each in sizes], curve["fits"][split])
            _fit(axes, curve["fits"][split])
            _baseline(axes, sizes, split)
            _points(axes, sizes, split)
            _limits(axes, sizes, split)
    named = {label: handle for axes in figure.axes for handle, label in zip(*_legend(axes), strict=True)}
    if named:
        figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    with written_whole(path) as temporary:
        figure.savefig(temporary, format="png", metadata={"Software": None})


def _legend(axes: Axes) -> tuple[list[Any], list[str]]:
    handles, labels = axes.get_legend_handles_labels()
    return list(handles), [str(label) for label in labels]


def _points(axes: Axes, sizes: list[Mapping[str, Any]], split: str) -> None:
    """The mean of each size with the interval for other tweets; its seeds as small dots beside it."""
    tweets, scores = [each["size"] for each in sizes], [each["scores"][split] for each in sizes]
    means = [each["accuracy"] for each in scores]
    below = [each["accuracy"] - each["over_rows"]["low"] for each in scores]
    above = [each["over_rows"]["high"] - each["accuracy"] for each in scores]
    label = "fine-tuned: mean of seeds, 95% for other tweets"
    axes.errorbar(
        tweets, means, yerr=[below, above], color=BLUE, marker="o", markersize=5, linestyle="", linewidth=1, capsize=3,
        label=label,
    )  # fmt: skip
    axes.vlines(
        tweets,
        [each["over_seeds"]["min"] for each in scores],
        [each["over_seeds"]["max"] for each in scores],
        color=BLUE,
        linewidth=4,
        alpha=0.35,
        label="least to greatest seed",
    )


def _baseline(axes: Axes, sizes: list[Mapping[str, Any]], split: str) -> None:
    known = [(each["size"], each["tfidf"][split]) for each in sizes if split in each["tfidf"]]
    if known:
        tweets, values = [size for size, _ in known], [each["value"] for _, each in known]
        axes.plot(
            tweets, values, color=ORANGE, marker="s", markersize=4, linewidth=1, label="TF-IDF, logistic regression"
        )


def _fit(axes: Axes, fit: Mapping[str, Any]) -> None:
    """The fitted curve with its band, dashed beyond the largest size."""
    if "refused" in fit:
        return
    band = fit["band"]
    tweets = [each["size"] for each in band]
    axes.fill_between(
        tweets, [each["low"] for each in band], [each["high"] for each in band], color=GREY, alpha=0.25, linewidth=0
    )
    largest = fit["ahead"]["size"] / AHEAD
    inside = [each for each in band if each["size"] <= largest * 1.0001]
    axes.plot([each["size"] for each in inside], [each["value"] for each in inside], color="#555555", linewidth=1.2)
    outside = band[len(inside) - 1 :]
    axes.plot(
        [each["size"] for each in outside],
        [each["value"] for each in outside],
        color="#555555",
        linewidth=1.2,
        linestyle="--",
        label="power law with 95% band; dashed: extrapolated",
    )


def _places(axes: Axes, sizes: list[int], fit: Mapping[str, Any]) -> None:
    """The sizes themselves on the axis, as people say them, as far as there is room; and where the curve is asked."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator

    shown = [*sizes, *([fit["ahead"]["size"]] if "ahead" in fit else [])]
    axes.set_xlim(shown[0] / 1.5, shown[-1] * 1.5)
    kept = [size for at, size in enumerate(shown) if at == len(shown) - 1 or shown[at + 1] / size > 1.6]
    axes.xaxis.set_major_locator(FixedLocator(kept))
    axes.xaxis.set_major_formatter(FixedFormatter([short(size) for size in kept]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.tick_params(axis="x", labelsize=8)


def _limits(axes: Axes, sizes: list[Mapping[str, Any]], split: str) -> None:
    """Down to the lowest score, however far the band goes."""
    lowest = [each["scores"][split]["over_rows"]["low"] for each in sizes]
    lowest += [each["tfidf"][split]["value"] for each in sizes if split in each["tfidf"]]
    axes.set_ylim(bottom=max(axes.get_ylim()[0], min(lowest) - 0.04))


def short(size: int) -> str:
    """A number of tweets in few letters: 300, 1k, 1.37M."""
    for unit, name in ((1_000_000, "M"), (1_000, "k")):
        if size >= unit:
            return f"{size / unit:.3g}{name}"
    return str(size)
