"""``s140 predict``"""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

import click

from sentiment140_bert.cli.options import backend_option, json_option, refuse_overwriting
from sentiment140_bert.cli.output import print_json, say
from sentiment140_bert.errors import S140Error, is_unicode
from sentiment140_bert.machine.facts import WITHOUT_TORCH, check_memory


@click.command()
@click.argument("model")
@click.argument("text", nargs=-1)
@click.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@click.option(
    "--input", "source", metavar="FILE", help="Texts: lines ('-': stdin), or a .csv, .tsv, .jsonl or .parquet file."
)
@click.option("--text-column", help="Name of the text column, where it is not obvious.")
@click.option("--encoding", help="Of the input file.  [default: UTF-8 if it is valid, else latin-1]")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A .jsonl, .csv or .parquet file. In .csv an apostrophe stands before what a spreadsheet would compute.",
)
@backend_option
@click.option("--calibrated", is_flag=True, help="Scores with the temperature of the validation split; labels stay.")
@click.option("--abstain", is_flag=True, help="Say neutral where the calibrated score is below the model's threshold.")
@json_option
def predict(
    model: str,
    text: tuple[str, ...],
    model_revision: str | None,
    source: str | None,
    text_column: str | None,
    encoding: str | None,
    output: Path | None,
    backend: str | None,
    calibrated: bool,
    abstain: bool,
    as_json: bool,
) -> None:
    """Label TEXT, or every text of a file, with MODEL: a run directory, a model folder, a Hub id or an exported folder.

    Labels and scores come in the input's order, and are those that transformers' pipeline gives, unless --calibrated
    or --abstain is given, for which the model must have been scored by `s140 train` or `s140 evaluate`. Input of any
    length passes through bounded memory (with --json and no --output all predictions are gathered first).
    """
    if bool(text) == bool(source):
        raise S140Error(
            "Texts are needed: as arguments or with --input, not both.", "For example: s140 predict RUN --input -"
        )
    refuse_overwriting(output, source)
    for each in text:
        if not is_unicode(each):
            raise S140Error(f"{each!a} is not valid Unicode.", "Is the terminal's encoding UTF-8?")
    check_memory(WITHOUT_TORCH)
    from sentiment140_bert import workflows

    with contextlib.redirect_stdout(sys.stderr):  # libraries are loaded here, and none that is not needed
        texts = iter(text)
        if source or output:
            from sentiment140_bert.data.texts import check_output, read_texts, write_predictions
        if output:
            check_output(output)
        if source:
            texts = read_texts(source, text_column, encoding)
        classifier = workflows.open_classifier(
            model, model_revision, backend=backend, calibrated=calibrated, abstains=abstain
        )
    rows = ((each, *prediction) for each, prediction in workflows.answers(classifier, texts))
    result: dict[str, object] = {}
    if output:
        result = {"count": write_predictions(output, rows), "output": str(output)}
    elif as_json:
        predictions = [{"text": each, "label": label, "score": score} for each, label, score in rows]
        result = {"count": len(predictions), "predictions": predictions}
    else:
        for each, label, score in rows:
            say(f"{label}\t{score:.4f}\t{' '.join(each.split())}")
    result |= {"empty": classifier.empty, "truncated": classifier.truncated}
    if as_json:
        print_json(result)
    elif output:
        say(f"{result['count']:,} predictions in {output}", err=True)
    if classifier.empty or classifier.truncated:
        say(
            f"{classifier.empty:,} empty texts; {classifier.truncated:,} cut at {classifier.max_length} tokens",
            err=True,
        )
