"""The tracked run of a whole study, below which those of its trials are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sentiment140_bert.experiments.tune.study_dir import TuningDir
from sentiment140_bert.files import write_json, write_text, write_whole
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.tracking import tracks
from sentiment140_bert.training.environment import describe_environment, start_run

if TYPE_CHECKING:
    from sentiment140_bert.experiments.tune.study import Study

TRACKED = "tracked"  # what the store knows of it


def parent(
    home: TuningDir, study: Study, recipe: Recipe, report: Mapping[str, Any], arguments_given: list[str] | None
) -> str | None:
    """The MLflow run of the study, begun by the first process; None where MLflow is not asked for, or not in reach.

    Args:
        home: Of the tuning.
        study: Its store tells the other processes.
        recipe: Of the study.
        report: ``data.json``.
        arguments_given: What followed ``s140`` on the command line.
    """
    run = home.tracked
    if not tracks.choose_trackers(run, recipe, resume=False):
        return None
    _begin(home, recipe, report, arguments_given)
    known = study.once(TRACKED, lambda: _told(home, recipe))
    if known and not run.tracking.is_file():
        write_json(run.tracking, known)
    found: str | None = known.get("mlflow", {}).get("id")
    return found


def tell(home: TuningDir, recipe: Recipe, tuning: Mapping[str, Any]) -> None:
    """Tells the trackers, if there are any, what came out.

    Args:
        home: Of the tuning.
        recipe: Of the study.
        tuning: The content of ``tuning.json``.
    """
    run = home.tracked
    if not run.is_run():
        return
    better = max if tuning["direction"] == "maximize" else min
    lines, best = [], None
    for trial in tuning["trials"]:
        if trial["state"] == "complete":
            best = trial["value"] if best is None else better(best, trial["value"])
            when = datetime.fromisoformat(trial["started"]).timestamp() + trial["seconds"]
            values = {"eval_value": trial["value"], "eval_best": best}
            lines.append(json.dumps({"step": trial["number"], "time": round(when, 3)} | values))
    write_text(run.history, "".join(f"{line}\n" for line in lines))
    for file in sorted(home.figures.glob("*.png")):
        with write_whole(run.figures / file.name) as temporary:
            temporary.write_bytes(file.read_bytes())
    _told(home, recipe)


def _begin(home: TuningDir, recipe: Recipe, report: Mapping[str, Any], arguments_given: list[str] | None) -> None:
    """Makes the folder that the trackers are told from."""
    from sentiment140_bert.training import arguments

    if not home.tracked.is_run():
        about = describe_environment(recipe, arguments.choose_precision(recipe.training), 1, arguments_given)
        start_run(home.tracked, _named(home, recipe), dict(report), about)


def _told(home: TuningDir, recipe: Recipe) -> dict[str, Any]:
    """Tells the trackers what there is, and returns which runs theirs are."""
    from sentiment140_bert.tracking import open_trackers

    run = home.tracked
    named = _named(home, recipe)
    with open_trackers(
        tracks.choose_trackers(run, named, resume=True), lambda: tracks.describe_tracked_run(run, named)
    ):
        pass
    return dict(run.read(run.tracking)) if run.tracking.is_file() else {}


def _named(home: TuningDir, recipe: Recipe) -> Recipe:
    title = home.path.resolve().name
    names = {"run_name": title, "group": recipe.tracking.group or title, "job_type": "study", "log_model": False}
    return recipe.with_values(names)
