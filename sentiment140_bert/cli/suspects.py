"""``s140 suspects``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import print_result, say, stdout_kept_clean
from sentiment140_bert.cli.outputs import OutputFile, overwrite_option

if TYPE_CHECKING:
    from sentiment140_bert.experiments.label_issues.suspects import SuspectsResult


@cloup.command(cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@cloup.option("--output", type=OutputFile(), required=True, help="The .csv file to write.")
@overwrite_option
@cloup.option(
    "--by",
    type=click.Choice(["baseline", "model"]),
    default="baseline",
    show_default=True,
    help="baseline: TF-IDF, in seconds; model: the run's own recipe, trained once for each fold.",
)
@cloup.option(
    "--folds",
    default=5,
    show_default=True,
    help="Parts of the training split; each is predicted by a model trained on the others.",
)
@cloup.option("--most", type=click.IntRange(min=1), help="Write at most this many.  [default: all suspects]")
@cloup.option(
    "--sample",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Mark this many of them, chosen at random, for review by hand (column sample).",
)
@cloup.option("--seed", default=42, show_default=True, help="Seed of the folds and of that sample.")
@output_options
def suspects(
    run: Path, output: Path, by: str, folds: int, most: int | None, sample: int, seed: int, as_json: bool
) -> None:
    """List training tweets whose labels are likely wrong.

    Each label of RUN's training split is compared with a prediction by a model that was not trained on it, and those
    that are confidently contradicted are written, the worst first. Nothing is removed: `s140 train --drop-suspects
    FILE` leaves out the tweets in the file. With --by model, finished folds are kept in the run: run the same command
    again to resume.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.suspects(run, output, by=by, folds=folds, most=most, sample=sample, seed=seed)
    print_result(result, as_json, _print)


def _print(result: SuspectsResult) -> None:
    by, output = result["by"], result["output"]
    say(f"checked     {result['looked_at']:,} training tweets; {result['folds']} folds, by {by}")
    say(f"predictions agree with {result['accuracy']:.1%} of the labels")
    say(f"suspects    {result['suspects']:,} ({result['share']:.1%}); written {result['written']:,}")
    noise = ", ".join(f"{rate:.1%} of {label}" for label, rate in result["noise"].items())
    say(f"label noise {noise}, estimated; this includes the {by}'s own mistakes", wraps=True)
    say(f"\nA suspect label can still be right: {output} is only a list.", wraps=True)
    if result["sample"]:
        say(
            f"Review the {result['sample']} rows marked in its column sample; delete those with correct labels.",
            wraps=True,
        )
    say(f"Train without the listed tweets:\n  {result['command']}")
