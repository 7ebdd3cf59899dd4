"""``s140 evaluate``"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import (
    backend_option,
    complete_path,
    output_options,
    recipe_options,
    require_dataset,
    resolve_recipe,
)
from sentiment140_bert.cli.output import print_result, stdout_kept_clean
from sentiment140_bert.cli.outputs import OutputFile, overwrite_option
from sentiment140_bert.cli.scores import print_comparison, print_scores, print_summary
from sentiment140_bert.errors import S140Error
from sentiment140_bert.files import write_json
from sentiment140_bert.recipe import SOURCE_SETTINGS
from sentiment140_bert.run import RunDir


@cloup.command(cls=Command)
@click.argument("model", metavar="MODEL...", nargs=-1, required=True, shell_complete=complete_path)
@cloup.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@recipe_options(
    "data",
    only=(*SOURCE_SETTINGS, "max_bad_rows", "max_samples", "split_seed"),
    aliases={"split_seed": ["--seed"]},
    optional=["dataset"],
)
@backend_option
@cloup.option("--output", type=OutputFile(), help="Also write the scores to this JSON file.")
@cloup.option(
    "--differences",
    type=OutputFile(),
    help="With several models: write the tweets on which they differ to this .csv or .parquet file.",
)
@overwrite_option
@cloup.option("--all", "every_score", is_flag=True, help="Print every score, of every split.")
@output_options
def evaluate(
    model: tuple[str, ...],
    model_revision: str | None,
    backend: str | None,
    output: Path | None,
    differences: Path | None,
    every_score: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Score a model on labeled tweets, or compare several.

    MODEL is a run directory, a model folder or a Hub id. Without --dataset, a run is scored on its own validation,
    test and manual splits, and its metrics.json is written. With --dataset, any sentiment classifier is scored on all
    tweets of it, as they are. Every score has an interval and is compared with baselines; tweets that the model was
    trained on are counted. Several models are compared on the tweets of --dataset, or, without it, on those that
    the first model, which must be a run, was not trained on.
    """
    check_flags(model, backend, differences, flags)
    with stdout_kept_clean():
        import sentiment140_bert

        data = resolve_recipe(None, flags).data if flags["dataset"] else None
        result: Any
        if len(model) > 1:
            comparison = sentiment140_bert.compare(model, data, model_revision=model_revision, differences=differences)
            result, show = comparison, partial(print_comparison, comparison, differences)
        else:
            if data:
                scores = sentiment140_bert.evaluate(model[0], data, model_revision, backend)
                result, splits = scores.to_dict(), scores.splits
            else:
                result = sentiment140_bert.evaluate_run(Path(model[0]))
                splits = result["splits"]
            show = partial(print_scores if every_score else print_summary, splits)
    if output:
        write_json(output, result)
    print_result(result, as_json, lambda _: show())


def check_flags(
    model: tuple[str, ...], backend: str | None, differences: Path | None, flags: Mapping[str, Any]
) -> None:
    """Raise S140Error for flags that do not go together, or for a model without data of its own."""
    if differences and len(model) == 1:
        raise S140Error("--differences needs two models or more.", "For example: s140 evaluate A B --differences FILE")
    require_dataset(flags, "A run is scored on its own data; name other tweets with --dataset.")
    if backend and (len(model) > 1 or not flags["dataset"]):
        raise S140Error(
            "--backend is for one model and the tweets of --dataset.",
            "The scores in a run's metrics.json are those of its weights, as torch computes them.",
        )
    if len(model) == 1 and not flags["dataset"] and not RunDir(Path(model[0])).is_run():
        from sentiment140_bert.inference.predict import check_model_name

        check_model_name(model[0])
        raise S140Error(
            f"{model[0]} is not a run directory, so it has no data of its own.", "Name tweets with --dataset."
        )
