"""The results of the verbs, and how they look in a Python session and in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.run import RunDir
from sentiment140_bert.schemas import SplitScores, get_limits, get_score
from sentiment140_bert.text import escape_hidden

SHOWN = {"accuracy": "accuracy", "f1": "F1"}
CHOSEN_BY = "validation"  # the split that chose the checkpoint; shown only if there is no other


class TrackedAt(TypedDict):
    """The place of a run at a tracker, the parts that it does not have, and what is kept on this machine instead."""

    id: str | None
    url: str | None
    unsent: list[str]
    offline: list[str]


class KeptCheckpoints(TypedDict):
    """A repository of checkpoints; ``newest`` is the checkpoint that is there, None if none could be sent."""

    repo_id: str
    url: str
    newest: str | None


@dataclass(frozen=True)
class Pushed:
    """The result of a push. ``changed`` is False if the Hub had it all already; ``commit`` is then the newest one."""

    kind: str
    repo_id: str
    url: str
    commit: str
    changed: bool
    private: bool
    pr_url: str | None
    tag: str | None


class ListedFiles(NamedTuple):
    """The files that would be published, each with its bytes."""

    repo_id: str
    files: dict[str, int]


@dataclass(frozen=True, repr=False)
class PushResult:
    """Result of a push to the Hub; a ``dry_run`` gives only ``files``, by kind."""

    dataset: Pushed | None = None
    model: Pushed | None = None
    space: Pushed | None = None
    files: Mapping[str, ListedFiles] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        if self.files is not None:
            return {kind: listed._asdict() for kind, listed in self.files.items()}
        return {pushed.kind: vars(pushed) for pushed in self.list_pushed()}

    def list_pushed(self) -> list[Pushed]:
        """Return what was pushed, in that order."""
        return [pushed for pushed in (self.dataset, self.model, self.space) if pushed]

    def _rows(self) -> list[list[str]]:
        if self.files is not None:
            return [
                [kind, listed.repo_id, f"{len(listed.files)} files, {sum(listed.files.values()):,} bytes"]
                for kind, listed in self.files.items()
            ]
        return [
            [pushed.kind, pushed.url, f"commit {pushed.commit[:12]}" if pushed.changed else "no changes"]
            for pushed in self.list_pushed()
        ]

    def __repr__(self) -> str:
        rows = "; ".join(f"{kind} {place} ({state})" for kind, place, state in self._rows())
        return f"PushResult({'not published: ' if self.files is not None else ''}{rows or 'nothing'})"

    def _repr_html_(self) -> str:
        return make_table(["", "repository", "state"], self._rows())


@dataclass(frozen=True, repr=False)
class TrainResult:
    """A finished run.

    Args:
        run: The run directory.
        published: What was pushed, if that was asked for.
        tracked: The run's trackers.
        checkpoints: The repository that keeps its checkpoints, if the recipe names one.
        is_main: False in the other processes of a training in several; they have the folder's name alone.
    """

    run: Path
    published: PushResult | None = None
    tracked: Mapping[str, TrackedAt] | None = None
    checkpoints: KeptCheckpoints | None = None
    is_main: bool = True

    def __post_init__(self) -> None:
        if self.is_main:  # read now: the folder may hold another run later
            _ = self.metrics, self.training

    @property
    def model(self) -> Path:
        """The model folder, for ``pipeline`` and ``from_pretrained``."""
        return RunDir(self.run).model

    @cached_property
    def metrics(self) -> schemas.Scores:
        """The content of ``metrics.json``."""
        return RunDir(self.run).read_metrics()

    @cached_property
    def training(self) -> schemas.Training:
        """Steps, seconds and memory: the part ``training`` of ``environment.json``."""
        return RunDir(self.run).read_environment()["training"]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "run": str(self.run),
            "model": str(self.model),
            "training": self.training,
            "metrics": self.metrics,
            "published": self.published.to_dict() if self.published else None,
            "tracked": self.tracked,
            "checkpoints": self.checkpoints,
        }

    def __repr__(self) -> str:
        scores = describe_scores(self.metrics["splits"]) if self.is_main else "trained by the main process"
        return f"TrainResult({str(self.run)!r}: {scores})"

    def _repr_html_(self) -> str:
        return make_score_table(self.metrics["splits"]) if self.is_main else escape(repr(self))


@dataclass(frozen=True, repr=False)
class DatasetScores:
    """The scores of a model on a dataset.

    Args:
        model: The model, as it was named.
        dataset: The dataset, as it was named.
        splits: Scores of ``test`` and ``manual``, and of ``test_unseen`` or ``manual_unseen`` without the tweets that
            the model was trained on, if there are any; or of a run's own splits.
        leaked: The rows of those tweets, counted from 0, by split: ``exact`` and ``near``.
        unknown: What could not be checked of that.
        assumed: The meaning of labels without names.
    """

    model: str
    dataset: str
    splits: dict[str, SplitScores]
    leaked: dict[str, dict[str, list[int]]]
    unknown: str | None
    assumed: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f"DatasetScores({self.model!r} on {self.dataset!r}: {describe_scores(self.splits)})"

    def _repr_html_(self) -> str:
        return make_score_table(self.splits)


# ---- scores in words, and as a table


def _choose_splits(splits: Mapping[str, SplitScores]) -> dict[str, SplitScores]:
    held_out = {name: split for name, split in splits.items() if name != CHOSEN_BY}
    return held_out or dict(splits)


def format_score(split: SplitScores, name: str) -> str:
    """Return a score with its interval, such as ``0.847 [0.812, 0.878]``; an empty text without one."""
    score = get_score(split, name)
    if score is None:
        return ""
    limits = get_limits(score)
    return f"{score['value']:.3f}" + (f" [{limits[0]:.3f}, {limits[1]:.3f}]" if limits else "")


def describe_scores(splits: Mapping[str, SplitScores]) -> str:
    """Return the accuracy on each held-out split in a line."""
    return "; ".join(
        f"{name} accuracy {format_score(split, 'accuracy')} on {split['n']:,} tweets"
        if "accuracy" in split
        else f"{name}: only neutral tweets"
        for name, split in _choose_splits(splits).items()
    )


def make_score_table(splits: Mapping[str, SplitScores]) -> str:
    """Return an HTML table of the scores on each held-out split."""
    rows = [
        [name, f"{split['n']:,}", *(format_score(split, score) for score in SHOWN)]
        for name, split in _choose_splits(splits).items()
    ]
    return make_table(["split", "tweets", *SHOWN.values()], rows)


def make_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an HTML table; its cells are text, whatever is in them."""

    def join(cells: Sequence[object], tag: str) -> str:
        return "".join(f"<{tag}>{escape(escape_hidden(str(cell)))}</{tag}>" for cell in cells)

    body = "".join(f"<tr>{join(row, 'td')}</tr>" for row in rows)
    return f"<table><thead><tr>{join(header, 'th')}</tr></thead><tbody>{body}</tbody></table>"
