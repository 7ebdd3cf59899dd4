"""The types of ``tracking.json`` and ``published.json``: where a run is tracked and where it was published."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import RepoId


class SyncedState(TypedDict, total=False):
    """The steps of each curve and the files that a tracker has."""

    steps: dict[str, int]
    files: dict[str, str]


TrackerName = Annotated[str, Field(pattern=r"^\w[\w .:+-]{0,199}$")]  # trackers make paths of some


class TrackerState(TypedDict, total=False):
    """The place of a run at a tracker."""

    id: TrackerName | None
    url: str | None
    project: TrackerName | None
    tracking_uri: str | None
    folder: str | None
    sent: SyncedState
    key: str
    experiment: str
    theirs: bool
    note: str


class LastCommit(TypedDict):
    """The commit of the last push to a place."""

    commit: str


class Publication(TypedDict, total=False):
    """The place on the Hub to which something was last published. For the model also its card at that time, and the
    last commit in each place."""

    repo_id: RepoId
    url: str
    commit: str
    revision: str | None
    private: bool
    card: str
    commits: dict[str, LastCommit]


Publications = dict[str, Publication]  # ``published.json``: ``model``, ``dataset`` and ``space``
Tracking = dict[str, TrackerState]  # ``tracking.json``, by tracker
