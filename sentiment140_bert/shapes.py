"""The shape of a run's JSON files, checked before anything is made of them: on the Hub anybody may write one."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, NotRequired

from pydantic import AfterValidator, Discriminator, Field, Tag, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from sentiment140_bert.errors import RunError

Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=-1e-9, le=1 + 1e-9)]  # as much as sums of rounded numbers may be beside
Count = Annotated[int, Field(ge=0)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# The baselines of metrics.json, beside a split's scores.
BASELINES = {"majority": "majority class", "tfidf": "TF-IDF, logistic regression"}
REPO_ID = r"[\w.-]{1,96}/[\w.-]{1,96}"
RepoId = Annotated[str, Field(pattern=f"^{REPO_ID}$")]


class Measured(TypedDict):
    """A score with its interval."""

    value: Number
    low: Number
    high: Number


class Counted(TypedDict):
    """A score without an interval, such as a count."""

    value: Number


def _has_interval(score: Any) -> str:
    return "measured" if isinstance(score, dict) and {"low", "high"} & score.keys() else "counted"


Score = Annotated[
    Annotated[Measured, Tag("measured")] | Annotated[Counted, Tag("counted")], Discriminator(_has_interval)
]


class Proportion(TypedDict):
    """A share with its interval."""

    value: Share
    low: Share
    high: Share


class Bin(TypedDict):
    """Tweets of like probabilities."""

    predicted: Share
    observed: Share


class Risk(TypedDict):
    """The share of wrong answers among a share of the tweets."""

    coverage: Share
    risk: Share


class Calibration(TypedDict):
    """See ``evaluation.calibration``."""

    bins: list[Bin]
    expected_calibration_error: Proportion
    brier_score: Measured


class Calibrated(Calibration):
    """The same with the temperature applied."""

    log_loss: Measured


class Abstaining(TypedDict):
    """When the model answers only what it is sure of."""

    answered: Count
    coverage: Proportion
    accuracy: NotRequired[Proportion]


class ThreeWay(TypedDict):
    """See ``evaluation.scores``."""

    n: Count
    accuracy: Measured
    macro_recall: Measured
    macro_f1: Measured
    recall: dict[str, Measured]
    matrix: list[list[Count]]


class Baseline(TypedDict):
    """See ``evaluation.baseline``."""

    accuracy: Measured
    lift: Measured
    p_value: Number


class Slice(TypedDict):
    """See ``evaluation.slices``."""

    name: str
    n: Count
    accuracy: Proportion
    rest: Number | None
    p_value: Number | None
    worse: bool


class Leakage(TypedDict):
    """Scored tweets that stand in the training data too; see ``data.leakage``."""

    exact: Count
    near: Count | None
    same_user: Count | None
    overlapping_in_time: Count | None


class Scored(TypedDict):
    """A split with tweets that are not neutral."""

    n: Count
    neutral_left_out: Count
    accuracy: Proportion
    f1: Measured
    precision: Score
    recall: Score
    matthews_correlation: Measured
    log_loss: Measured
    true_negative: Score
    false_positive: Score
    false_negative: Score
    true_positive: Score
    roc_auc: NotRequired[Measured]
    calibration: Calibration
    calibrated: Calibrated
    risk_coverage: list[Risk]
    abstaining: Abstaining
    three_way: NotRequired[ThreeWay]
    baselines: dict[str, Baseline]
    slices: list[Slice]
    leakage: NotRequired[Leakage]


class Unscored(TypedDict):
    """A split of neutral tweets alone."""

    n: Annotated[int, Field(ge=0, le=0)]
    neutral_left_out: Count
    three_way: NotRequired[ThreeWay]
    leakage: NotRequired[Leakage]


class Learned(TypedDict):
    """What was learned of the validation split, in a model's ``config.json``."""

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    neutral_below: Annotated[float, Field(ge=0, le=1)]


class Temperature(TypedDict):
    """By which logits are divided."""

    value: Number
    fitted_on: str
    n: Count


class Abstention(TypedDict):
    """The confidence below which an answer may be ``neutral``, and the share of validation tweets below it."""

    threshold: Number
    share: Number


class Intervals(TypedDict):
    """How the limits of scores were made."""

    level: Number
    shares: str
    others: str
    calibration_error: str
    resamples: Count
    seed: Count


class Example(TypedDict):
    """A text and what the model answered."""

    text: str
    label: str
    score: Number


def _kind(split: Any) -> str:
    return "unscored" if isinstance(split, dict) and split.get("n") == 0 else "scored"


# By which of the two a split is to be is told first, so that what is wrong with it is said of the right one.
Split = Annotated[Annotated[Scored, Tag("scored")] | Annotated[Unscored, Tag("unscored")], Discriminator(_kind)]


class Weighed(TypedDict):
    """What of ``metrics.json`` tells whether the weights are those that were scored; of any version."""

    weights_sha256: str


class Scores(TypedDict):
    """``metrics.json``, as far as scores are read from it."""

    splits: dict[str, Split]
    weights_sha256: Sha256
    data_fingerprint: Sha256


class Metrics(Scores):
    """``metrics.json``, as cards need it."""

    confidence_level: Number
    intervals: Intervals
    temperature: Temperature
    abstention: Abstention
    examples: Annotated[list[Example], Field(min_length=1)]


class Source(TypedDict):
    """Where tweets came from."""

    name: str
    on_hub: bool
    revision: str | None
    sha256: str
    sha256_of: str
    rows: Count
    bad_rows: Count


class Sources(TypedDict):
    """Where the tweets of training and those labelled by hand came from."""

    training: Source
    manual: NotRequired[Source]


class Tokens(TypedDict):
    """Quantiles of a split's tokens a tweet."""

    p50: Count
    max: Count
    truncated: Count


class DataSplit(TypedDict):
    """What is in a split."""

    rows: Count
    sha256: Sha256
    negative: NotRequired[Count]
    positive: NotRequired[Count]
    token_length: Tokens


class Tokenizer(TypedDict):
    """By which tokenizer the tokens came about."""

    name: str
    revision: str | None
    sha256: Sha256
    max_length: Count
    splits: NotRequired[dict[str, Sha256]]


class Settings(TypedDict):
    """As far as a card tells them."""

    cleaning: Literal["raw", "mask", "repair"]
    conflicts: str
    split_by: str
    split_seed: int
    max_length: Count


class Published(TypedDict):
    """A dataset on the Hub."""

    repo_id: RepoId
    revision: Commit


class Size(TypedDict):
    """Of a published split."""

    num_examples: Count
    num_bytes: Count


class Suspects(TypedDict):
    """The file of ``--drop-suspects``, and how many different texts of it were found."""

    name: str
    sha256: Sha256
    rows: Count
    found: Count


def _have_train(splits: dict[str, Any]) -> dict[str, Any]:
    if not {"train", "validation"} <= splits.keys():
        raise ValueError("train or validation is missing")
    return splits


class Description(TypedDict, total=False):
    """What the publisher says of the tweets, for the cards."""

    language: list[str]
    license: str
    dataset_name: str
    citation: str


class Data(TypedDict):
    """``data.json``."""

    sources: Sources
    steps: dict[str, Count]
    splits: Annotated[dict[str, DataSplit], AfterValidator(_have_train)]
    fingerprint: Sha256
    settings: Settings
    seed: int
    tokenizer: Tokenizer
    leakage: NotRequired[dict[str, Leakage]]
    suspects: NotRequired[Suspects]
    description: NotRequired[Description]
    published: NotRequired[Published]
    configs: NotRequired[dict[str, dict[str, Size]]]


class BaseModel(TypedDict):
    """What was fine-tuned."""

    name: str
    revision: str | None
    on_hub: bool


class Precision(TypedDict):
    """See ``training.arguments``."""

    name: str


class Batch(TypedDict):
    """How the tweets of a step were shared out, see ``training.batching``."""

    tweets: Count
    per_device: Count
    accumulated: Count


class Gpu(TypedDict):
    """See ``machine.usage``; in MiB and °C."""

    memory_total: Annotated[int, Field(gt=0)]
    memory_reserved_peak: Count
    temperature_peak: Number | None
    slowed_by_heat: Number | None
    samples: Count


class Usage(TypedDict):
    """What training took of the machine."""

    memory_peak: Number | None
    gpu: Gpu | None


class Training(TypedDict):
    """How training went."""

    steps: Count
    epochs: Number
    best_step: Count | None
    seconds: Number
    tweets_per_second: Number
    out_of_memory: NotRequired[Count]
    batch: NotRequired[Batch]
    usage: NotRequired[Usage]


class Begun(TypedDict):
    """``environment.json`` of a run that is not finished."""

    python: str
    cpu: str
    threads: Count
    gpu: str | None
    gpu_count: Count
    packages: dict[str, str]
    precision: Precision
    processes: Count
    base_model: BaseModel
    unusual_arguments: dict[str, Any]
    command: str | None
    started: str
    changed: NotRequired[list[str]]


class Environment(Begun):
    """``environment.json``."""

    training: Training


class Sent(TypedDict, total=False):
    """What a tracker was told: up to which step of each curve, and which files."""

    steps: dict[str, int]
    files: dict[str, str]


TrackerName = Annotated[str, Field(pattern=r"^\w[\w .:+-]{0,199}$")]  # trackers make paths of some


class Tracked(TypedDict, total=False):
    """Which run it is for a tracker."""

    id: TrackerName | None
    url: str | None
    project: TrackerName | None
    tracking_uri: str | None
    folder: str | None
    sent: Sent


class Sum(TypedDict):
    """What a file must be."""

    size: Count
    sha256: Sha256


class Manifest(TypedDict):
    """``complete.json`` of a checkpoint."""

    step: Count
    seconds: Number
    files: dict[Annotated[str, Field(pattern=r"^[^/\\]+$")], Sum]


class CheckpointIndex(TypedDict):
    """``checkpoints.json`` of a repository that keeps a run's checkpoints."""

    format: Literal[1]
    newest: Annotated[str, Field(pattern=r"^checkpoint-[1-9][0-9]{0,11}$")]
    files: dict[str, Sum]


class Control(TypedDict):
    """What a checkpoint says of transformers' ``TrainerControl``."""

    args: dict[str, bool]
    attributes: dict[str, Any]


class Callbacks(TypedDict):
    """Of a checkpoint; what it says of others is not restored."""

    TrainerControl: Control


class CheckpointState(TypedDict):
    """A checkpoint's ``trainer_state.json``: transformers' ``TrainerState``."""

    global_step: Count
    max_steps: Count
    num_train_epochs: Count
    best_global_step: Count | None
    best_model_checkpoint: str | None
    best_metric: Number | None
    epoch: Number
    log_history: list[dict[str, float | int | str | None]]
    total_flos: Number
    eval_steps: NotRequired[Positive | None]
    save_steps: NotRequired[Positive | None]
    logging_steps: NotRequired[Positive | None]
    num_input_tokens_seen: NotRequired[Number]
    train_batch_size: Count
    stateful_callbacks: Callbacks


class Schedule(TypedDict):
    """Of a checkpoint's ``scheduler.pt``: the state of torch's ``LambdaLR``."""

    base_lrs: list[Number]
    last_epoch: Count
    _step_count: Count
    _last_lr: list[Number]


class Push(TypedDict, total=False):
    """Where something went on the Hub, and what people had written on its card then."""

    repo_id: RepoId
    url: str
    commit: str
    revision: str | None
    handwritten: str
    front: dict[str, Any]


Pushes = dict[str, Push]  # ``published.json``: ``model`` and ``dataset``
Tracking = dict[str, Tracked]  # ``tracking.json``, by tracker


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)


def checked(content: Any, shape: Any, file: str, hint: str = "") -> Any:
    """``content`` itself, which has what ``shape`` asks for (and perhaps more).

    Args:
        content: Of the file.
        shape: What is asked for.
        file: Its name, as it is to be told.
        hint: What to do about one that is otherwise.

    Raises:
        RunError: It has not; the first few places where are named.
    """
    try:
        _adapter(shape).validate_python(content, strict=True)
    except ValidationError as error:
        wrong = [f"{'.'.join(map(str, each['loc'])) or 'as a whole'}: {each['msg']}" for each in error.errors()]
        raise RunError(
            f"{file} is not as this version writes it: {'; '.join(wrong[:3])}.",
            hint or "Is it damaged, or of an older version? A run is scored anew with `s140 evaluate RUN`.",
        ) from None
    return content
