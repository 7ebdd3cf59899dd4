"""``s140 card``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import output_options, recipe_options, resolve_recipe
from sentiment140_bert.cli.output import print_result, say, stdout_kept_clean


@cloup.command(cls=Command)
@click.argument("run", type=click.Path(path_type=Path))
@cloup.option("--repo-id", metavar="USER/MODEL", help="Model id on the Hub, for the card.")
@recipe_options("card")
@output_options
def card(run: Path, repo_id: str | None, as_json: bool, **flags: Any) -> None:
    """Write the model card of a finished run.

    The card is RUN/model/README.md, next to the weights, with pictures and the other files that are published. It is
    made offline, from the run's own files. What you write outside of its marked sections is kept.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.card(run, repo_id, resolve_recipe(None, flags).card)
    print_result(result, as_json, lambda card: say(card["card"]))
