"""``s140 convert``"""

from __future__ import annotations

from pathlib import Path

import click

from sentiment140_bert.cli.options import json_option
from sentiment140_bert.cli.output import print_json, say, stdout_kept_clean


@click.command()
@click.argument("model")
@click.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The model folder to write; a new one.",
)
@json_option
def convert(model: str, model_revision: str | None, output: Path, as_json: bool) -> None:
    """Write MODEL's pickled weights (pytorch_model.bin, *.pt, *.ckpt) as safetensors, which is all that s140 loads.

    MODEL is a model folder or a Hub id. A pickle can run anything while it is opened; here the numbers are taken out
    of it and nothing is run. One that holds more than numbers is refused. Settings and tokenizer are copied; code
    is not. The folder is written whole or not at all.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.convert(model, output, model_revision)
    if as_json:
        print_json(result)
        return
    read = ", ".join(result["read"])
    say(f"{result['folder']}: {result['tensors']} tensors, {result['bytes'] / 1e6:,.1f} MB, out of {read}")
