"""Processes that train together, started by Spark's TorchDistributor, and errors that travel between processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentiment140_bert.errors import DataError, HardwareError, S140Error, first_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MARK = "s140 says: "
REPORTS = "S140_ERRORS"  # the folder into which a process writes why it failed
# Variables of the caller: logins, caches, trackers. All others belong to the machine of the process.
CARRIED_PREFIXES = ("HF_", "HUGGING_FACE_", "WANDB_", "MLFLOW_", "DATABRICKS_", "S140_")


def pack_error(error: S140Error) -> str:
    """Return an error as a line of text."""
    content = {"message": error.message, "hint": error.hint, "exit_code": error.exit_code}
    return MARK + json.dumps(content)  # ASCII only, so that no layer in between changes it


def unpack_error(text: str) -> S140Error | None:
    """Return the error that a text contains (see :func:`pack_error`); None without one."""
    match = re.search(re.escape(MARK) + r"(\{.*\})", text)
    if not match:
        return None
    content = json.loads(match[1])
    error = S140Error(content["message"], content["hint"])
    error.exit_code = content["exit_code"]
    return error


@contextmanager
def explain_errors() -> Iterator[None]:
    """Raise the error of another process in place of Spark's own error around it.

    Raises:
        S140Error: That of the other process.
        HardwareError: More processes were asked for than the cluster can run at once.
    """
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import AnalysisException, PySparkException

    try:
        yield
    except (RuntimeError, PySparkException, Py4JJavaError) as error:
        text = str(error)
        if packed := unpack_error(text):
            raise packed from None
        if "SPARK-24819" in text:  # a barrier stage needs all of its tasks at once
            raise HardwareError(
                "The cluster cannot run that many processes at once.",
                "Lower --num-processes, or give the cluster more workers; a GPU runs one process.",
            ) from None
        if isinstance(error, RuntimeError | AnalysisException):
            raise
        raise DataError(f"Spark could not finish its work: {first_line(error)}.", "Its log says more.") from None


def has_gpus(session: SparkSession, local_mode: bool) -> bool:
    """Return True if Spark has GPUs, here or on the workers."""
    key = "spark.driver.resource.gpu.amount" if local_mode else "spark.task.resource.gpu.amount"
    return int(session.conf.get(key, "0") or 0) > 0


def run_processes(
    function: Callable[..., Any],
    arguments: Sequence[Any],
    *,
    num_processes: int,
    local_mode: bool,
    use_gpu: bool,
    environment: Mapping[str, str],
) -> Any:
    """Run a function in several processes, and return the result of the main one.

    Args:
        function: Importable by name wherever the package is installed.
        arguments: They can be pickled, and hold no secret, for they pass through a file.
        num_processes: In all.
        local_mode: On the driver's machine; else one (or one for each GPU) in every Spark task.
        use_gpu: Each process gets a GPU of its own.
        environment: Variables for the processes, besides the caller's own (``CARRIED_PREFIXES``); they pass through
            Spark and are inherited, no file and no log has them.

    Raises:
        S140Error: That of a process.
        HardwareError: There are no GPUs, or fewer places than processes.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    carried = {name: value for name, value in os.environ.items() if name.startswith(CARRIED_PREFIXES)} | dict(
        environment
    )
    carried["PYTHONSAFEPATH"] = "1"  # torchrun is run by -m, which imports modules of the current folder
    if not use_gpu:
        carried["CUDA_VISIBLE_DEVICES"] = ""
    with explain_errors(), _explain_missing_gpus():
        distributor = TorchDistributor(num_processes=num_processes, local_mode=local_mode, use_gpu=use_gpu)
        # `run` has no way to hand an environment over but in the arguments, which it writes into a file.
        return distributor._run(_run_and_report, Launcher(carried, local_mode), function, list(arguments))


@contextlib.contextmanager
def _explain_missing_gpus() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        if "GPU" in str(error) or "gpu usage" in str(error):
            raise HardwareError(
                f"Spark has no GPUs to assign: {error}", "Pass --no-use-gpu, or use a cluster with a GPU ML runtime."
            ) from None
        raise


@dataclass(frozen=True)
class Launcher:
    """Start torchrun in the driver (local mode) or in each Spark task, with the caller's environment."""

    environment: dict[str, str] = field(repr=False)
    local_mode: bool

    def __call__(self, settings: dict[str, Any], script: str, *arguments: Any) -> None:
        from pyspark.ml.torch.distributor import TorchDistributor

        with (
            tempfile.TemporaryDirectory(prefix="s140-") as folder,
            _change_environment(self.environment | {REPORTS: folder}),
        ):
            failure = None
            try:
                TorchDistributor._run_training_on_pytorch_file(settings, script, *arguments)
            except RuntimeError as error:
                failure = error
            report = next((file.read_text("utf-8") for file in sorted(Path(folder).iterdir())), "")
        if not self.local_mode:
            from pyspark import BarrierTaskContext

            # When one task fails the others stop, too; each then raises the reason of the first one.
            report = next(filter(None, BarrierTaskContext.get().allGather(report)), "")
        if report:
            raise RuntimeError(report)
        if failure:
            raise failure


@contextlib.contextmanager
def _change_environment(environment: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _run_and_report(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """Call the function in one of the processes; if it fails, write the reason into a file."""
    try:
        result = function(*arguments)
    except S140Error as error:
        rank = int(os.environ["RANK"])
        (Path(os.environ[REPORTS]) / f"{rank:05}").write_text(pack_error(error), "utf-8")
        sys.exit(error.exit_code)
    if os.environ["LOCAL_RANK"] != "0":
        sys.exit()  # all processes of a machine write their result to one file; the first one's must stay
    return result
