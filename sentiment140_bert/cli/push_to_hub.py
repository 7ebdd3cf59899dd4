"""``s140 push-to-hub``"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_options, resolve_recipe
from sentiment140_bert.cli.output import print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.errors import HubError
from sentiment140_bert.recipe import CardConfig
from sentiment140_bert.results import PushResult

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OPTIONS: tuple[Decorator, ...] = (
    cloup.option("--repo-id", metavar="USER/MODEL", help="The model's repository."),
    cloup.option(
        "--dataset-repo-id", metavar="USER/DATASET", help="The dataset's repository; without it no dataset is pushed."
    ),
    cloup.option(
        "--private/--public",
        default=None,
        help="Visibility of the repositories.  [default: a new model is public, a new dataset is private]",
    ),
    cloup.option(
        "--space-repo-id",
        metavar="USER/DEMO",
        help="A Space whose page runs the model in the browser; the model is published as ONNX graphs, too.",
    ),
    cloup.option(
        "--onnx", is_flag=True, help="Publish the model as ONNX graphs, too; later pushes keep them up to date."
    ),
)

DESTINATION = ("repo_id", "dataset_repo_id", "private", "space_repo_id", "onnx")  # the options' names


def destination_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for the repositories of a run."""
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@cloup.command("push-to-hub", cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@destination_options
@cloup.option("--create-pr", is_flag=True, help="Open a pull request; the next push updates it while it is open.")
@cloup.option("--revision", help="Branch to push to; it is created if missing.  [default: main]")
@cloup.option(
    "--commit-message", help="Message of the commits.  [default: s140 push-to-hub: and model, dataset or space]"
)
@cloup.option("--tag", help="Tag the commit.")
@recipe_options("card")
@cloup.option("--model-only", is_flag=True, help="Do not push the dataset.")
@cloup.option("--dataset-only", is_flag=True, help="Do not push the model.")
@cloup.option(
    "--dry-run", is_flag=True, help="List every file with its size; publish nothing, and do not use the network."
)
@output_options
def push_to_hub(
    run: Path,
    repo_id: str | None,
    dataset_repo_id: str | None,
    model_only: bool,
    dataset_only: bool,
    dry_run: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Publish a finished run on the Hugging Face Hub.

    The dataset of RUN is pushed first, then its model, then its demo, each in one commit. The login is HF_TOKEN or that
    of `hf auth login`. Every file is searched for secrets first. Pushing the same again makes no commit; temporary
    failures are tried again.
    """
    if model_only and dataset_only:
        raise HubError("--model-only and --dataset-only exclude each other.", "Choose one.")
    if (model_only and not repo_id) or (dataset_only and not dataset_repo_id):
        raise HubError("No repository was named.", f"Name it: --{'' if model_only else 'dataset-'}repo-id user/name")
    with stdout_kept_clean():
        import sentiment140_bert
        from sentiment140_bert.publishing.destination import Destination

        description = resolve_recipe(None, {name: options.pop(name) for name in CardConfig.model_fields}).card
        destination = Destination(
            repo_id=None if dataset_only else repo_id,
            dataset_repo_id=None if model_only else dataset_repo_id,
            **options,
        )
        result = sentiment140_bert.push_to_hub(run, destination, description, dry_run=dry_run)
    print_result(result, as_json, print_files if dry_run else print_published)


def print_files(result: PushResult) -> None:
    """Print what a push would publish."""
    for kind, target in (result.files or {}).items():
        say(f"{kind} {target.repo_id}: {len(target.files)} files, {sum(target.files.values()):,} bytes")
        print_table([[f"  {name}", size] for name, size in target.files.items()])
    say("nothing was published (--dry-run)")


def print_published(result: PushResult) -> None:
    """Print what a push published."""
    for pushed in result.list_pushed():
        visibility = "private" if pushed.private else "public"
        state = f"commit {pushed.commit[:12]}" if pushed.changed else "no changes, no commit"
        say(f"{pushed.kind:8}{pushed.url}  ({visibility}; {state})")
        if pushed.pr_url:
            say(f"        pull request: {pushed.pr_url}")
    if result.model:
        say(f'use     pipeline("text-classification", model="{result.model.repo_id}", truncation=True)')
        say(f"check   s140 verify {result.model.repo_id}")
