"""Read from a run directory everything that trackers get, so that it can be sent at any time."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from sentiment140_bert import schemas
from sentiment140_bert.errors import SecretError
from sentiment140_bert.hub import secrets
from sentiment140_bert.recipe import Recipe, TrackingConfig
from sentiment140_bert.run import FIGURES, MODEL_FILES, MODEL_PAGES, STUDY_FIGURES, RunDir
from sentiment140_bert.schemas.history import parse_entry

log = logging.getLogger(__name__)
METRICS, PUBLISHED, CARD = "metrics.json", "published.json", "README.md"
# A table of runs is sorted and filtered by these; the whole recipe is sent as a file.
CURATED = (
    "model_name_or_path",
    "model_revision",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "dataset",
    "dataset_revision",
    "cleaning",
    "max_samples",
    "max_train_samples",
    "max_length",
    "split_seed",
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "weight_decay",
    "warmup_steps",
    "lr_scheduler_type",
    "layerwise_lr_decay",
    "optim",
    "label_smoothing_factor",
    "seed",
)


class Point(NamedTuple):
    """One value of one curve; ``time`` is when it was measured, in seconds since 1970."""

    name: str
    step: int
    time: float
    value: float


class RunStatus(NamedTuple):
    """The end of a process that tracked a run; ``name`` is MLflow's own word for it."""

    name: str
    exit_code: int


FINISHED, FAILED, KILLED = RunStatus("FINISHED", 0), RunStatus("FAILED", 1), RunStatus("KILLED", 1)


class History:
    """The values in ``history.jsonl``, each line of which is read once; several threads may read.

    Args:
        file: The file, which grows, and is replaced when a resumed run drops its last lines.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = threading.Lock()
        self.version = self.at = 0
        self.points: list[Point] = []

    def read(self) -> tuple[int, list[Point]]:
        """Return a version and every value so far, in order; the version changes when earlier values are gone."""
        with self.lock:
            if self.file.is_file():
                self._read_more()
            return self.version, self.points[:]

    def _read_more(self) -> None:
        with self.file.open("rb") as file:
            version = os.fstat(file.fileno()).st_ino
            if version != self.version:
                self.version, self.at, self.points = version, 0, []
            file.seek(self.at)
            whole = file.read().rpartition(b"\n")[0]
        self.at += len(whole) + bool(whole)
        self.points += [point for line in whole.splitlines() for point in _points_of(line)]


@dataclass(frozen=True)
class TrackedRun:
    """A run as trackers see it.

    Args:
        run: The run directory.
        title: The name that the tracker shows.
        recipe: Without private values.
        fingerprint: Fingerprint of the run's data.
        live: True if it is being trained now, so that the machine is worth watching.
        is_part: True if it is one of several trainings of a command.
        stage: Opens a folder with the files of its model that are safe to load; the run may come from a stranger.
    """

    run: RunDir
    title: str
    recipe: Recipe
    fingerprint: str
    live: bool = False
    is_part: bool = False
    stage: Callable[[Path], AbstractContextManager[Path]] = nullcontext

    @cached_property
    def history(self) -> History:
        """The values in ``history.jsonl``."""
        return History(self.run.history)

    @property
    def settings(self) -> TrackingConfig:
        """The recipe's ``tracking`` section."""
        return self.recipe.tracking

    @property
    def project(self) -> str | None:
        """The tracker's project, if the recipe names one."""
        return self.recipe.training.other_arguments.get("project")

    def config(self) -> dict[str, Any]:
        """Return every setting, by section, and ``fingerprint``."""
        return self.recipe.to_dict() | {"fingerprint": self.fingerprint}

    def params(self) -> dict[str, Any]:
        """Return the few settings and counts that distinguish runs."""
        sections = self.recipe.to_dict()
        flat = sections["model"] | sections["data"] | sections["training"]
        data, environment = self.run.read_data(), self.run.read_environment()
        params = {name: flat[name] for name in CURATED if flat.get(name) is not None}
        params |= {f"{name}_rows": split["rows"] for name, split in data["splits"].items()}
        params |= {"precision": environment["precision"]["name"], "processes": environment["processes"]}
        return params | {"gpu": environment["gpu"] or "none", "fingerprint": self.fingerprint}

    def last_step(self) -> int:
        """Return the last step that was logged."""
        return max((point.step for point in self.history.read()[1]), default=0)

    def scores(self) -> dict[str, float]:
        """Return ``metrics.json`` as ``split/metric``."""
        scores: dict[str, float] = {}
        splits: dict[str, Any] = {**self.run.read_metrics()["splits"]}
        for split, values in splits.items():
            measured = {name: score for name, score in values.items() if isinstance(score, dict) and "value" in score}
            scores |= {f"{split}/{name}": score["value"] for name, score in measured.items()}
            scores[f"{split}/n"] = values["n"]
            if "calibration" in values:
                error = values["calibration"]["expected_calibration_error"]
                scores[f"{split}/expected_calibration_error"] = error["value"]
        return scores

    def urls(self) -> dict[str, str]:
        """Return the addresses of the published ``model`` and ``dataset``."""
        published = self.run.read_publications()
        return {kind: push["url"] for kind, push in published.items() if isinstance(push, dict) and "url" in push}

    def files(self) -> dict[str, bytes]:
        """Return the files that a tracker keeps and that exist, by name."""
        run = self.run
        files = {run.recipe.name: self.recipe.to_yaml().encode()}
        figures = run.list_figures((*FIGURES, *STUDY_FIGURES))
        for path in (run.data, run.environment, *figures, run.card, run.metrics, run.published):
            if path.is_file():
                files[f"figures/{path.name}" if path.parent == run.figures else path.name] = path.read_bytes()
        return {name: content for name, content in files.items() if _may_leave(name, content)}

    def model_files(self) -> list[Path]:
        """Return the files of the model folder that a tracker keeps."""
        files = self.run.list_model_files((*MODEL_FILES, *MODEL_PAGES))
        return [file for file in files if _may_leave(file.relative_to(self.run.model).as_posix(), file)]

    def weights(self) -> str | None:
        """Return the sha256 of the weights that were scored; None before that."""
        if not (self.run.is_finished() and self.run.weights.is_file()):
            return None
        return str(self.run.read(self.run.metrics, schemas.WeightsRecord)["weights_sha256"])


def _may_leave(name: str, content: bytes | Path) -> bool:
    """Return True unless a file, of which the card is written by people, too, holds a secret."""
    try:
        secrets.check_files([(name, content)])
    except SecretError as error:
        log.warning("trackers: %s They do not get this file.", error.message)
        return False
    return True


def digest(content: bytes) -> str:
    """Return a short hash, by which a file that was sent already is recognized."""
    return hashlib.sha256(content).hexdigest()[:16]


def _points_of(line: bytes) -> list[Point]:
    entry = parse_entry(line)
    if entry is None:
        return []
    step, time = int(entry["step"] or 0), float(entry.get("time") or 0.0)
    values = {key: value for key, value in entry.items() if value is not None and key not in ("step", "time")}
    return [Point(_name(key), step, time, float(value)) for key, value in values.items()]


def _name(key: str) -> str:
    """Return the name in the Trainer's own reports: ``eval_loss`` is ``eval/loss``, ``loss`` is ``train/loss``."""
    if key == "train_loss":  # the mean over the whole training, not the loss of a step
        return "train/mean_loss"
    return f"eval/{key.removeprefix('eval_')}" if key.startswith("eval_") else f"train/{key.removeprefix('train_')}"
