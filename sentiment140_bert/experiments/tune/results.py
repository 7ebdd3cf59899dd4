"""The folder of a tuning, and what is written into it: recipe, numbers, page, figures, and the tracked study."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.experiments import series
from sentiment140_bert.experiments.tune.study import Study, count_states, find_best
from sentiment140_bert.experiments.tune.trials import Material, get_metric, make_recipe
from sentiment140_bert.files import TEMPORARY, find_free_name, write_json, write_text, write_whole
from sentiment140_bert.locks import make_lock
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.recipe.privacy import make_public
from sentiment140_bert.run import STUDY_FIGURES, RunDir
from sentiment140_bert.schemas.experiments import FinalComparison, StudyResults, TrialRecord, pick_used_data
from sentiment140_bert.tracking import open_trackers, tracks
from sentiment140_bert.training.environment import describe_environment, start_run
from sentiment140_bert.training.volumes import is_volume
from sentiment140_bert.trust import check_folder

log = logging.getLogger(__name__)
MARK = "# sha256 of the other lines: "


@dataclass(frozen=True)
class StudyDir:
    """The folder of a tuning. ``path`` need not exist yet."""

    path: Path

    @property
    def about(self) -> Path:
        """The identity of the study; written first."""
        return self.path / "study.json"

    @property
    def database(self) -> Path:
        """The study itself, unless it is on a server."""
        return self.path / "study.db"

    @property
    def best(self) -> Path:
        """The recipe of the best trial so far."""
        return self.path / "best.yaml"

    @property
    def tracked(self) -> RunDir:
        """The run that trackers show for the whole study."""
        return RunDir(self.path / "study")

    def trial(self, number: int) -> RunDir:
        """Return the run of a trial."""
        return RunDir(self.path / "trials" / f"trial-{number:04}")

    @contextmanager
    def lock(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        """Keep other processes out of such a block; yield False if another one is in it and ``wait`` is False.

        Raises:
            RunError: Nothing can be locked there.
        """
        from filelock import Timeout

        self.path.mkdir(parents=True, exist_ok=True)
        lock = make_lock(self.path / f"{name}.lock", timeout=-1 if wait else 0)
        try:
            lock.acquire()
        except Timeout:
            yield False
            return
        except OSError as error:
            raise RunError(f"{lock.lock_file} cannot be locked: {error.strerror}.", "Remove it.") from None
        try:
            yield True
        finally:
            lock.release()

    def check(self) -> None:
        """Refuse a folder that is neither new nor a study's, or in which trials cannot run.

        Raises:
            RunError: It is such a folder.
            TrustError: A link in it points outside it.
        """
        check_folder(self.path)
        if is_volume(self.path):
            raise RunError(
                f"{self.path} is on a volume, where files cannot be appended to, as trials must.",
                "Choose an OUTPUT on a local disk, and copy it to the volume afterwards.",
            )
        written_first = (self.database.name, TEMPORARY)  # by a process that began just now
        series.check_output(self.path, self.about.is_file(), "s140 tune", *written_first)


@dataclass
class Tuning:
    """Everything that one call of ``tune`` works on.

    Args:
        home: The folder of the study.
        study: The study in its store.
        recipe: The recipe of the study.
        material: The tweets of the trials.
        own: The recipe's own values of all settings.
        arguments_given: The arguments after ``s140`` on the command line.
        parent: The MLflow run of the study.
    """

    home: StudyDir
    study: Study
    recipe: Recipe
    material: Material
    own: dict[str, Any]
    arguments_given: list[str] | None
    parent: str | None = None

    def make_recipe(self, values: Mapping[str, Any], run: RunDir, kind: str, **settings: Any) -> Recipe:
        """Return the recipe of one training with its values, and with the names of its tracked run."""
        folder = self.home.path.resolve().name
        names = {"run_name": f"{folder}-{run.path.name}", "group": self.recipe.tracking.group or folder}
        settings |= names | {"job_type": kind, "parent_run": self.parent}
        return make_recipe(self.recipe, {**values, **settings})

    def write_best(self) -> list[TrialRecord]:
        """Write ``best.yaml``, the recipe with the values of the best trial so far, and return all trials.

        One that was edited is kept under another name.
        """
        with self.home.lock("study.json"):  # so that an older one never replaces a newer one
            trials = self.study.list_trials()
            best = find_best(trials, self.study.direction)
            if best:
                comment = (
                    f"# The best of the trials of `s140 tune`: trial {best['number']}, {get_metric(self.recipe)} "
                    f"{best['value']:.4f} on the validation tweets.\n"
                    "# The next `s140 tune` replaces this file; an edited one is kept under another name.\n"
                )
                recipe = make_recipe(self.recipe, best["values"]).to_yaml()
                _keep_edited(self.home.best)
                write_text(self.home.best, comment + _make_mark(comment + recipe) + recipe)
            return trials

    def write_results(self, final: FinalComparison | None = None) -> StudyResults:
        """Write ``tuning.json``, and ``README.md`` and the figures that are made of it.

        Args:
            final: Result of :func:`comparison.compare`; omitted if another trial is the best by now.

        Returns:
            The content of ``tuning.json`` (docs/tuning.md lists its keys).
        """
        from sentiment140_bert.experiments.tune import page

        study, report = self.study, self.material.report
        with self.home.lock("study.json"):
            trials = study.list_trials()
            best = find_best(trials, study.direction)
            content: StudyResults = {
                "name": study.name,
                "store": study.store.file.name if study.store.file else study.store.place,
                "recipe": make_public(self.recipe, is_on_hub=report["sources"]["training"]["on_hub"]).to_dict(),
                "space": study.identity["space"],
                "own_values": dict(self.own),
                "metric": get_metric(self.recipe).removeprefix("eval_"),
                "direction": study.identity["direction"],
                "sampler": study.identity["sampler"],
                "pruner": study.identity["pruner"],
                "seed": study.identity["seed"],
                "data": pick_used_data(report),
                "trials": trials,
                "counts": count_states(trials),
                "best": best,
                "importances": study.rate_importances(trials),
                "final": final if best and final and final["trial"] == best["number"] else None,
            }
            figures = page.draw_figures(self.home.path / "figures", content, study.space)
            write_text(self.home.path / "README.md", page.make_page(content, figures))
            write_json(self.home.path / "tuning.json", content)
        return content

    def begin_tracking(self) -> None:
        """Begin a tracked run of the study, if it is the first process; in MLflow it is the parent of the others."""
        from sentiment140_bert.training import arguments

        run = self.home.tracked
        if not tracks.choose_trackers(run, self.recipe, resume=False):
            return
        with self.home.lock("study.json"):
            if not run.is_run():
                precision = arguments.choose_precision(self.recipe.training)
                environment = describe_environment(self.recipe, precision, 1, self.arguments_given)
                start_run(run, self._name_study(), self.material.report, environment)
            runs = self.study.recall("tracked", self._track)
            if runs and not run.tracking.is_file():
                write_json(run.tracking, runs)
            if run.tracking.is_file():
                self.parent = run.read_tracking().get("mlflow", {}).get("id")

    def track_results(self, content: StudyResults) -> None:
        """Send scores and pictures of the study to the trackers, if there are any."""
        run = self.home.tracked
        if not run.is_run():
            return
        better = max if content["direction"] == "maximize" else min
        lines: list[str] = []
        values: list[float] = []
        for trial in content["trials"]:
            if trial["state"] == "complete" and trial["value"] is not None and trial["started"]:
                values.append(trial["value"])
                end = datetime.fromisoformat(trial["started"]).timestamp() + (trial["seconds"] or 0.0)
                scores = {"eval_value": values[-1], "eval_best": better(values)}
                lines.append(json.dumps({"step": trial["number"], "time": round(end, 3)} | scores))
        write_text(run.history, "".join(f"{line}\n" for line in lines))
        for file in RunDir(self.home.path).list_figures(STUDY_FIGURES):
            with write_whole(run.figures / file.name) as temporary:
                temporary.write_bytes(file.read_bytes())
        self._track()

    def _track(self) -> schemas.Tracking:
        """Sync the trackers, and return their runs."""
        run, recipe = self.home.tracked, self._name_study()
        with open_trackers(
            tracks.choose_trackers(run, recipe, resume=True), lambda: tracks.describe_tracked_run(run, recipe)
        ):
            pass
        return run.read_tracking()

    def _name_study(self) -> Recipe:
        title = self.home.path.resolve().name
        names = {"run_name": title, "group": self.recipe.tracking.group or title, "job_type": "study"}
        return self.recipe.with_values(names | {"log_model": False})


def _make_mark(text: str) -> str:
    """Return the line by which an edit of a file with this text is noticed."""
    return f"{MARK}{hashlib.sha256(text.encode('utf-8', 'backslashreplace')).hexdigest()}\n"


def _keep_edited(file: Path) -> None:
    """Rename a file that is not as it was written, so that it is not replaced."""
    if not file.is_file():
        return
    lines = file.read_text("utf-8", "replace").splitlines(keepends=True)
    others = "".join(line for line in lines if not line.startswith(MARK))
    if _make_mark(others) not in lines:
        other = find_free_name(file)
        file.replace(other)
        log.warning("%s was edited, and is replaced; the edited one is now %s", file, other)
