"""``s140 learning-curve``"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe, set_option
from sentiment140_bert.cli.output import print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.errors import S140Error
from sentiment140_bert.schemas import pick
from sentiment140_bert.schemas.experiments import CurveResult

if TYPE_CHECKING:
    from sentiment140_bert.experiments.learning_curve.plan import PlannedWork


def parse_sizes(value: str) -> list[int]:
    """Return numbers that were typed with commas between them."""
    try:
        return [int(size) for size in value.split(",")]
    except ValueError:
        reason = f"{value!r} is not a list of whole numbers. Separate them by commas: 1000,3000,10000"
        raise click.BadParameter(reason) from None


@cloup.command("learning-curve", cls=Command)
@click.argument("output", type=click.Path(path_type=Path))
@recipe_option
@cloup.option(
    "--sizes",
    type=parse_sizes,
    metavar="N,N,...",
    help="Training tweets of each point, ascending: 1000,3000,10000,30000",
)
@cloup.option(
    "--seeds", default=3, show_default=True, help="Runs for each size, with the recipe's seed and the following ones."
)
@cloup.option("--keep-models", is_flag=True, help="Keep each model with its card, not only scores and predictions.")
@cloup.option("--price-per-hour", type=float, help="Price of this machine, to show the cost of each run.")
@cloup.option("--dry-run", is_flag=True, help="Prepare the tweets and show the plan, but train nothing.")
@cloup.option("--redraw", is_flag=True, help="Train nothing; write the results of the finished runs in OUTPUT again.")
@recipe_options("model", "data", "training", "tracking")
@set_option
@output_options
def learning_curve(
    output: Path,
    recipe: str | None,
    sizes: list[int] | None,
    seeds: int,
    keep_models: bool,
    price_per_hour: float | None,
    dry_run: bool,
    redraw: bool,
    assignments: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Measure how much more training data would help.

    Trains a recipe on subsets of growing size, and estimates the scores of ten times as many tweets. Each subset of
    the training tweets contains the smaller ones; validation, test and manual tweets are the same for all. Writes
    OUTPUT/curve.json, a table, a picture, and a run directory for each point. Run the same command again to resume:
    it keeps finished runs and retries failed ones.
    """
    if price_per_hour is not None and not 0 <= price_per_hour < math.inf:
        raise S140Error(f"--price-per-hour must be 0 or more, not {price_per_hour:g}.")
    if redraw and (sizes or recipe or dry_run):
        raise S140Error("--redraw reads everything from OUTPUT.", "Omit --sizes, --recipe and --dry-run.")
    if not redraw and not sizes:
        raise S140Error("--sizes is missing.", "For example: --sizes 1000,3000,10000,30000")
    with stdout_kept_clean():
        from sentiment140_bert.experiments.learning_curve import curve

        chosen = resolve_recipe(recipe or "bert-base-100k", flags, assignments)
        if dry_run:
            work = curve.preview_curve(chosen, output, sizes or [], seeds, keep_models)
        elif redraw:
            result = curve.redraw_curve(output, price_per_hour)
        else:
            result = curve.learning_curve(
                chosen,
                output,
                sizes or [],
                seeds,
                keep_models=keep_models,
                price_per_hour=price_per_hour,
                arguments_given=click.get_current_context().meta["arguments"],
            )
    if dry_run:
        print_result(work, as_json, _print_plan)
    else:
        print_result(result, as_json, _print)


def _print_plan(plan: PlannedWork) -> None:
    columns = ("size", "seed", "state", "steps", "tweets")
    print_table([[*training.values()] for training in plan["trainings"]], columns)
    say(f"\nto do: {plan['tweets']:,} tweets to process, {plan['steps']:,} optimizer steps; nothing was trained")


def _print(curve: CurveResult) -> None:
    splits = list(curve["fits"])
    titles = [title for name in splits for title in (f"{name} accuracy", f"{name} TF-IDF")]
    rows = []
    for size in curve["sizes"]:
        if "scores" in size:
            seeds = max(score["seeds"] for score in size["scores"].values())
            pairs = ((size["scores"][name]["accuracy"], pick(size["tfidf"], name, "value")) for name in splits)
            scores = itertools.chain.from_iterable(pairs)
            rows.append([size["size"], seeds, *scores, round(size["seconds"]), round(size["tweets_per_second"])])
    if rows:
        print_table(rows, ["tweets", "seeds", *titles, "seconds", "tweets/s"])
    if curve["cut_short"]:
        say(f"\n{curve['cut_short']}", wraps=True)
    say()
    for name, fit in curve["fits"].items():
        say(f"{name}: {fit.get('refused') or fit['sentence']}", wraps=True)
    costs = [size["cost"] for size in curve["sizes"] if size["cost"] is not None]
    cost = f", {sum(costs):.2f} at {curve['price_per_hour']:g} an hour" if costs else ""
    trainings = curve["trainings"]
    finished, planned, seconds = trainings["finished"], trainings["planned"], trainings["seconds"]
    say(f"\n{finished} of {planned} runs, {seconds:,.0f} s in total{cost}")
    say(f"{curve['output']}/README.md, curve.png, curve.csv, curve.json")
