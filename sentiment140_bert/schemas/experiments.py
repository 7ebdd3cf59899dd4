"""The types of ``tuning.json`` and ``curve.json``."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Count, Number, Sha256
from sentiment140_bert.schemas.data import Data, Sources, Splits
from sentiment140_bert.schemas.metrics import MeasuredScore, Score

MOST_SEEDS = 100  # of a learning curve


class SeedRange(TypedDict):
    """A mean over seeds, and the least and greatest of them."""

    value: float
    min: float
    max: float


class SeedsComparison(TypedDict):
    """Two recipes on the same tweets; see ``experiments.series.compare_over_seeds``."""

    n: int
    seeds: int
    first: SeedRange
    second: SeedRange
    difference: MeasuredScore
    p_value: float
    of_tweets: float
    of_seeds: float
    sentence: NotRequired[str]


class UsedData(TypedDict):
    """The tweets of an experiment: parts of ``data.json``."""

    sources: Sources
    splits: Splits
    fingerprint: Sha256


def pick_used_data(data: Data) -> UsedData:
    """Return the parts of ``data.json`` that an experiment repeats."""
    return {"sources": data["sources"], "splits": data["splits"], "fingerprint": data["fingerprint"]}


class TrialRecord(TypedDict):
    """The result of a trial: its number, from 0; complete, pruned, failed, running or waiting; its score, the last one
    if it was pruned; the values tried; the scores of its evaluations; why it failed; when it first started, in ISO
    format; the seconds from then to its end."""

    number: int
    state: str
    value: float | None
    values: dict[str, Any]
    scores: list[float]
    reason: str | None
    started: str | None
    seconds: float | None


class Importances(TypedDict, total=False):
    """The share of the scores' variance that each setting explains, the largest first; or why that is not known."""

    refused: str
    shares: dict[str, float]
    method: str
    trials: int


class FinalComparison(TypedDict):
    """The best values and the recipe, trained with the same seeds; ``same`` says why there is nothing to compare."""

    trial: int
    same: NotRequired[str]
    seeds: NotRequired[list[int]]
    runs: NotRequired[dict[str, list[str]]]
    splits: NotRequired[dict[str, SeedsComparison]]


class StudyResults(TypedDict):
    """``tuning.json``."""

    name: str
    store: str
    recipe: dict[str, Any]
    space: dict[str, Any]
    own_values: dict[str, Any]
    metric: str
    direction: str
    sampler: str
    pruner: str
    seed: int
    data: UsedData
    trials: list[TrialRecord]
    counts: dict[str, int]
    best: TrialRecord | None
    importances: Importances
    final: FinalComparison | None


class TuneResult(StudyResults):
    """The content of ``tuning.json``, the folder, and the number of trials that other processes are running."""

    left: int
    output: str


class CurveSplit(TypedDict):
    """The scores of a training on a split."""

    n: int
    accuracy: MeasuredScore
    f1: NotRequired[MeasuredScore]
    log_loss: NotRequired[MeasuredScore]
    roc_auc: NotRequired[MeasuredScore]
    tfidf: Score | None
    lift: Score | None
    majority: float
    rows_sha256: str


class CurvePoint(TypedDict):
    """A training of a learning curve; one that is finished has all keys but ``reason`` and ``hint``."""

    seed: int
    run: str
    state: str
    reason: NotRequired[str]
    hint: NotRequired[str]
    splits: NotRequired[dict[str, CurveSplit]]
    data_fingerprint: NotRequired[str]
    weights_sha256: NotRequired[str]
    steps: NotRequired[int]
    best_step: NotRequired[int | None]
    seconds: NotRequired[float]
    tweets_per_second: NotRequired[float]
    cost: NotRequired[float | None]
    machine: NotRequired[str]
    precision: NotRequired[str]


class MeanAccuracy(TypedDict):
    """The mean accuracy of the finished trainings of a size, and its spread over seeds and over tweets."""

    seeds: int
    accuracy: float
    over_seeds: dict[str, float]
    over_rows: dict[str, float]


class CurveSize(TypedDict):
    """The trainings of a size, and their means, if one is finished."""

    size: int
    fingerprint: str
    train: dict[str, Any]
    sha256_in_next: str | None
    points: list[CurvePoint]
    scores: NotRequired[dict[str, MeanAccuracy]]
    tfidf: NotRequired[dict[str, Score]]
    seconds: NotRequired[float]
    tweets_per_second: NotRequired[float]
    cost: float | None


class CurveAhead(TypedDict):
    """The accuracy that more tweets would bring, and its gain over the largest size."""

    size: int
    accuracy: MeasuredScore
    gain: MeasuredScore


class CurvePlace(MeasuredScore):
    """The fitted curve at a number of training tweets."""

    size: float


class CurveFit(TypedDict, total=False):
    """The fitted curve of a split; ``refused``, a sentence, where there is nothing to fit."""

    refused: str
    left_out: list[int]
    form: str
    n0: int
    a: MeasuredScore
    b: MeasuredScore
    c: MeasuredScore
    floor_fitted: bool
    unexplained: float
    resamples: int
    level: float
    ahead: CurveAhead
    band: list[CurvePlace]
    sentence: str


class CurveTotals(TypedDict):
    """The number of planned and finished trainings, and their seconds."""

    planned: int
    finished: int
    seconds: float


class CurveInputs(TypedDict):
    """The inputs of a learning curve: the common part of ``plan.json`` and ``curve.json``."""

    name: str
    group: str
    recipe: dict[str, Any]
    model_revision: NotRequired[str | None]
    data: UsedData
    seeds: Annotated[list[Count], Field(min_length=1, max_length=MOST_SEEDS)]
    cut_short: str | None
    price_per_hour: NotRequired[Annotated[Number, Field(ge=0)] | None]


class Curve(CurveInputs):
    """``curve.json``."""

    sizes: list[CurveSize]
    fits: dict[str, CurveFit]
    trainings: CurveTotals


class CurveResult(Curve):
    """The content of ``curve.json``, and the folder."""

    output: str
