"""``s140 predict``"""

from __future__ import annotations

import contextlib
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import (
    TypedText,
    backend_option,
    complete_path,
    output_options,
    recipe_options,
    resolve_recipe,
)
from sentiment140_bert.cli.output import print_json, say, say_loading
from sentiment140_bert.cli.outputs import OutputFile, overwrite_option
from sentiment140_bert.errors import S140Error
from sentiment140_bert.machine.facts import WITHOUT_TORCH, check_memory
from sentiment140_bert.progress import progress_bar

if TYPE_CHECKING:
    from sentiment140_bert.data.texts import PredictedRow
    from sentiment140_bert.inference.classifier import Classifier

FIRST = 1_000  # rows, in which the columns or an id are looked for


@cloup.command(cls=Command)
@click.argument("model", shell_complete=complete_path)
@click.argument("text", nargs=-1, type=TypedText())
@cloup.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@cloup.option(
    "--input",
    "source",
    metavar="FILE",
    shell_complete=complete_path,
    help="Texts: lines ('-': stdin; .txt), or a .csv, .tsv, .jsonl, .json or .parquet file (or .gz, .bz2, .xz, .zip).",
)
@recipe_options("data", only=("text_column", "id_column", "delimiter", "quoting", "encoding"))
@cloup.option(
    "--max-bad-rows",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Largest share of unreadable rows to allow; each gets an error instead of a label.",
)
@cloup.option(
    "--output",
    type=OutputFile(),
    help="A .jsonl, .csv or .parquet file: all columns of the input, then label, score and error.",
)
@overwrite_option
@cloup.option("--prefix", default="", help="Prefix of the new columns' names.")
@cloup.option(
    "--escape-formulas/--no-escape-formulas",
    "escapes",
    default=True,
    help="In .csv, write an apostrophe before a text that a spreadsheet would compute.  [default: escape]",
)
@backend_option
@cloup.option(
    "--calibrated", is_flag=True, help="Scale scores by the temperature fitted on validation; labels do not change."
)
@cloup.option(
    "--abstain", is_flag=True, help="Answer neutral where the calibrated score is below the model's threshold."
)
@output_options
def predict(
    model: str,
    text: tuple[str, ...],
    model_revision: str | None,
    source: str | None,
    max_bad_rows: float,
    output: Path | None,
    prefix: str,
    escapes: bool,
    backend: str | None,
    calibrated: bool,
    abstain: bool,
    as_json: bool,
    **flags: Any,
) -> None:
    """Label texts or files.

    MODEL is a run directory, a model folder, a Hub id or an exported folder; give each TEXT in quotes, or --input.
    Labels and scores come in the input's order, and are those that transformers' pipeline gives, unless --calibrated
    or --abstain is given, for which the model must have been scored by `s140 train` or `s140 evaluate`. Memory use
    does not grow with the input (with --json and no --output all predictions are gathered first).
    """
    check_flags(text, source, output)
    check_memory(WITHOUT_TORCH)
    say_loading("the model")
    with contextlib.redirect_stdout(sys.stderr):  # libraries are loaded here, only those that are needed
        from sentiment140_bert.data.columns import Row
        from sentiment140_bert.data.records import measure_row, take_window
        from sentiment140_bert.data.texts import plan_output, read_rows, write_predictions
        from sentiment140_bert.inference.predict import open_classifier, predict_rows

        data = resolve_recipe(None, flags).data
        rows = read_rows(source, data) if source else iter(map(Row, itertools.count(1), text))
        first = take_window(rows, FIRST, measure_row)
        plan = plan_output(first, data, prefix, escapes) if output else None
        classifier = open_classifier(model, model_revision, backend=backend, calibrated=calibrated, abstains=abstain)
    errors: Counter[str] = Counter()
    escaped: Counter[bool] = Counter()
    answers = count_errors(predict_rows(classifier, itertools.chain(first, rows), max_bad_rows), errors, escaped)
    if output and plan:
        with progress_bar("predict", None, "rows", iterable=answers, leave=False) as rows_with_bar:
            result = {"count": write_predictions(output, rows_with_bar, plan), "output": str(output)}
        say(f"{result['count']:,} predictions in {output}", err=True)
        print_escaped(escaped[True] if escapes and output.suffix == ".csv" else 0)
    else:
        has_ids = any(row.id is not None for row in first if isinstance(row, Row))
        result = print_rows(answers, as_json, None if text else "id" if has_ids else "row")
    if as_json:
        print_json(result | {"empty": classifier.empty, "truncated": classifier.truncated, "errors": errors.total()})
    print_remarks(classifier, errors)


def check_flags(text: tuple[str, ...], source: str | None, output: Path | None) -> None:
    """Raise S140Error for flags that do not go together, or an output that cannot be written."""
    if bool(text) == bool(source):
        raise S140Error("Pass texts either as arguments or with --input.", "For example: s140 predict RUN --input -")
    if output:
        from sentiment140_bert.data.texts import check_output

        check_output(output)


def print_rows(answers: Iterator[PredictedRow], as_json: bool, key: str | None) -> dict[str, Any]:
    """Gather the rows for --json, or print a line for each; return the result for --json."""
    if as_json:
        predictions = [answer.columns(key) for answer in answers]
        return {"count": len(predictions), "predictions": predictions}
    for answer in answers:
        score = "" if answer.score is None else f"{answer.score:.4f}"
        say(f"{answer.label or ''}\t{score}\t{' '.join((answer.error or answer.text).split())}")
    return {}


def print_escaped(count: int) -> None:
    """Print how many texts of a CSV file begin with an apostrophe that was not theirs."""
    if count:
        say(f"{count:,} texts got an apostrophe, so that no spreadsheet computes them", err=True)
        say("(--no-escape-formulas writes them as they are)", err=True)


def print_remarks(classifier: Classifier, errors: Counter[str]) -> None:
    """Print how many texts were empty, truncated or unreadable."""
    empty, truncated = classifier.empty, classifier.truncated
    if empty or truncated:
        say(f"{empty:,} empty texts; {truncated:,} cut at {classifier.max_length} tokens", err=True)
    for first_error, count in errors.items():
        say(f"{count:,} rows could not be read and have no label; the first: {first_error}", err=True)


def count_errors(
    answers: Iterator[PredictedRow], errors: Counter[str], escaped: Counter[bool]
) -> Iterator[PredictedRow]:
    """Yield the answers; count those that are errors, under the first of them, and texts that CSV would escape."""
    from sentiment140_bert.data.texts import escape_cell

    for answer in answers:
        if answer.error:
            errors[next(iter(errors), answer.error)] += 1
        escaped[escape_cell(answer.text) != answer.text] += 1
        yield answer
