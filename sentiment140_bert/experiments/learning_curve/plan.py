"""The folder of a learning curve, and its plan: sizes, nested subsets with hashes, and one training for each point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NotRequired

import numpy as np
from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from sentiment140_bert.data import loading
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas import Sha256
from sentiment140_bert.schemas.experiments import CurveInputs
from sentiment140_bert.text import format_duration

FINISHED, FAILED, UNFINISHED, MISSING = "finished", "failed", "unfinished", "missing"
SPLITS = ("test", "manual")  # whose accuracy is drawn and fitted
MAX_NAMES = 4  # of folders in a sentence
MOST_SIZES = 100  # of a curve, whose trainings are all combinations with the seeds
LARGEST_SIZE = 2**31  # tweets


def _ascend(subsets: list[Subset]) -> list[Subset]:
    sizes = [subset["size"] for subset in subsets]
    if not sizes or sizes != sorted({*sizes}):
        raise ValueError("the sizes do not ascend")
    return subsets


class Subset(TypedDict):
    """Training tweets of a point, and the hash of those among the next larger ones that are the same."""

    size: Annotated[int, Field(ge=2, le=LARGEST_SIZE)]
    fingerprint: Sha256
    train: dict[str, Any]
    sha256_in_next: Sha256 | None


class Plan(CurveInputs):
    """``plan.json``."""

    base_weights: NotRequired[str | None]  # a hash of those of a local folder, which may change
    subsets: Annotated[list[Subset], Field(max_length=MOST_SIZES), AfterValidator(_ascend)]


class Failure(TypedDict):
    """Why a training failed; one that diverged starts again, others resume."""

    reason: str
    hint: str
    diverged: NotRequired[bool]


Failures = dict[str, Failure]  # ``failed.json``, by folder


@dataclass(frozen=True)
class CurveDir:
    """The folder of a learning curve. ``path`` need not exist yet."""

    path: Path

    @property
    def plan(self) -> Path:
        """The trainings and their tweets; written first."""
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
        """Return the run directory of a training."""
        return RunDir(self.path / "points" / f"size-{size}-seed-{seed}")

    def read_plan(self) -> Plan | None:
        """Return the content of ``plan.json``, or None without one.

        Raises:
            RunError: It is damaged.
        """
        return RunDir(self.path).read(self.plan, Plan) if self.plan.is_file() else None

    def read_failures(self) -> Failures:
        """Return the content of ``failed.json``, or an empty dictionary.

        Raises:
            RunError: It is damaged.
        """
        return RunDir(self.path).read(self.failures, Failures) if self.failures.is_file() else {}

    def find_state(self, run: RunDir) -> str:
        """Return whether a training is finished, failed, unfinished or missing."""
        if run.is_finished():
            return FINISHED
        if run.path.name in self.read_failures():
            return FAILED
        return UNFINISHED if run.is_run() else MISSING


@dataclass(frozen=True)
class Training:
    """A point of the curve with one seed: an ordinary run. Its recipe includes ``max_train_samples`` and ``seed``."""

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

    @property
    def state(self) -> str:
        return self.home.find_state(self.run)


def list_trainings(
    home: CurveDir, recipe: Recipe, sizes: list[int], seeds: list[int], keep_models: bool
) -> Iterator[Training]:
    """Yield every training of a curve, the smallest sizes first."""
    name = home.path.resolve().name
    shared = {"group": recipe.tracking.group or name} | ({} if keep_models else {"log_model": False})
    for size in sizes:
        for seed in seeds:
            own = {"max_train_samples": size, "seed": seed, "run_name": f"{name}-size-{size}-seed-{seed}"}
            yield Training(home, recipe.with_values(shared | own))


def limit_sizes(sizes: Sequence[int], available: int) -> tuple[list[int], str | None]:
    """Return the sizes with those that are too large replaced by all tweets, and a sentence that says so."""
    too_large = [size for size in sizes if size > available]
    if not too_large:
        return list(sizes), None
    sentence = (
        f"{' and '.join(f'{size:,}' for size in too_large)}: there are {available:,} tweets to train on; "
        "the largest size is now all of them."
    )
    return sorted({*(size for size in sizes if size <= available), available}), sentence


def describe_left_out(home: CurveDir, planned: Sequence[Training]) -> str | None:
    """Return a sentence about finished trainings of earlier calls that are not planned now; None without any."""
    names = {training.run.path.name for training in planned}
    earlier = [RunDir(path) for path in (home.path / "points").glob("size-*-seed-*") if path.name not in names]
    finished = [run.path.name for run in earlier if run.is_finished()]
    if not finished:
        return None
    finished.sort(key=lambda name: [int(part) for part in name.split("-") if part.isdecimal()])
    listed = ", ".join(finished[:MAX_NAMES]) + (", …" if len(finished) > MAX_NAMES else "")
    return (
        f"finished earlier, with other sizes or seeds: {listed} ({len(finished)} in all). They stay in points/, but "
        "not in curve.json, table and picture; a call with their sizes and seeds includes them again."
    )


def list_subsets(parts: dict[int, loading.PreparedData]) -> list[Subset]:
    """Return ``subsets`` of ``plan.json`` for the tweets of each size, ascending."""
    from sentiment140_bert.data import subset

    prepared = [part for part, _, _ in parts.values()]
    return [
        {
            "size": size,
            "fingerprint": part.report["fingerprint"],
            "train": {key: value for key, value in part.report["splits"]["train"].items() if key != "token_length"},
            "sha256_in_next": subset.hash_shared_rows(part, larger) if larger else None,
        }
        for size, part, larger in zip(parts, prepared, [*prepared[1:], None], strict=True)
    ]


class PlannedTraining(TypedDict):
    """A training of a curve, with its steps and tweets."""

    size: int
    seed: int
    state: str
    steps: int
    tweets: int


class PlannedWork(TypedDict):
    """The trainings of a curve, and the steps and tweets of those that are not finished."""

    trainings: list[PlannedTraining]
    steps: int
    tweets: int


def list_work(planned: list[Training], parts: dict[int, loading.PreparedData]) -> PlannedWork:
    """List the trainings of a curve, and count the steps and tweets of those that are not finished."""
    trainings = [_describe_training(training, parts[training.size]) for training in planned]
    unfinished = [training for training in trainings if training["state"] != FINISHED]
    return {
        "trainings": trainings,
        "steps": sum(training["steps"] for training in unfinished),
        "tweets": sum(training["tweets"] for training in unfinished),
    }


def _describe_training(training: Training, part: loading.PreparedData) -> PlannedTraining:
    """Return a training with its optimizer steps, and the tweets that it trains on or scores, in all epochs."""
    from sentiment140_bert.training.probe import job_of

    config = training.recipe.training
    rows = {name: split["rows"] for name, split in part[0].report["splits"].items()}
    batch = config.per_device_train_batch_size * config.gradient_accumulation_steps
    job = job_of(config, batch, rows["train"], rows["validation"])
    trained = job.steps * batch if config.max_steps > 0 else round(config.num_train_epochs * rows["train"])
    scored = sum(count for name, count in rows.items() if name not in ("train", "neutral"))
    return {
        "size": training.size,
        "seed": training.seed,
        "state": training.state,
        "steps": job.steps,
        "tweets": trained + job.scored + scored,
    }


def estimate_time_left(planned: list[Training], states: list[str]) -> str:
    """Return the time that training alone will take, in words; empty before the first training is finished."""
    finished = [training for training, state in zip(planned, states, strict=True) if state == FINISHED]
    if not finished:
        return ""
    reports = [training.run.read_environment()["training"] for training in finished]
    fastest = max(report["tweets_per_second"] for report in reports)
    per_tweet = float(np.mean([report["epochs"] for report in reports])) / fastest
    tweets = sum(training.size for training, state in zip(planned, states, strict=True) if state != FINISHED)
    return f", about {format_duration(tweets * per_tweet)} of training left"
