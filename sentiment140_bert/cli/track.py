"""``s140 track``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import cloup

from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.recipe import TRACKERS
from sentiment140_bert.results import TrackedAt

run_argument = click.argument("run", type=click.Path(path_type=Path))


@cloup.group()
def track() -> None:
    """Show the trackers of a run, or sync them."""


@track.command()
@run_argument
@output_options
def show(run: Path, as_json: bool) -> None:
    """List the trackers of a RUN, and what was not sent yet."""
    import sentiment140_bert

    print_result(sentiment140_bert.track(run), as_json, print_trackers)


@track.command()
@run_argument
@cloup.option(
    "--report-to", type=click.Choice(TRACKERS), multiple=True, help="Another tracker for the run; repeatable."
)
@output_options
def sync(run: Path, report_to: tuple[str, ...], as_json: bool) -> None:
    """Send the trackers of a RUN what they missed.

    Use it after a server was down, or wandb was offline. Nothing is sent twice. The exit code is 1 if something still
    could not be sent; it is kept.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.sync_track(run, report_to)
    print_result(result, as_json, print_trackers)


def print_trackers(trackers: Mapping[str, TrackedAt]) -> None:
    """Print each tracker's run, address, and what was not sent yet."""
    if not trackers:
        say("not tracked")
        return
    rows = [
        [name, run["id"] or "", run["url"] or "", ", ".join(run["unsent"] + run["offline"]) or "nothing"]
        for name, run in trackers.items()
    ]
    print_table(rows, ["tracker", "run", "address", "not sent"])
