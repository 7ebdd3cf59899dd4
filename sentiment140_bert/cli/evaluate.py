"""``s140 evaluate``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sentiment140_bert.cli.options import json_option, recipe_options, resolved
from sentiment140_bert.cli.output import print_json, print_scores, stdout_kept_clean
from sentiment140_bert.errors import S140Error
from sentiment140_bert.recipe import READING
from sentiment140_bert.run_dir import RunDir, write_json


@click.command()
@click.argument("model")
@click.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@recipe_options(
    "data", only=(*READING, "max_bad_rows", "max_samples", "split_seed"), aliases={"split_seed": ["--seed"]}
)
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="Also write the scores to this JSON file."
)
@json_option
def evaluate(model: str, model_revision: str | None, output: Path | None, as_json: bool, **flags: Any) -> None:
    """Score MODEL: a run directory, a model folder or a Hub id.

    Without --dataset, a run is scored on its own validation, test and manual splits, and its metrics.json is
    written. With --dataset, any classifier with two or three labels is scored on all tweets of it, as they are.
    """
    with stdout_kept_clean():
        from sentiment140_bert import workflows

        if flags["dataset"]:
            result = workflows.evaluate(model, resolved(None, flags).data, model_revision)
        elif RunDir(Path(model)).is_run():
            given = [name for name, value in flags.items() if value is not None]
            if given:
                raise S140Error(
                    f"--{given[0].replace('_', '-')} was given without --dataset.",
                    "A run is scored on its own data; name other tweets with --dataset.",
                )
            result = workflows.evaluate_run(Path(model))
        else:
            raise S140Error(
                f"{model} is not a run directory, so it has no data of its own.", "Name tweets with --dataset."
            )
    if output:
        write_json(output, result)
    if as_json:
        print_json(result)
    else:
        print_scores(result["splits"])
