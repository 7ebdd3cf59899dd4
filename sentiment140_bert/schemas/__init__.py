"""The JSON files of a run as types, checked when they are read, because they may be untrusted."""

from __future__ import annotations

from sentiment140_bert.schemas.basics import REPO_ID, Count, Number, Sha256, check_schema
from sentiment140_bert.schemas.checkpoints import CheckpointIndex, CheckpointState, FileDigest, Manifest, ScheduleState
from sentiment140_bert.schemas.data import Data, DataSettings, Source, Suspects, Tokens
from sentiment140_bert.schemas.environment import Environment, StartedEnvironment
from sentiment140_bert.schemas.metrics import BASELINES, Leakage, LearnedCalibration, Metrics, Scores, WeightsRecord
from sentiment140_bert.schemas.tracking import Publications, TrackerState, Tracking

__all__ = [
    "BASELINES",
    "REPO_ID",
    "CheckpointIndex",
    "CheckpointState",
    "Count",
    "Data",
    "DataSettings",
    "Environment",
    "FileDigest",
    "Leakage",
    "LearnedCalibration",
    "Manifest",
    "Metrics",
    "Number",
    "Publications",
    "ScheduleState",
    "Scores",
    "Sha256",
    "Source",
    "StartedEnvironment",
    "Suspects",
    "Tokens",
    "TrackerState",
    "Tracking",
    "WeightsRecord",
    "check_schema",
]
