"""The trainings of a learning curve: each an ordinary run in a folder of its own, made, gone on with, or kept."""

from __future__ import annotations

import gc
import logging
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import Interrupted, RunError, S140Error, first_line
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run_dir import RunDir, write_json
from sentiment140_bert.workflows import preparing, training
from sentiment140_bert.workflows.runs import differences, saved_recipe

if TYPE_CHECKING:
    from sentiment140_bert.curve.summary import Point

log = logging.getLogger(__name__)
FINISHED, FAILED, UNFINISHED, MISSING = "finished", "failed", "unfinished", "missing"
TOLD = ("accuracy", "f1", "log_loss", "roc_auc")  # of a split's scores


@dataclass(frozen=True)
class CurveDir:
    """Where each thing of a learning curve lies. ``path`` need not exist yet."""

    path: Path

    @property
    def plan(self) -> Path:
        """What is trained on what; written first."""
        return self.path / "plan.json"

    @property
    def failures(self) -> Path:
        """Why trainings failed, by the name of their folder."""
        return self.path / "failed.json"

    @property
    def curve(self) -> Path:
        """All numbers of table and picture."""
        return self.path / "curve.json"

    def run(self, size: int, seed: int) -> RunDir:
        """The run of a training."""
        return RunDir(self.path / "points" / f"size-{size}-seed-{seed}")

    def read(self, file: Path) -> dict[str, Any]:
        """A JSON file; empty where there is none.

        Raises:
            RunError: It is damaged.
        """
        return RunDir(self.path).read(file) if file.is_file() else {}


@dataclass(frozen=True)
class Training:
    """One training of the curve: its recipe says all, ``max_train_samples`` and ``seed`` included."""

    home: CurveDir
    recipe: Recipe

    @property
    def size(self) -> int:
        return self.recipe.data.max_train_samples or 0

    @property
    def seed(self) -> int:
        return self.recipe.training.seed

    @property
    def run(self) -> RunDir:
        return self.home.run(self.size, self.seed)

    def state(self) -> str:
        """Whether it is finished, failed, unfinished or missing."""
        return state_of(self.home, self.run)

    def check(self, fingerprint: str) -> None:
        """Makes sure that what lies in its folder is this training.

        Raises:
            RunError: It was made by another recipe, or of other tweets.
        """
        if not self.run.is_run():
            return
        changed = differences(saved_recipe(self.run.path), self.recipe)
        then = self.run.read(self.run.data)["fingerprint"]
        if then != fingerprint:
            changed.append(f"the tweets: fingerprint {then[:12]} then, {fingerprint[:12]} now")
        if changed:
            raise RunError(
                f"{self.run.path} was trained otherwise: {'; '.join(changed)}.",
                "Go on with the recipe and the tweets of the beginning, or choose another OUTPUT.",
            )

    def go(self, data: preparing.Data, keep_model: bool, arguments_given: list[str] | None) -> bool:
        """Trains it, or goes on with it; whether it came to its end.

        Args:
            data: Its own.
            keep_model: Else weights are removed when they were scored; checkpoints are in any case.
            arguments_given: What followed ``s140`` on the command line.

        Raises:
            Interrupted: A signal stopped it; a checkpoint is kept.
        """
        failed = self.state() == FAILED
        if self.run.path.is_dir() and not self.run.is_run():
            _remove_beginning(self.run)
        try:
            training.train(
                self.recipe,
                self.run.path,
                resume=self.run.is_run() and not failed,
                overwrite=failed,
                arguments_given=arguments_given,
                data=data,
                lean=not keep_model,
            )
        except Interrupted as stopped:
            hint = "Finished points are kept; go on with the same command."
            raise Interrupted(stopped.message, hint, stopped.exit_code - 128) from None
        except S140Error as error:
            log.warning("curve: size %s, seed %d failed: %s", f"{self.size:,}", self.seed, error.message)
            self._note_failure({"reason": error.message, "hint": error.hint})
            return False
        finally:
            _free_memory()
        self._note_failure(None)
        shutil.rmtree(self.run.checkpoints, ignore_errors=True)
        if not keep_model:
            shutil.rmtree(self.run.model)
        return True

    def _note_failure(self, why: Mapping[str, str] | None) -> None:
        known = self.home.read(self.home.failures)
        others = {name: each for name, each in known.items() if name != self.run.path.name}
        now = others | ({self.run.path.name: why} if why else {})
        if now != known:
            write_json(self.home.failures, now)


def state_of(home: CurveDir, run: RunDir) -> str:
    """Of a training's run: finished, failed, unfinished or missing."""
    if run.is_finished():
        return FINISHED
    if run.path.name in home.read(home.failures):
        return FAILED
    return UNFINISHED if run.is_run() else MISSING


def _remove_beginning(run: RunDir) -> None:
    """What a training leaves that was killed before it had written that it is a run."""
    run.clear()
    for each in run.path.glob(".*"):
        each.unlink()


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def told(home: CurveDir, run: RunDir, seed: int, scored: Mapping[str, str], price_per_hour: float | None) -> Point:
    """What ``curve.json`` says of a training, and which tweets its model got wrong.

    Args:
        home: Of the curve.
        run: Of the training.
        seed: Its own.
        scored: The hash of the tweets of each split, as ``data.json`` has it.
        price_per_hour: Of the machine.

    Raises:
        RunError: A file of it is missing or damaged, or it was scored on other tweets.
    """
    from sentiment140_bert.curve.summary import Point

    state = state_of(home, run)
    about: dict[str, Any] = {"seed": seed, "run": f"points/{run.path.name}", "state": state}
    if state == FAILED:
        about |= home.read(home.failures)[run.path.name]
    if state != FINISHED:
        return Point(about, {})
    metrics, environment = run.read(run.metrics), run.read(run.environment)
    wrong, hashes = _answers(run)
    if hashes != scored:
        raise RunError(
            f"{run.path} was not scored on the tweets of this curve, or {run.predictions.name} is damaged.",
            f"Remove {run.path}; it is trained again by the command that made the curve.",
        )
    trained = environment["training"]
    cost = None if price_per_hour is None else trained["seconds"] / 3600 * price_per_hour
    about |= {
        "splits": {name: _scores(metrics["splits"][name], hashes[name]) for name in wrong},
        "data_fingerprint": metrics["data_fingerprint"],
        "weights_sha256": metrics["weights_sha256"],
        **{name: trained[name] for name in ("steps", "best_step", "seconds", "tweets_per_second")},
        "cost": cost,
        "machine": environment["gpu"] or environment["cpu"],
        "precision": environment["precision"]["name"],
    }
    return Point(about, wrong)


def _scores(split: Mapping[str, Any], rows_sha256: str) -> dict[str, Any]:
    tfidf = split["baselines"].get("tfidf", {})
    return {
        "n": split["n"],
        **{name: split[name] for name in TOLD if name in split},
        "tfidf": tfidf.get("accuracy"),
        "lift": tfidf.get("lift"),
        "majority": split["baselines"]["majority"]["accuracy"]["value"],
        "rows_sha256": rows_sha256,
    }


def _answers(run: RunDir) -> tuple[dict[str, Any], dict[str, str]]:
    """By split, whether each tweet that is not neutral was answered wrongly, and a hash of these tweets."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from sentiment140_bert.curve.summary import SHOWN
    from sentiment140_bert.data.report import row_hash

    try:
        table = pq.read_table(run.predictions, columns=["split", "text", "label", "positive"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise RunError(
            f"{run.predictions} cannot be read: {first_line(error)}.",
            f"Remove {run.path}; it is trained again by the command that made the curve.",
        ) from None
    wrong, hashes = {}, {}
    for name in SHOWN:
        rows = table.filter(pc.and_(pc.equal(table["split"], name), pc.less(table["label"], 2)))
        if len(rows):
            wrong[name] = (rows["positive"].to_numpy() >= 0.5) != (rows["label"].to_numpy() == 1)
            hashes[name] = row_hash(rows)
    return wrong, hashes


def trainings(
    home: CurveDir, recipe: Recipe, sizes: list[int], seeds: list[int], keep_models: bool
) -> Iterator[Training]:
    """Every training of a curve, the smallest sizes first."""
    name = home.path.resolve().name
    shared = {"group": recipe.tracking.group or name} | ({} if keep_models else {"log_model": False})
    for size in sizes:
        for seed in seeds:
            own = {"max_train_samples": size, "seed": seed, "run_name": f"{name}-size-{size}-seed-{seed}"}
            yield Training(home, recipe.with_values(shared | own))
