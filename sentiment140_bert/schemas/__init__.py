"""The JSON files of a run as types, checked when they are read, because they may be untrusted."""

from __future__ import annotations

from sentiment140_bert.schemas.basics import (
    REPO_ID as REPO_ID,
)
from sentiment140_bert.schemas.basics import (
    Count as Count,
)
from sentiment140_bert.schemas.basics import (
    Number as Number,
)
from sentiment140_bert.schemas.basics import (
    Sha256 as Sha256,
)
from sentiment140_bert.schemas.basics import (
    check_schema as check_schema,
)
from sentiment140_bert.schemas.checkpoints import (
    CheckpointIndex as CheckpointIndex,
)
from sentiment140_bert.schemas.checkpoints import (
    CheckpointState as CheckpointState,
)
from sentiment140_bert.schemas.checkpoints import (
    FileDigest as FileDigest,
)
from sentiment140_bert.schemas.checkpoints import (
    Manifest as Manifest,
)
from sentiment140_bert.schemas.checkpoints import (
    ScheduleState as ScheduleState,
)
from sentiment140_bert.schemas.data import (
    Data as Data,
)
from sentiment140_bert.schemas.data import (
    DataSettings as DataSettings,
)
from sentiment140_bert.schemas.data import (
    DataSplit as DataSplit,
)
from sentiment140_bert.schemas.data import (
    PublishedDataset as PublishedDataset,
)
from sentiment140_bert.schemas.data import (
    Source as Source,
)
from sentiment140_bert.schemas.data import (
    Sources as Sources,
)
from sentiment140_bert.schemas.data import (
    SplitSize as SplitSize,
)
from sentiment140_bert.schemas.data import (
    Suspects as Suspects,
)
from sentiment140_bert.schemas.data import (
    Tokenizer as Tokenizer,
)
from sentiment140_bert.schemas.data import (
    Tokens as Tokens,
)
from sentiment140_bert.schemas.data import (
    count_labels as count_labels,
)
from sentiment140_bert.schemas.environment import (
    BaseModel as BaseModel,
)
from sentiment140_bert.schemas.environment import (
    Batch as Batch,
)
from sentiment140_bert.schemas.environment import (
    Environment as Environment,
)
from sentiment140_bert.schemas.environment import (
    Gpu as Gpu,
)
from sentiment140_bert.schemas.environment import (
    Heat as Heat,
)
from sentiment140_bert.schemas.environment import (
    Machine as Machine,
)
from sentiment140_bert.schemas.environment import (
    StartedEnvironment as StartedEnvironment,
)
from sentiment140_bert.schemas.environment import (
    Training as Training,
)
from sentiment140_bert.schemas.environment import (
    UsedMemory as UsedMemory,
)
from sentiment140_bert.schemas.metrics import (
    BASELINES as BASELINES,
)
from sentiment140_bert.schemas.metrics import (
    LATER_SCORES as LATER_SCORES,
)
from sentiment140_bert.schemas.metrics import (
    SCORE_LABELS as SCORE_LABELS,
)
from sentiment140_bert.schemas.metrics import (
    SCORES as SCORES,
)
from sentiment140_bert.schemas.metrics import (
    SPLIT_NAMES as SPLIT_NAMES,
)
from sentiment140_bert.schemas.metrics import (
    THREE_LABEL_SCORES as THREE_LABEL_SCORES,
)
from sentiment140_bert.schemas.metrics import (
    Calibration as Calibration,
)
from sentiment140_bert.schemas.metrics import (
    Leakage as Leakage,
)
from sentiment140_bert.schemas.metrics import (
    LearnedCalibration as LearnedCalibration,
)
from sentiment140_bert.schemas.metrics import (
    Metrics as Metrics,
)
from sentiment140_bert.schemas.metrics import (
    Score as Score,
)
from sentiment140_bert.schemas.metrics import (
    Scores as Scores,
)
from sentiment140_bert.schemas.metrics import (
    Slice as Slice,
)
from sentiment140_bert.schemas.metrics import (
    SplitScores as SplitScores,
)
from sentiment140_bert.schemas.metrics import (
    WeightsRecord as WeightsRecord,
)
from sentiment140_bert.schemas.metrics import (
    find_strongest_baseline as find_strongest_baseline,
)
from sentiment140_bert.schemas.metrics import (
    get_limits as get_limits,
)
from sentiment140_bert.schemas.metrics import (
    get_matrix as get_matrix,
)
from sentiment140_bert.schemas.metrics import (
    get_score as get_score,
)
from sentiment140_bert.schemas.metrics import (
    has_three_labels as has_three_labels,
)
from sentiment140_bert.schemas.tracking import (
    Publication as Publication,
)
from sentiment140_bert.schemas.tracking import (
    Publications as Publications,
)
from sentiment140_bert.schemas.tracking import (
    TrackerState as TrackerState,
)
from sentiment140_bert.schemas.tracking import (
    Tracking as Tracking,
)
