"""``s140 verify``"""

from __future__ import annotations

from typing import Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import complete_path, output_options, recipe_options, require_dataset, resolve_recipe
from sentiment140_bert.cli.output import print_result, print_table, say, stdout_kept_clean
from sentiment140_bert.errors import S140Error
from sentiment140_bert.publishing.checks import TOLERANCE, VerifyResult
from sentiment140_bert.recipe import SOURCE_SETTINGS

EXIT_CODES = {"true": 0, "false": 1, "unchecked": 2}
WORDS = {"true": "agrees", "false": "FALSE", "unchecked": "not checked", "claimed": "claimed, not checked"}
WORDS |= {"warning": "WARNING"}


@cloup.command(cls=Command)
@click.argument("model", shell_complete=complete_path)
@cloup.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@cloup.option(
    "--tolerance", type=float, default=TOLERANCE, show_default=True, help="Largest difference of a score to accept."
)
@cloup.option("--strict", is_flag=True, help="Exit with 1 if hand-written text reads like a claim.")
@recipe_options("data", only=SOURCE_SETTINGS, optional=["dataset"])
@output_options
def verify(model: str, model_revision: str | None, tolerance: float, strict: bool, as_json: bool, **flags: Any) -> None:
    """Check a published model against its card.

    MODEL is a Hub id, a run directory or a model folder. Model and dataset are fetched at the revisions on the card;
    the tweets are prepared and scored again. The page must be exactly what `s140 card` writes from the measured
    numbers, within --tolerance. What nobody can measure (hand-written text, times, hardware) is listed as "claimed,
    not checked", with a warning where it reads like a score. For other people's models the scores on their card are
    measured, on the tweets that it or --dataset names. Exit code 0: all agrees; 1: a claim is false, or with --strict
    there is a warning; 2: something could not be checked.
    """
    try:
        if not 0 <= tolerance <= 1:
            raise S140Error(f"--tolerance must be between 0 and 1, not {tolerance}.", "For example 0.001.")
        require_dataset(flags, "A page is verified on its own tweets; name other ones with --dataset.")
        with stdout_kept_clean():
            import sentiment140_bert

            data = resolve_recipe(None, flags).data if flags["dataset"] else None
            result = sentiment140_bert.verify(model, revision=model_revision, data=data, tolerance=tolerance)
    except S140Error as error:
        error.exit_code = 2  # 1 is for a false claim
        raise
    print_result(result, as_json, print_checks)
    code = EXIT_CODES["false" if strict and result.warnings else result.verdict]
    click.get_current_context().exit(code)


def print_checks(result: VerifyResult) -> None:
    """Print the claims as a table, and a summary."""
    checked = [check for check in result.checks if check.verdict != "claimed"]
    rows = [
        [
            _format_value(check.claim, 60),
            *map(_format_value, (check.claimed, check.measured, check.difference)),
            WORDS[check.verdict],
        ]
        for check in checked
    ]
    print_table(rows, ["claim", "claimed", "measured", "difference", ""])
    for check in checked:
        if check.why:
            say(f"{WORDS[check.verdict]}: {check.claim}: {check.why}", wraps=True)
    if claims := [check for check in result.checks if check.verdict == "claimed"]:
        say()
        values = [[_format_value(check.claim, 60), _format_value(check.claimed, 60)] for check in claims]
        print_table(values, [WORDS["claimed"], ""])
    count = {name: result.count(name) for name in WORDS}
    say(
        f"\n{count['true']} claims agree, {count['false']} are false, {count['unchecked']} could not be checked, "
        f"{count['claimed']} are claimed and not checked, {count['warning']} "
        f"{'warning' if count['warning'] == 1 else 'warnings'} (tolerance {result.tolerance:g})",
        wraps=True,
    )


def _format_value(value: Any, width: int = 14) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) >= 0.00005 or value == 0 else f"{value:.0e}"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return text if len(text) <= width else text[: width - 1] + "…"
