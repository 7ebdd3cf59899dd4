"""``s140 export``"""

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
    "--format", "kind", type=click.Choice(["onnx"]), default="onnx", show_default=True, help="Format of the export."
)
@cloup.option("--quantize", type=click.Choice(["int8"]), help="Also write a second, smaller and faster graph.")
@cloup.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder to write.  [default: onnx/ in a run directory]",
)
@output_options
def export(
    model: str, model_revision: str | None, kind: str, quantize: str | None, output: Path | None, as_json: bool
) -> None:
    """Export a model to ONNX, for predictions without torch.

    MODEL is a run directory, a model folder or a Hub id. The folder has everything that is needed, where
    transformers.js looks for it: onnx/model.onnx, with --quantize int8 onnx/model_quantized.onnx too, config.json, the
    tokenizer, and export.json with the sha256 of what it was made from. It is compared with torch first, and written
    whole or not at all. An earlier export there is replaced.
    """
    with stdout_kept_clean():
        import sentiment140_bert

        result = sentiment140_bert.export(model, output=output, quantize=quantize, revision=model_revision)
    if as_json:
        print_json(result)
        return
    check = result["check"]
    for file, agreement in zip(result["files"], (check["fp32"], check.get("int8")), strict=False):
        if agreement:
            say(
                f"{result['folder']}/{file}: {result['files'][file] / 1e6:,.1f} MB; {agreement['labels_agree']} of "
                f"{check['texts']} labels match torch's, logits differ by at most "
                f"{agreement['largest_difference']:.1g}",
                wraps=True,
            )
