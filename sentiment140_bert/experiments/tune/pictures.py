"""The pictures of what ``tuning.json`` says; nothing is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sentiment140_bert.cards.figures import default_style
from sentiment140_bert.experiments.tune.progress import shown
from sentiment140_bert.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#2a6f97", "#e07a1f", "#9a9a9a"  # as in the pictures of a run
HISTORY, IMPORTANCES, PARALLEL = "history.png", "importances.png", "parallel_coordinates.png"
FEW = 6  # steps that are all named on an axis
TIED = 0.06  # values of choices stand apart by as much of an axis, that lines do not lie on each other


@default_style()
def draw(folder: Path, tuning: Mapping[str, Any]) -> list[str]:
    """Writes those that there is something to show of, and returns their names; the same content, the same bytes."""
    scored = [each for each in tuning["trials"] if each["value"] is not None]
    complete = [each for each in scored if each["state"] == "complete"]
    figures = {HISTORY: _history(tuning, scored)} if scored else {}
    if "shares" in tuning["importances"]:
        figures[IMPORTANCES] = _importances(tuning)
    if len(complete) > 1:
        figures[PARALLEL] = _parallel(tuning, complete)
    for name, figure in figures.items():
        with write_whole(folder / name) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})
    return list(figures)


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.grid(color="#e8e8e8", linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def _metric(tuning: Mapping[str, Any]) -> str:
    return f"validation {tuning['metric'].replace('_', ' ')}"


def _history(tuning: Mapping[str, Any], scored: Sequence[Mapping[str, Any]]) -> Figure:
    """Scores by the number of the trial, and the best so far."""
    from matplotlib.ticker import MaxNLocator

    figure, axes = _figure(8, 4.2)
    for state, color, marker, label in (
        ("complete", BLUE, "o", "complete"),
        ("pruned", GREY, "x", "ended early: its last score"),
    ):
        chosen = [each for each in scored if each["state"] == state]
        if chosen:
            numbers = [each["number"] for each in chosen]
            axes.scatter(numbers, [each["value"] for each in chosen], color=color, marker=marker, s=28, label=label)
    complete = [each for each in scored if each["state"] == "complete"]
    if complete:
        better = np.maximum if tuning["direction"] == "maximize" else np.minimum
        so_far = better.accumulate([each["value"] for each in complete])
        places = [*(each["number"] for each in complete), tuning["trials"][-1]["number"]]
        axes.step(places, [*so_far, so_far[-1]], where="post", color=ORANGE, linewidth=1.4, label="best so far")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="trial", ylabel=_metric(tuning))
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    return figure


def _importances(tuning: Mapping[str, Any]) -> Figure:
    shares = dict(reversed(tuning["importances"]["shares"].items()))
    figure, axes = _figure(8, 1.2 + 0.34 * len(shares))
    axes.barh(list(shares), list(shares.values()), color=BLUE, height=0.62)
    for place, share in enumerate(shares.values()):
        axes.text(share, place, f" {share:.0%}", va="center", fontsize=8)
    axes.grid(axis="y", visible=False)
    axes.margins(x=0.12)
    axes.tick_params(axis="y", labelsize=8)
    trials = tuning["importances"]["trials"]
    axes.set(xlabel=f"share of the differences in {_metric(tuning)} (fANOVA, {trials} trials)")
    return figure


def _parallel(tuning: Mapping[str, Any], complete: Sequence[Mapping[str, Any]]) -> Figure:
    """An axis for each setting, a line for each complete trial, coloured by its score; the best is drawn thickest."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    space = tuning["space"]
    figure, axes = _figure(max(7.5, 1.25 * len(space) + 1.5), 4.8)
    axes.grid(visible=False)
    values = [each["value"] for each in complete]
    norm = Normalize(min(values), max(values))
    map_of = colormaps["viridis" if tuning["direction"] == "maximize" else "viridis_r"]
    best = tuning["best"]["number"]
    for trial in sorted(complete, key=lambda each: (each["number"] == best, each["value"])):
        places = [_place(space[name], trial["values"][name], trial["number"]) for name in space]
        is_best = trial["number"] == best
        axes.plot(
            range(len(space)), places, color=map_of(norm(trial["value"])), linewidth=2.6 if is_best else 1.0,
            alpha=1.0 if is_best else 0.75, marker="o" if is_best else None, markersize=4,
        )  # fmt: skip
    for at, each in enumerate(space.values()):
        axes.axvline(at, color="#555555", linewidth=0.8, zorder=0)
        for place, label in _marks(each):
            axes.annotate(
                label, (at, place), xytext=(3, 0), textcoords="offset points", fontsize=7, va="center", zorder=5,
                bbox={"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.6},
            )  # fmt: skip
    axes.set_xticks(range(len(space)), [_broken(name) for name in space], fontsize=7.5)
    axes.set_yticks([])
    axes.set(xlim=(-0.2, len(space) - 0.45), ylim=(-0.08, 1.08))
    for side in axes.spines.values():
        side.set_visible(False)
    figure.colorbar(ScalarMappable(norm, map_of), ax=axes, label=_metric(tuning), pad=0.01)
    return figure


def _place(each: Mapping[str, Any], value: Any, number: int) -> float:
    """Where a value stands on its axis, from 0 to 1; choices a little apart, by the number of the trial."""
    if "choices" in each:
        choices = each["choices"]
        return float(choices.index(value) / (len(choices) - 1) + TIED * ((number * 0.618) % 1 - 0.5))
    low, high = each["low"], each["high"]
    if each.get("log"):
        return float(np.log(value / low) / np.log(high / low))
    apart = TIED * ((number * 0.618) % 1 - 0.5) if each.get("step") else 0.0
    return float((value - low) / (high - low) + apart)


def _marks(each: Mapping[str, Any]) -> list[tuple[float, str]]:
    if "choices" in each:
        return [(at / (len(each["choices"]) - 1), shown(value)) for at, value in enumerate(each["choices"])]
    low, high, step = each["low"], each["high"], each.get("step")
    if step and (high - low) / step <= FEW:
        return [(at * step / (high - low), shown(low + at * step)) for at in range(round((high - low) / step) + 1)]
    middle = float(np.sqrt(low * high)) if each.get("log") else (low + high) / 2
    return [(0.0, shown(low)), (0.5, shown(middle)), (1.0, shown(high))]


def _broken(name: str) -> str:
    """A name in lines of a few words."""
    lines = [""]
    for word in name.split("_"):
        if lines[-1] and len(lines[-1]) + len(word) > 11:
            lines.append("")
        lines[-1] += f"_{word}" if lines[-1] else word
    return "\n".join(lines)
