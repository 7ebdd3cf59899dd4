"""What trackers are told of a run. All of it stands in the run directory, so that it can be told later as well."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from sentiment140_bert import shapes
from sentiment140_bert.history import entry_of
from sentiment140_bert.recipe import Recipe, TrackingConfig
from sentiment140_bert.run_dir import RunDir

METRICS, PUBLISHED, CARD = "metrics.json", "published.json", "README.md"
# What a table of runs is sorted and filtered by; the whole recipe goes along as a file.
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
    """One value of one curve. ``time`` is in seconds since 1970, when it was measured."""

    name: str
    step: int
    time: float
    value: float


class State(NamedTuple):
    """How a verb ended; ``name`` is MLflow's own word for it."""

    name: str
    exit_code: int


FINISHED, FAILED, KILLED = State("FINISHED", 0), State("FAILED", 1), State("KILLED", 1)


class History:
    """The values in ``history.jsonl``, each line of which is read once; several threads may ask.

    Args:
        file: It grows; when a resumed training forgets its last lines, another file takes its place.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lock = threading.Lock()
        self.version = self.at = 0
        self.found: list[Point] = []

    def read(self) -> tuple[int, list[Point]]:
        """Every value so far, in order; the number before them is another one where earlier ones are gone."""
        with self.lock:
            if self.file.is_file():
                self._go_on()
            return self.version, self.found[:]

    def _go_on(self) -> None:
        with self.file.open("rb") as file:
            version = os.fstat(file.fileno()).st_ino
            if version != self.version:
                self.version, self.at, self.found = version, 0, []
            file.seek(self.at)
            whole = file.read().rpartition(b"\n")[0]
        self.at += len(whole) + bool(whole)
        self.found += [point for line in whole.splitlines() for point in _points_of(line)]


@dataclass(frozen=True)
class Story:
    """One run as a tracker sees it.

    Args:
        run: Its directory.
        title: Shown by the tracker.
        recipe: As it may be published.
        fingerprint: Of its data.
        live: Whether it is being trained now, so that the machine is worth watching.
        stage: Gives a folder with what may be opened of its model, for the run may come from anybody.
    """

    run: RunDir
    title: str
    recipe: Recipe
    fingerprint: str
    live: bool = False
    stage: Callable[[Path], AbstractContextManager[Path]] = nullcontext
    history: History = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "history", History(self.run.history))

    @property
    def settings(self) -> TrackingConfig:
        """The recipe's ``tracking`` section."""
        return self.recipe.tracking

    @property
    def project(self) -> str | None:
        """Of the tracker, where the recipe names one."""
        return self.recipe.training.other_arguments.get("project")

    def config(self) -> dict[str, Any]:
        """Every setting, by section, and ``fingerprint``."""
        return self.recipe.to_dict() | {"fingerprint": self.fingerprint}

    def params(self) -> dict[str, Any]:
        """The few settings and counts that runs are told apart by."""
        plain = self.recipe.to_dict()
        flat = plain["model"] | plain["data"] | plain["training"]
        data, environment = self.run.read(self.run.data), self.run.read(self.run.environment)
        found = {name: flat[name] for name in CURATED if flat.get(name) is not None}
        found |= {f"{name}_rows": split["rows"] for name, split in data["splits"].items()}
        found |= {"precision": environment["precision"]["name"], "processes": environment["processes"]}
        found |= {"gpu": environment["gpu"] or "none", "fingerprint": self.fingerprint}
        return found

    def last_step(self) -> int:
        """The last one that was logged."""
        return max((point.step for point in self.history.read()[1]), default=0)

    def scores(self) -> dict[str, float]:
        """``metrics.json`` as ``split/metric``."""
        found: dict[str, float] = {}
        for split, values in self.run.read(self.run.metrics)["splits"].items():
            found |= {f"{split}/{name}": each["value"] for name, each in values.items() if _is_score(each)}
            found[f"{split}/n"] = values["n"]
            if "calibration" in values:
                error = values["calibration"]["expected_calibration_error"]
                found[f"{split}/expected_calibration_error"] = error["value"]
        return found

    def urls(self) -> dict[str, str]:
        """Where the run was published: ``model`` and ``dataset``."""
        published = self.run.read(self.run.published)
        return {kind: each["url"] for kind, each in published.items() if isinstance(each, dict) and "url" in each}

    def files(self) -> dict[str, bytes]:
        """Every file that a tracker keeps, as far as there is one, by its name."""
        run = self.run
        found = {run.recipe.name: self.recipe.to_yaml().encode()}
        listed = [run.data, run.environment, *sorted(run.figures.glob("*.png")), run.card, run.metrics, run.published]
        for path in listed:
            if path.is_file():
                found[f"figures/{path.name}" if path.parent == run.figures else path.name] = path.read_bytes()
        return found

    def weights(self) -> str | None:
        """sha256 of the weights that were scored; None before that."""
        if not (self.run.is_finished() and self.run.weights.is_file()):
            return None
        return str(self.run.read(self.run.metrics, shapes.Weighed)["weights_sha256"])


def digest(content: bytes) -> str:
    """By which a file that was told already is known again."""
    return hashlib.sha256(content).hexdigest()[:16]


def _points_of(line: bytes) -> list[Point]:
    entry = entry_of(line)
    if entry is None:
        return []
    step, time = int(entry["step"] or 0), float(entry.get("time") or 0.0)
    found = {key: value for key, value in entry.items() if value is not None and key not in ("step", "time")}
    return [Point(_name(key), step, time, float(value)) for key, value in found.items()]


def _name(key: str) -> str:
    """As the Trainer's own reports name it: ``eval_loss`` is ``eval/loss``, ``loss`` is ``train/loss``."""
    if key == "train_loss":  # the mean over the whole training, beside the loss of each step
        return "train/mean_loss"
    return f"eval/{key.removeprefix('eval_')}" if key.startswith("eval_") else f"train/{key.removeprefix('train_')}"


def _is_score(value: Any) -> bool:
    return isinstance(value, dict) and "value" in value
