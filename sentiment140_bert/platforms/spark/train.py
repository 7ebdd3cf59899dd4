"""``s140 spark train``: one training in several processes of a cluster."""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sentiment140_bert import tracking, trust
from sentiment140_bert.files import Place, expand_path
from sentiment140_bert.recipe import FILE_SETTINGS, REGISTERED, DataConfig, Recipe, RecipeName, as_recipe, parse_recipe
from sentiment140_bert.results import TrainResult
from sentiment140_bert.run import RunDir
from sentiment140_bert.tracking import mlflow_models, tracks
from sentiment140_bert.training.run import train

log = logging.getLogger(__name__)


def spark_train(
    recipe: RecipeName,
    output_dir: Place,
    *,
    num_processes: int,
    local_mode: bool = True,
    use_gpu: bool | None = None,
    **options: Any,
) -> TrainResult:
    """Call :func:`train` in several processes at once, started by Spark's TorchDistributor.

    Args:
        recipe: The recipe, whose batch size applies to each process.
        output_dir: The run directory; on several machines a path that all of them have, such as /Volumes/….
        num_processes: In all.
        local_mode: On the driver's machine; else on the cluster's workers.
        use_gpu: One GPU to each process; None: where Spark has GPUs.
        options: Further ones of :func:`train`.

    Returns:
        The result of :func:`train` in the main process.

    Raises:
        S140Error: The same as :func:`train`, from any process.
    """
    from sentiment140_bert.data import tables
    from sentiment140_bert.platforms.spark import processes

    recipe, output_dir = as_recipe(recipe), expand_path(output_dir, "output_dir")
    session = tables.get_session()
    gpu = processes.has_gpus(session, local_mode) if use_gpu is None else use_gpu
    where = "on this machine" if local_mode else "on the workers"
    log.info("processes: %d %s, %s", num_processes, where, "a GPU each" if gpu else "without GPU")
    if not local_mode:
        recipe, output_dir = _make_paths_absolute(recipe), output_dir.absolute()
    tracked = "mlflow" in tracking.resolve(recipe.training.report_to)
    tracks.check_registration(RunDir(output_dir), recipe)
    with _copy_tables(recipe, output_dir, local_mode) as environment:
        result: TrainResult = processes.run_processes(
            _train_in_process,
            [recipe.to_dict(), output_dir, options],
            num_processes=num_processes,
            local_mode=local_mode,
            use_gpu=gpu,
            environment=environment | (mlflow_models.login() if tracked else {}),
        )
    return result


def _train_in_process(recipe: dict[str, Any], output_dir: Path, options: dict[str, Any]) -> TrainResult:
    """Train in one of the processes."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.logging.disable_progress_bar()
    logger = logging.getLogger("sentiment140_bert")
    logger.handlers, logger.propagate = [logging.StreamHandler(sys.stderr)], False
    logger.setLevel(logging.INFO)
    chosen = parse_recipe(recipe)
    if chosen.tracking.register_model:
        trust.name_now(REGISTERED, chosen.tracking.register_model)  # it was checked where the user is
    return train(chosen, output_dir, **options)


def _make_paths_absolute(recipe: Recipe) -> Recipe:
    """Make the paths of files absolute: a worker has another working directory."""
    names = {name: getattr(recipe.data, name) for name in ("dataset", *FILE_SETTINGS)}
    names["model_name_or_path"] = recipe.model.model_name_or_path
    paths = {key: str(Path(name).absolute()) for key, name in names.items() if name and Path(name).exists()}
    return recipe.with_values(paths)


@contextmanager
def _copy_tables(recipe: Recipe, output_dir: Path, local_mode: bool) -> Iterator[dict[str, str]]:
    """Copy the recipe's tables to files for the processes while they run: none of them has a session."""
    from sentiment140_bert.data import tables

    data = recipe.data
    sources = [(data.dataset, data), (data.manual_test or "", DataConfig())]
    copied = [(name, layout) for name, layout in sources if tables.is_table(name)]
    if not copied:
        yield {}
        return
    home = None if local_mode else output_dir.parent  # on several machines: next to the run, which all of them have
    if home:
        home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".s140-tables-", dir=home) as folder:
        for name, layout in copied:
            tables.copy_table(name, layout, Path(folder))
        yield {tables.COPIES: folder}
