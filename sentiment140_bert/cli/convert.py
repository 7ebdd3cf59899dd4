"""``s140 convert``"""

from __future__ import annotations

from pathlib import Path

import click
import cloup

from sentiment140_bert.cli.help import Command
from sentiment140_bert.cli.options import complete_path, output_options
from sentiment140_bert.cli.output import print_json, say, stdout_kept_clean


@cloup.command(cls=Command)
@click.argument("model", shell_complete=complete_path)
@cloup.option("--model-revision", help="Branch, tag or commit of a Hub model.")
@cloup.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="The model folder to write; it must not exist.",
)
@output_options
def convert(model: str, model_revision: str | None, output: Path, as_json: bool) -> None:
    """Convert pickled weights to safetensors.

    MODEL is a model folder or a Hub id with pytorch_model.bin, *.pt or *.ckpt; s140 loads only safetensors. A pickle
    can run code when it is opened; here its numbers are read and nothing is run. One that holds more than numbers is
    refused. Settings and tokenizer are copied; code is not. The folder is written whole or not at all.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.convert(model, output, model_revision)
    if as_json:
        print_json(result)
        return
    read = ", ".join(result["read"])
    say(f"{result['folder']}: {result['tensors']} tensors, {result['bytes'] / 1e6:,.1f} MB, out of {read}")
