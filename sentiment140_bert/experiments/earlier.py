"""What an earlier call wrote into a file of results. It is written anew in any case: a damaged one stops nobody."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert import schemas
from sentiment140_bert.errors import RunError
from sentiment140_bert.run import RunDir

log = logging.getLogger(__name__)


class Curve(TypedDict):
    """What of ``curve.json`` is taken over."""

    price_per_hour: NotRequired[Annotated[schemas.Number, Field(ge=0)] | None]


class OverSeeds(TypedDict):
    """A mean accuracy, and the least and greatest over the seeds."""

    value: schemas.Number
    min: schemas.Number
    max: schemas.Number


class Compared(TypedDict):
    """Of a split: see ``evaluation.seeds.compared``."""

    n: schemas.Count
    seeds: schemas.Count
    first: OverSeeds
    second: OverSeeds
    difference: schemas.MeasuredScore
    p_value: schemas.Number
    sentence: str


class Comparison(TypedDict):
    """Of a trial with the recipe."""

    trial: schemas.Count
    seeds: list[schemas.Count]
    runs: dict[str, list[str]]
    splits: dict[str, Compared]


class Same(TypedDict):
    """In its place where the trial is the recipe as it is."""

    trial: schemas.Count
    same: str


class Tuning(TypedDict):
    """What of ``tuning.json`` is taken over."""

    final: Comparison | Same | None


def earlier(file: Path, shape: Any, lost: str) -> dict[str, Any]:
    """The content of such a file; empty where there is none, or it is damaged, which is said.

    Args:
        file: Of results.
        shape: What is asked of it.
        lost: What is to be done about what only it held.
    """
    if not file.is_file():
        return {}
    try:
        return RunDir(file.parent).read(file, shape)
    except RunError as error:
        log.warning("%s It is written anew; %s", error.message, lost)
        return {}
