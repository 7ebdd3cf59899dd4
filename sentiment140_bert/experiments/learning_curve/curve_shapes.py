"""What the JSON files of a learning curve must hold; those of its trainings are a run's."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from sentiment140_bert.shapes import Count, Sha256


class Subset(TypedDict):
    """Training tweets of a learning curve."""

    size: Count


class HashedSplit(TypedDict):
    """Which tweets are in a split."""

    sha256: Sha256


class PlannedData(TypedDict):
    """The tweets of a learning curve."""

    splits: dict[str, HashedSplit]
    fingerprint: Sha256


class Plan(TypedDict):
    """``plan.json`` of a learning curve."""

    name: str
    group: str
    recipe: dict[str, Any]
    shown_recipe: dict[str, Any]
    data: PlannedData
    seeds: list[int]
    subsets: list[Subset]
    cut_short: Any


class Failure(TypedDict):
    """Why a training failed."""

    reason: str
    hint: str


Failures = dict[str, Failure]  # ``failed.json`` of a learning curve, by folder
