"""The page and the figures of a tuning, made of what ``tuning.json`` holds."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from sentiment140_bert.cards import markup
from sentiment140_bert.cards.figures import default_style, save_figure
from sentiment140_bert.experiments.tune.space import Space, get_distribution
from sentiment140_bert.experiments.tune.trials import shorten
from sentiment140_bert.run import STUDY_FIGURES
from sentiment140_bert.schemas.experiments import StudyResults, TrialRecord

if TYPE_CHECKING:
    from optuna.study import Study

HISTORY, IMPORTANCES, COORDINATES = STUDY_FIGURES
CAPTIONS = {
    HISTORY: "scores of the trials",
    IMPORTANCES: "what the differences between trials come from",
    COORDINATES: "the values of all complete trials",
}


@default_style()
def draw_figures(folder: Path, content: StudyResults, space: Space) -> list[str]:
    """Draw those of Optuna's plots that have something to show, and return their names."""
    import matplotlib

    if "matplotlib.pyplot" not in sys.modules and "MPLBACKEND" not in os.environ:
        matplotlib.use("agg")  # no windows
    from matplotlib import pyplot
    from optuna.importance import FanovaImportanceEvaluator
    from optuna.visualization import matplotlib as plots

    study, metric = _rebuild_study(content, space), f"validation {content['metric'].replace('_', ' ')}"
    rate = partial(plots.plot_param_importances, evaluator=FanovaImportanceEvaluator(seed=content["seed"]))
    drawings = {
        HISTORY: (plots.plot_optimization_history, content["best"]),
        IMPORTANCES: (rate, "shares" in content["importances"]),
        COORDINATES: (plots.plot_parallel_coordinate, content["counts"]["complete"] > 1),
    }
    shown = {name: draw for name, (draw, has_something) in drawings.items() if has_something}
    for name, draw in shown.items():
        width = max(8.0, 1.3 * len(space)) if name == COORDINATES else 8.0
        with warnings.catch_warnings(), pyplot.rc_context({"figure.figsize": (width, 4.8)}):
            warnings.simplefilter("ignore")  # that the plots are experimental
            axes = draw(study, target_name=metric)
            axes.set_title("")
            save_figure(axes.figure, folder / name, bbox_inches="tight")
            pyplot.close(axes.figure)
    return list(shown)


def _rebuild_study(content: StudyResults, space: Space) -> Study:
    """Return a study in memory whose trials have the numbers of ``tuning.json``."""
    import optuna

    study = optuna.create_study(direction=content["direction"])
    for trial in content["trials"]:
        if trial["state"] == "complete":
            limits = {name: get_distribution(space[name]) for name in trial["values"]}
            study.add_trial(optuna.create_trial(value=trial["value"], params=trial["values"], distributions=limits))
        else:
            study.add_trial(optuna.create_trial(state=optuna.trial.TrialState.FAIL))
    return study


def make_page(content: StudyResults, figures: Sequence[str]) -> str:
    """Return the README of a tuning's folder.

    Args:
        content: Content of ``tuning.json``.
        figures: Names of those that were drawn.
    """
    sign = -1 if content["direction"] == "maximize" else 1
    ranks = {"complete": 0, "pruned": 1}

    def rank(trial: TrialRecord) -> tuple[int, float, int]:
        return ranks.get(trial["state"], 2), sign * (trial["value"] or 0), trial["number"]

    values = {name: value for name, value in content.items() if name != "name"}
    return markup.render(
        "tuning.md",
        **values,
        title=content["name"],
        measure=content["metric"].replace("_", " "),
        ranked=sorted(content["trials"], key=rank),
        figures={Markup(name): CAPTIONS[name] for name in figures},
        shorten=lambda value: "" if value is None else shorten(value),
        points=lambda share: Markup(f"{100 * share:+.2f}"),
        describe=_describe_range,
    )


def _describe_range(limits: Mapping[str, Any]) -> str:
    if "choices" in limits:
        return ", ".join(map(shorten, limits["choices"]))
    how = " (log)" if limits.get("log") else f" by {shorten(limits['step'])}" if limits.get("step") else ""
    return f"{shorten(limits['low'])} to {shorten(limits['high'])}{how}"
