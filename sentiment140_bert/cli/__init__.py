"""``s140``: one small module for each command, and the one place where an error becomes a message and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from importlib.metadata import version
from typing import Any

import click
import cloup

from sentiment140_bert.cli.card import card
from sentiment140_bert.cli.convert import convert
from sentiment140_bert.cli.doctor import doctor
from sentiment140_bert.cli.evaluate import evaluate
from sentiment140_bert.cli.export import export
from sentiment140_bert.cli.learning_curve import learning_curve
from sentiment140_bert.cli.output import WrappingFormatter, encodable, escape_what_cannot_be_encoded, say
from sentiment140_bert.cli.predict import predict
from sentiment140_bert.cli.prepare import prepare
from sentiment140_bert.cli.push_to_hub import push_to_hub
from sentiment140_bert.cli.recipes import recipes
from sentiment140_bert.cli.report import report
from sentiment140_bert.cli.spark import spark
from sentiment140_bert.cli.surroundings import (
    check_working_directory,
    drop_output,
    explain,
    explain_in_threads,
    open_missing_streams,
    reserve_memory,
    share_processors,
)
from sentiment140_bert.cli.suspects import suspects
from sentiment140_bert.cli.track import track
from sentiment140_bert.cli.train import train
from sentiment140_bert.cli.tune import tune
from sentiment140_bert.cli.verify import verify
from sentiment140_bert.credentials import conceal, conceal_output
from sentiment140_bert.errors import S140Error
from sentiment140_bert.text import escape_hidden


class ErrorBoundary(cloup.Group):
    """Turns the package's own errors and the operating system's into a message, a hint and an exit code; others keep
    their traceback."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        open_missing_streams()
        escape_what_cannot_be_encoded()
        reserve_memory()
        share_processors()
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["arguments"] = list(args)  # for the card of a run
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            check_working_directory()
            return super().invoke(ctx)
        except S140Error as error:
            self._print_error(error)
            ctx.exit(error.exit_code)
        except click.UsageError as error:  # it quotes the arguments
            typed = error.format_message()
            message = encodable(escape_hidden(conceal(typed)), sys.stderr)
            if message == typed:
                raise
            raise click.UsageError(message, error.ctx) from None
        except BrokenPipeError:
            drop_output()  # its reader left, as in `s140 … | head`
            ctx.exit(141)
        except (click.ClickException, click.Abort, click.exceptions.Exit, KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # a panic in a library's Rust is no Exception
            explained = explain(error)
            if explained is None:
                raise
            self._print_error(explained)
            ctx.exit(explained.exit_code)

    @staticmethod
    def _print_error(error: S140Error) -> None:
        say(f"Error: {error.message}", err=True, fg="red", wraps=True)
        if error.hint:
            say(error.hint, err=True, wraps="s140 " not in error.hint)


@cloup.group(
    cls=ErrorBoundary,
    context_settings=cloup.Context.settings(
        help_option_names=["-h", "--help"],
        max_content_width=110,
        token_normalize_func=lambda token: token.replace("_", "-"),
        formatter_settings=cloup.HelpFormatter.settings(theme=cloup.HelpTheme(heading=cloup.Style(bold=True))),
    ),
    sections=[
        cloup.Section("Data", [prepare, recipes]),
        cloup.Section("Train", [train]),
        cloup.Section("Score", [evaluate, report]),
        cloup.Section("Use", [predict, export, convert]),
        cloup.Section("Publish", [card, push_to_hub, verify, track]),
        cloup.Section("Study", [tune, learning_curve, suspects]),
        cloup.Section("This machine", [doctor, spark]),
    ],
)
@click.version_option(version("sentiment140-bert"), prog_name="s140")
def main() -> None:
    """Fine-tune BERT on Sentiment140 tweets: from the raw CSV to a published model.

    \b
    First look, without the Hub:  s140 train --recipe quickstart
    The real job, on a GPU:       s140 train --recipe bert-base-100k
    """
    conceal_output()
    explain_in_threads()
    logger = logging.getLogger("sentiment140_bert")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(WrappingFormatter())
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False
