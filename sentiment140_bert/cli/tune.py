"""``s140 tune``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe, set_option
from sentiment140_bert.cli.output import print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.experiments.tune import PRUNERS, SAMPLERS
from sentiment140_bert.schemas.experiments import TuneResult


def parse_duration(value: str) -> float:
    """Return the seconds that were typed, perhaps as a number with s, m or h behind it."""
    unit = {"s": 1, "m": 60, "h": 3600}.get(value[-1:].lower())
    try:
        return float(value[:-1]) * unit if unit else float(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is not a duration. Use seconds, or 90s, 30m, 2.5h.") from None


@cloup.command(cls=Command)
@click.argument("output", type=click.Path(path_type=Path))
@recipe_option
@cloup.option("--trials", default=20, show_default=True, help="Trials of the study in total, over all processes.")
@cloup.option(
    "--timeout", type=parse_duration, metavar="TIME", help="Start no new trial after this time: seconds, or 30m, 2.5h."
)
@cloup.option("--storage", help="Optuna store to share, as in postgresql://user@host/name.  [default: OUTPUT/study.db]")
@cloup.option(
    "--study-name", help="Name of the study in the store.  [default: the name of OUTPUT when the study started]"
)
@cloup.option("--sampler", type=click.Choice(SAMPLERS), default="tpe", show_default=True, help="How to choose values.")
@cloup.option(
    "--pruner",
    type=click.Choice(PRUNERS),
    default="median",
    show_default=True,
    help="How to stop trials early whose scores are too low.",
)
@cloup.option(
    "--final-seeds",
    default=3,
    show_default=True,
    help="Number of seeds for comparing the best values with the recipe on the test tweets; 0: none.",
)
@cloup.option("--keep-models", is_flag=True, help="Keep the models of the comparison, not only scores and predictions.")
@recipe_options("model", "data", "training", "tracking")
@set_option
@output_options
def tune(
    output: Path,
    recipe: str | None,
    trials: int,
    timeout: float | None,
    storage: str | None,
    study_name: str | None,
    sampler: str,
    pruner: str,
    final_seeds: int,
    keep_models: bool,
    assignments: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Search for better settings.

    Trials are scored on the validation tweets; the best one is compared with the recipe on the test tweets. The ranges
    are in the recipe's `tuning` section. Writes OUTPUT/best.yaml, a recipe for `s140 train --recipe`, a page, and
    figures. Run the same command again to resume, whatever stopped it; started several times with one store, all
    processes share the trials.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.tune(
            resolve_recipe(recipe or "bert-base-100k", flags, assignments),
            output,
            trials,
            timeout=timeout,
            storage=storage,
            study_name=study_name,
            sampler=sampler,
            pruner=pruner,
            final_seeds=final_seeds,
            keep_models=keep_models,
            arguments_given=click.get_current_context().meta["arguments"],
        )
    print_result(result, as_json, _print)


def _print(tuning: TuneResult) -> None:
    best, counts = tuning["best"], tuning["counts"]
    done = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    say(f"trials: {done}")
    if best:
        say(f"best: trial {best['number']}, validation {tuning['metric']} {best['value']:.4f}\n")
        own = tuning["own_values"]
        rows = [[name, _digits(value), _digits(own.get(name))] for name, value in best["values"].items()]
        print_table(rows, ("setting", "best", "recipe"))
    final = tuning["final"]
    if final:
        say()
        say(final.get("same") or "\n".join(split["sentence"] for split in final["splits"].values()), wraps=True)
    if tuning["left"]:
        say(f"\ntrials that other processes are running: {tuning['left']}")
    files = ["README.md", "tuning.json", *(["best.yaml", "figures/"] if best else [])]
    say(f"\n{tuning['output']}/{', '.join(files)}")


def _digits(value: Any) -> Any:
    """Return a number with three digits: those of a learning rate are far behind the point."""
    return f"{value:.3g}" if isinstance(value, float) else value
