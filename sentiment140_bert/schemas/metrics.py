"""The types of ``metrics.json``, and of what a model's ``config.json`` holds of its calibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, cast

from pydantic import AfterValidator, Discriminator, Field, Tag
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Count, Number, Sha256, Share

# The baselines with which a split's scores are compared, by their keys in metrics.json.
BASELINES = {"majority": "majority class", "tfidf": "TF-IDF, logistic regression"}
SPLIT_NAMES = {"manual": "hand-labeled"}  # as people see them, where that is another name


class MeasuredScore(TypedDict):
    """A score with its interval."""

    value: Number
    low: Number
    high: Number


class CountedScore(TypedDict):
    """A score without an interval, such as a count."""

    value: Number


def _choose_score(score: Any) -> str:
    return "measured" if isinstance(score, dict) and {"low", "high"} & score.keys() else "counted"


Score = Annotated[
    Annotated[MeasuredScore, Tag("measured")] | Annotated[CountedScore, Tag("counted")], Discriminator(_choose_score)
]


class Proportion(TypedDict):
    """A share with its interval."""

    value: Share
    low: Share
    high: Share


class CalibrationBin(TypedDict):
    """Tweets of similar probabilities."""

    n: NotRequired[Count]
    predicted: Share
    observed: Share


class RiskPoint(TypedDict):
    """The error rate on the most confident share of the tweets."""

    coverage: Share
    risk: Share
    confidence: NotRequired[Share]


class Calibration(TypedDict):
    """Probabilities against the share of positive tweets."""

    bins: list[CalibrationBin]
    expected_calibration_error: Proportion
    brier_score: MeasuredScore


class TemperedCalibration(Calibration):
    """A calibration after the temperature was applied."""

    log_loss: MeasuredScore


class AbstentionScores(TypedDict):
    """Scores of the predictions above the abstain threshold."""

    answered: Count
    coverage: Proportion
    accuracy: NotRequired[Proportion]


Triple = Annotated[list[Count], Field(min_length=3, max_length=3)]  # negative, neutral, positive


class ThreeWay(TypedDict):
    """Scores of negative, neutral and positive."""

    n: Count
    accuracy: MeasuredScore
    macro_recall: MeasuredScore
    macro_f1: MeasuredScore
    recall: dict[str, MeasuredScore]
    matrix: Annotated[list[Triple], Field(min_length=3, max_length=3)]


class Baseline(TypedDict):
    """A simpler classifier on the same tweets, and the model's lift over it."""

    accuracy: MeasuredScore
    lift: MeasuredScore
    p_value: Number


def find_strongest_baseline(baselines: Mapping[str, Baseline]) -> str | None:
    """Return the key of the baseline with the highest accuracy; None without any."""
    names = [name for name in BASELINES if name in baselines]
    return max(names, key=lambda name: baselines[name]["accuracy"]["value"], default=None)


class Slice(TypedDict):
    """A kind of tweets, against the rest of the split."""

    name: str
    n: Count
    accuracy: Proportion
    rest: Number | None
    p_value: Number | None
    worse: bool


class Leakage(TypedDict):
    """Counts of scored tweets that are in the training data, too; see ``data.leakage``."""

    exact: Count
    near: Count | None
    same_user: Count | None
    overlapping_in_time: Count | None


class BinaryScores(TypedDict):
    """The scores of negative and positive, in the order of cards, and the counts that they come from."""

    accuracy: NotRequired[Proportion]
    macro_f1: NotRequired[MeasuredScore]
    f1: NotRequired[MeasuredScore]
    precision: NotRequired[Score]
    recall: NotRequired[Score]
    matthews_correlation: NotRequired[MeasuredScore]
    roc_auc: NotRequired[MeasuredScore]
    log_loss: NotRequired[MeasuredScore]
    true_negative: NotRequired[Score]
    false_positive: NotRequired[Score]
    false_negative: NotRequired[Score]
    true_positive: NotRequired[Score]


COUNTS = ("true_negative", "false_positive", "false_negative", "true_positive")
SCORES = tuple(name for name in BinaryScores.__annotations__ if name not in COUNTS)
THREE_LABEL_SCORES = ("accuracy", "macro_f1", "matthews_correlation", "log_loss")  # of a validation split with neutral
LATER_SCORES = {"macro_f1"}  # those that runs and pages of earlier versions lack
SCORE_LABELS = {name: name.replace("_", " ") for name in SCORES}  # as people see them
SCORE_LABELS |= {"macro_f1": "macro-F1", "f1": "F1", "roc_auc": "ROC AUC"}
SCORE_LABELS |= {"matthews_correlation": "Matthews correlation"}


class SplitScores(BinaryScores):
    """The scores of a split; see ``evaluation.scores``. One of neutral tweets alone has no scores of two classes."""

    n: Count
    neutral_left_out: Count
    calibration: NotRequired[Calibration]
    calibrated: NotRequired[TemperedCalibration]
    risk_coverage: NotRequired[list[RiskPoint]]
    abstaining: NotRequired[AbstentionScores]
    three_way: NotRequired[ThreeWay]
    baselines: NotRequired[dict[str, Baseline]]
    slices: NotRequired[Annotated[list[Slice], Field(max_length=1_000)]]
    leakage: NotRequired[Leakage]


def get_limits(score: Score) -> tuple[float, float] | None:
    """Return the ends of a score's interval; None if it has none."""
    limits = cast(dict[str, float], score)
    return (limits["low"], limits["high"]) if "low" in limits else None


def get_score(split: SplitScores, name: str) -> Score | None:
    """Return a score by its name, such as ``accuracy``; None if the split lacks it."""
    return cast(dict[str, Score], split).get(name)


def has_three_labels(split: SplitScores) -> bool:
    """Return True if neutral is one of the labels that accuracy, macro-F1, baselines and slices are about."""
    return "three_way" in split and not split["neutral_left_out"]


def get_matrix(split: SplitScores) -> list[list[int]]:
    """Return the confusion matrix of a split with scores: counts, rows the labels and columns the predictions.

    Their order is negative, positive; or negative, neutral, positive where there are three labels.
    """
    if has_three_labels(split):
        return split["three_way"]["matrix"]
    cells = (split["true_negative"], split["false_positive"], split["false_negative"], split["true_positive"])
    tn, fp, fn, tp = (int(cell["value"]) for cell in cells)
    return [[tn, fp], [fn, tp]]


# The parts of a split whose scores are about three labels.
THREE_LABEL_PARTS = {"n", "neutral_left_out", "accuracy", "macro_f1", "baselines", "slices", "three_way"}
# The parts that a split may lack in metrics.json although it has tweets of both classes.
OPTIONAL_PARTS = {"roc_auc", "calibrated", "abstaining", "three_way", "leakage"}


def _require_scores(split: SplitScores) -> SplitScores:
    needed = SplitScores.__annotations__.keys() - OPTIONAL_PARTS - LATER_SCORES
    missing = (THREE_LABEL_PARTS if has_three_labels(split) else needed) - split.keys()
    if split["n"] and missing:
        raise ValueError(f"{', '.join(sorted(missing))} is missing")
    return split


class LearnedCalibration(TypedDict):
    """The calibration that was learned from the validation split, in a model's ``config.json``."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    neutral_below: Annotated[float, Field(ge=0, le=1)]


class Temperature(TypedDict):
    """The number by which logits are divided."""

    value: Number
    fitted_on: str
    n: Count


class Abstention(TypedDict):
    """The confidence below which an answer may be ``neutral``, and the share of validation tweets below it."""

    threshold: Number
    share: Number


class Intervals(TypedDict):
    """The method by which intervals were computed."""

    level: Share
    shares: str
    others: str
    calibration_error: str
    resamples: Count
    seed: Count


class Example(TypedDict):
    """A text and its prediction."""

    text: str
    label: str
    score: Number


class WeightsRecord(TypedDict):
    """The part of ``metrics.json``, of any version, that identifies the weights that were scored."""

    weights_sha256: str


class Scores(TypedDict):
    """The part of ``metrics.json`` from which scores are read."""

    splits: dict[str, Annotated[SplitScores, AfterValidator(_require_scores)]]
    weights_sha256: Sha256
    data_fingerprint: Sha256


class Metrics(Scores):
    """All of ``metrics.json``, for cards."""

    confidence_level: Number
    intervals: Intervals
    temperature: NotRequired[Temperature]  # both are absent where too few validation tweets were scored
    abstention: NotRequired[Abstention]
    examples: Annotated[list[Example], Field(min_length=1)]
