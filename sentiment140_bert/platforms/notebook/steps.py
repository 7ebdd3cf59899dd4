"""Train, ask, publish: the workflows, called so that running all cells again is always the right thing to do."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import sentiment140_bert
from sentiment140_bert import recipes
from sentiment140_bert.errors import Interrupted
from sentiment140_bert.run_dir import RunDir


def train_or_resume(recipe: str, runs: Path) -> Path:
    """Starts the recipe's run, goes on with an unfinished one, or leaves a finished one alone.

    Args:
        recipe: A packaged recipe's name, or a file. An unfinished run goes on with the recipe it was started with.
        runs: The folder of runs; this one's is named after the recipe.

    Returns:
        The run directory.

    Raises:
        Interrupted: The cell was stopped; a checkpoint was written.
        S140Error: As in :func:`sentiment140_bert.train`.
    """
    from sentiment140_bert.training.checkpoints import newest_whole

    run = RunDir(runs / Path(recipe).stem)
    if run.is_finished() and run.weights.is_file():
        print(f"{run.path} is finished; nothing is trained. To train it anew, remove the folder")
        return run.path
    run.metrics.unlink(missing_ok=True)  # Drive had kept the scores, but not yet the larger model
    begun = run.is_run()
    chosen = sentiment140_bert.saved_recipe(run.path) if begun else recipes.load(recipe)
    if begun:
        without = "it has no whole checkpoint, starting anew"
        if chosen.tracking.checkpoint_repo_id:
            without += f", unless {chosen.tracking.checkpoint_repo_id} keeps one"
        print(f"{run.path} is unfinished: {'going on' if newest_whole(run.checkpoints) else without}")
    try:
        with contextlib.redirect_stderr(sys.stdout):  # notebooks paint stderr red, and nothing is wrong
            result = sentiment140_bert.train(
                chosen,
                run.path,  # never overwritten: the repository of its checkpoints may keep what this folder lacks
                arguments_given=["train", "--recipe", recipe, "--output-dir", str(run.path)],
            )
    except Interrupted as stopped:
        hint = "Run this cell again: it goes on from there."
        raise Interrupted(stopped.message, hint, stopped.exit_code - 128) from None
    done = result["training"]
    kept = done["best_step"] or done["steps"]
    print(
        f"trained {done['steps']:,} steps in {done['seconds']:,.0f} s, kept step {kept:,}; the run lies in {run.path}"
    )
    return run.path


def classify(run: Path, tweet: str) -> None:
    """Prints the label that the run's model gives to a tweet, and how sure it is of it."""
    if not tweet.strip():
        print("Type a tweet into the form.")
        return
    for text, answer in sentiment140_bert.predict(str(run), [tweet]):
        print(f"{answer.label} ({answer.score:.1%}): {text}")


def push(run: Path, repo_id: str = "", dataset_repo_id: str = "") -> None:
    """Publishes the run where a name was typed and there is a token; else says how to.

    Raises:
        S140Error: As in :func:`sentiment140_bert.push_to_hub`.
    """
    from huggingface_hub import get_token

    if not (repo_id.strip() or dataset_repo_id.strip()):
        print("Nothing is published. To publish, type a name such as you/sentiment into the form and run the cell.")
        return
    if not get_token():
        print("Nothing is published: there is no HF_TOKEN. Add one with the right to write to the notebook's secrets.")
        return
    destination = sentiment140_bert.Destination(repo_id.strip() or None, dataset_repo_id.strip() or None)
    for kind, published in sentiment140_bert.push_to_hub(run, destination).items():
        print(f"{kind}: {published['url']}")
