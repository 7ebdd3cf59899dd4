"""``s140 card``"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sentiment140_bert.cli.options import json_option, recipe_options, resolve_recipe
from sentiment140_bert.cli.output import print_json, say, stdout_kept_clean


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--repo-id", metavar="USER/MODEL", help="The id on the Hub, for the card.")
@recipe_options("card")
@json_option
def card(run: Path, repo_id: str | None, as_json: bool, **flags: Any) -> None:
    """Write the model card of a finished RUN, offline, from the run's own files.

    It is RUN/model/README.md, next to the weights, with pictures and the other files that are published. What you
    write into the card outside the marked sections is kept.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.card(run, repo_id, resolve_recipe(None, flags).card)
    if as_json:
        print_json(result)
    else:
        say(result["card"])
