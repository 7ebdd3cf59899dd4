"""The types of ``environment.json``."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from sentiment140_bert.schemas.basics import Commit, Count, NonNegative, Number, Sha256


class BaseModel(TypedDict):
    """The model that was fine-tuned."""

    name: str
    revision: str | None
    on_hub: bool


class Precision(TypedDict):
    """The number format of the training."""

    name: str


class Teacher(TypedDict):
    """The model whose scores were learned; ``revision`` is a commit, ``weights`` the sha256 of its safetensors."""

    name: str
    revision: NotRequired[Commit]
    weights: Sha256


class Batch(TypedDict):
    """The share of a step's tweets in each batch; see ``training.batching``."""

    tweets: Count
    per_device: Count
    accumulated: Count


class Heat(TypedDict):
    """The highest temperature in °C, and the share of samples in which heat slowed the GPU."""

    samples: Count
    temperature_peak: Number | None
    slowed_by_heat: Number | None


class Gpu(Heat):
    """See ``machine.usage``; memory in MiB."""

    memory_total: Annotated[int, Field(gt=0)]
    memory_allocated_peak: NotRequired[Count]
    memory_reserved_peak: Count


class UsedMemory(TypedDict):
    """The memory that training took."""

    memory_peak: Number | None
    gpu: Gpu | None


class Training(TypedDict):
    """The course of the training."""

    steps: Count
    epochs: Number
    best_step: Count | None
    stopped_early: NotRequired[bool]
    seconds: Number
    tweets_per_second: Number
    out_of_memory: NotRequired[Count]
    batch: NotRequired[Batch]
    usage: NotRequired[UsedMemory]


class Machine(TypedDict):
    """The machine and its packages."""

    python: str
    system: NotRequired[str]
    cpu: str
    cpu_count: NotRequired[int | None]
    threads: Count
    gpu: str | None
    gpu_count: Count
    cuda: NotRequired[str | None]
    packages: dict[str, str]


class Carbon(TypedDict):
    """The estimated CO2 of the training, in grams, with that of its interrupted parts."""

    grams: NonNegative
    country: str
    source: str


class StartedEnvironment(Machine):
    """``environment.json`` of a run that is not finished."""

    precision: Precision
    processes: Count
    base_model: BaseModel
    teacher: NotRequired[Teacher]
    unusual_arguments: dict[str, Any]
    command: str | None
    started: str
    changed: NotRequired[Annotated[list[str], Field(min_length=1)]]
    carbon: NotRequired[Carbon]


class Environment(StartedEnvironment):
    """``environment.json``."""

    training: Training
