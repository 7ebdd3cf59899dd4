"""``s140 spark``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import print_json, say, stdout_kept_clean
from sentiment140_bert.cli.train import train as train_in_one_process
from sentiment140_bert.recipe import Recipe
from sentiment140_bert.results import TrainResult


@cloup.group()
def spark() -> None:
    """Train on a Spark cluster, or label a table."""


@spark.command()
@cloup.option("--num-processes", type=click.IntRange(min=1), required=True, help="Number of processes in total.")
@cloup.option(
    "--local-mode/--no-local-mode",
    default=True,
    help="Train on the driver's machine or on the workers.  [default: local]",
)
@cloup.option("--use-gpu/--no-use-gpu", default=None, help="Use a GPU for each process.  [default: if Spark has GPUs]")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def train(
    context: click.Context, num_processes: int, local_mode: bool, use_gpu: bool | None, arguments: tuple[str, ...]
) -> None:
    """Train in several processes, by Spark's TorchDistributor.

    ARGUMENTS are those of `s140 train`. They follow after two dashes: s140 spark train --num-processes 2 -- --recipe
    databricks. On the workers (--no-local-mode) the run directory and every file must be on a path that all machines
    have, such as /Volumes.
    """

    def train_in_processes(recipe: Recipe, output_dir: Path, **options: Any) -> TrainResult:
        from sentiment140_bert.platforms.spark.train import spark_train

        settings = {"num_processes": num_processes, "local_mode": local_mode, "use_gpu": use_gpu}
        return spark_train(recipe, output_dir, **{**options, **settings})

    context.meta["train"] = train_in_processes
    with train_in_one_process.make_context("train", list(arguments), parent=context.find_root()) as inner:
        train_in_one_process.invoke(inner)


@spark.command()
@cloup.option("--model", required=True, help="A run, a model folder, a Hub id, or models:/catalog.schema.name@alias.")
@cloup.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@cloup.option("--input-table", required=True, metavar="TABLE", help="The table to read, catalog.schema.name.")
@cloup.option("--output-table", required=True, metavar="TABLE", help="The table to write, catalog.schema.name.")
@cloup.option("--text-column", help="Name of the text column; needed if it is not obvious.")
@cloup.option("--prefix", default="", help="Prefix of the new columns' names, label and score.")
@cloup.option("--overwrite", is_flag=True, help="Replace the output table if there is one.")
@output_options
def predict(model: str, model_revision: str | None, as_json: bool, **options: Any) -> None:
    """Label every row of a table.

    Writes another table: all columns, with label and score added. Labels and scores are those of `s140 predict`. The
    model is loaded here once and sent to the workers.
    """
    with stdout_kept_clean():
        from sentiment140_bert.platforms.spark.predict import spark_predict

        result = spark_predict(model, revision=model_revision, **options)
    if as_json:
        print_json(result)
        return
    labels = ", ".join(f"{count:,} {label}" for label, count in result["labels"].items())
    say(f"{result['count']:,} rows in {result['output_table']}: {labels or 'it is empty'}")
