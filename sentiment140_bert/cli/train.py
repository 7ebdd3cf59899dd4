"""``s140 train``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_option, recipe_options, resolve_recipe, set_option
from sentiment140_bert.cli.output import print_result, print_usage, say, stdout_kept_clean
from sentiment140_bert.cli.push_to_hub import DESTINATION, destination_options, print_published
from sentiment140_bert.cli.scores import print_summary
from sentiment140_bert.errors import RunError
from sentiment140_bert.results import TrainResult
from sentiment140_bert.run import RUNS


@cloup.command(
    cls=Command,
    most_used=(
        "recipe",
        "output_dir",
        "model_name_or_path",
        "dataset",
        "max_samples",
        "num_train_epochs",
        "learning_rate",
        "per_device_train_batch_size",
        "push",
        "repo_id",
    ),
)
@recipe_option
@cloup.option("--output-dir", type=click.Path(path_type=Path), help="The run directory.  [default: runs/RECIPE]")
@cloup.option(
    "--resume",
    is_flag=True,
    help="Resume, and fail if there is no unfinished run (the same command resumes without it).",
)
@cloup.option("--overwrite", is_flag=True, help="Remove an earlier run in --output-dir first.")
@cloup.option("--push-to-hub", "push", is_flag=True, help="Publish the finished run, as `s140 push-to-hub` does.")
@destination_options
@recipe_options("model", "data", "training", "tracking", "card")
@set_option
@output_options
def train(
    recipe: str | None,
    output_dir: Path | None,
    resume: bool,
    overwrite: bool,
    push: bool,
    assignments: tuple[str, ...],
    as_json: bool,
    **flags: Any,
) -> None:
    """Fine-tune a model, score it, and write a run directory.

    A flag overrides the recipe, which overrides the default. Ctrl-C and SIGTERM leave a checkpoint (exit codes 130
    and 143). Run the same command again to resume from the newest complete checkpoint, whatever stopped the run; with
    --checkpoint-repo-id also on another machine.
    """
    from sentiment140_bert.publishing.destination import Destination

    folder = output_dir or Path(RUNS) / (Path(recipe).stem if recipe else "bert-base-100k")
    if resume and overwrite:
        raise RunError("--resume and --overwrite exclude each other.", "Choose one.")
    destination = Destination(**{name: flags.pop(name) for name in DESTINATION})
    if not push and destination != Destination():
        raise RunError("A place to publish is named, but --push-to-hub is missing.", "Add --push-to-hub.")
    if resume and not recipe and (folder / "recipe.yaml").is_file():
        recipe = str(folder / "recipe.yaml")
    chosen = resolve_recipe(recipe or "bert-base-100k", flags, assignments)
    with stdout_kept_clean():
        import sentiment140_bert

        # `s140 spark train` puts its own there, which starts several processes.
        result = click.get_current_context().meta.get("train", sentiment140_bert.train)(
            chosen,
            folder,
            resume=resume,
            overwrite=overwrite,
            push_to=destination if push else None,
            arguments_given=click.get_current_context().meta["arguments"],
        )
    if not result.is_main:  # one of several processes; the main one reports
        return
    print_result(result, as_json, _print)


def _print(result: TrainResult) -> None:
    training, run = result.training, shlex.quote(str(result.run))
    say(
        f"\ntrained {training['steps']:,} steps in {training['seconds']:,.0f} s, "
        f"{training['tweets_per_second']:,.0f} tweets/s; best step: {training['best_step'] or training['steps']:,}"
        f"{'; stopped early' if training.get('stopped_early') else ''}\n"
    )
    print_summary(result.metrics["splits"])
    print_usage(training)
    say(f"\nmodel  {shlex.quote(str(result.model))}")
    for name, state in (result.tracked or {}).items():
        if state["url"]:
            say(f"{name:<6} {state['url']}")
        if state["unsent"]:
            say(f"{name} does not have everything; later: s140 track sync {run}")
    if repository := result.checkpoints:
        say(f"kept   {repository['newest'] or 'nothing'} in {repository['url']}")
        say(f"       the run is finished and no longer needs it: hf repos delete {repository['repo_id']}")
    if result.published:
        print_published(result.published)
    say(f"""
next   s140 predict {run} "what a lovely surprise"
       s140 report {run}          # scores and errors as a page
       s140 evaluate {run} --all  # every score""")
