"""``s140 report``"""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options
from sentiment140_bert.cli.output import print_json, say, stdout_kept_clean
from sentiment140_bert.cli.outputs import OutputFile, overwrite_option


@cloup.command(cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@cloup.option("--output", type=OutputFile(), help="The file to write.  [default: RUN/report.html]")
@overwrite_option
@cloup.option(
    "--errors",
    type=click.IntRange(min=0),
    default=200,
    help="Wrong predictions to list for each split, at most.  [default: 200]",
)
@cloup.option(
    "--attributions/--no-attributions",
    default=None,
    help="Weigh the words of the 100 most confident of each split, which loads the model.  [default: if captum, of the "
    "extra [report], is installed]",
)
@output_options
def report(run: Path, output: Path | None, errors: int, attributions: bool | None, as_json: bool) -> None:
    """Write scores and wrong predictions as one HTML page.

    RUN is a finished run. The page needs no network and no other file. It shows tweets, user names and addresses
    masked, and is not part of what `s140 push-to-hub` publishes.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.report(run, output, errors, attributions)
    if as_json:
        print_json(result)
        return
    for split, counts in result["splits"].items():
        say(f"{split}: {counts['errors']:,} errors, {counts['listed']:,} of them listed", err=True)
    say(result["report"])
