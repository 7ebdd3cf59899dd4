"""One function in several processes that train together, started by Spark's TorchDistributor."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import HardwareError, S140Error
from sentiment140_bert.platforms.spark.errors import packed, told

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

REPORTS = "S140_ERRORS"  # the folder into which a process writes why it gave up
# What the caller's environment decides: logins, caches, trackers. Everything else belongs to the machine it is on.
CARRIED = ("HF_", "HUGGING_FACE_", "WANDB_", "MLFLOW_", "DATABRICKS_", "S140_")


def has_gpus(session: SparkSession, local_mode: bool) -> bool:
    """Whether Spark knows of GPUs, here or on the workers."""
    key = "spark.driver.resource.gpu.amount" if local_mode else "spark.task.resource.gpu.amount"
    return int(session.conf.get(key, "0") or 0) > 0


def run(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    num_processes: int,
    local_mode: bool,
    use_gpu: bool,
    environment: Mapping[str, str],
) -> Any:
    """Runs a function in several processes, and returns what the main one returned.

    Args:
        function: Importable by name wherever the package is installed.
        arguments: Can be pickled; they hold no secret, for they pass through a file.
        num_processes: In all.
        local_mode: On the driver's machine; else one (or one for each GPU) in every Spark task.
        use_gpu: Each process gets a GPU of its own.
        environment: Variables for the processes, besides the caller's own ones (``CARRIED``); they pass through Spark
            and are inherited, no file and no log has them.

    Raises:
        S140Error: As a process raised it.
        HardwareError: There are no GPUs, or fewer places than processes.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    carried = {name: value for name, value in os.environ.items() if name.startswith(CARRIED)} | dict(environment)
    if not use_gpu:
        carried["CUDA_VISIBLE_DEVICES"] = ""
    with told(), _without_gpus_explained():
        distributor = TorchDistributor(num_processes=num_processes, local_mode=local_mode, use_gpu=use_gpu)
        # `run` has no way to hand an environment over but in the arguments, which it writes into a file.
        return distributor._run(_guarded, Launcher(carried, local_mode), function, list(arguments))


@contextlib.contextmanager
def _without_gpus_explained() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "GPU" in str(error) or "gpu usage" in str(error):
            raise HardwareError(
                f"Spark has no GPUs to give: {error}", "Pass --no-use-gpu, or take a cluster with a GPU ML runtime."
            ) from None
        raise


@dataclass(frozen=True)
class Launcher:
    """What starts torchrun in the driver (local mode) or in each Spark task, with the caller's environment."""

    environment: dict[str, str] = field(repr=False)
    local_mode: bool

    def __call__(self, settings: dict[str, Any], script: str, *arguments: Any) -> None:
        from pyspark.ml.torch.distributor import TorchDistributor

        with tempfile.TemporaryDirectory(prefix="s140-") as folder, _changed(self.environment | {REPORTS: folder}):
            failure = None
            try:
                TorchDistributor._run_training_on_pytorch_file(settings, script, *arguments)
            except RuntimeError as error:
                failure = error
            said = next((each.read_text("utf-8") for each in sorted(Path(folder).iterdir())), "")
        if not self.local_mode:
            from pyspark import BarrierTaskContext

            # When one task gives up the others break off too; each then has the first one's reason to tell.
            said = next(filter(None, BarrierTaskContext.get().allGather(said)), "")
        if said:
            raise RuntimeError(said)
        if failure:
            raise failure


@contextlib.contextmanager
def _changed(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _guarded(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """In each of the processes: the function, and where it gives up, the reason in a file."""
    try:
        result = function(*arguments)
    except S140Error as error:
        rank = int(os.environ["RANK"])
        (Path(os.environ[REPORTS]) / f"{rank:05}").write_text(packed(error), "utf-8")
        sys.exit(error.exit_code)
    if os.environ["LOCAL_RANK"] != "0":
        sys.exit()  # what returns is written to one file, by all processes of a machine; the first one's must stay
    return result
