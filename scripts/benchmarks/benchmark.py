"""Measure contenders for the same work in turns, each in a process of its own, and compare them with the hardware.

A machine that slows down slows all of them down. A contender's ``build`` is a function of a module, since a new
interpreter imports it; the scripts of this folder each define some.
"""

from __future__ import annotations

import logging
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import click

from sentiment140_bert.cli.output import print_json, print_table, say
from sentiment140_bert.errors import S140Error
from sentiment140_bert.machine.usage import read_peak_memory
from sentiment140_bert.recipe.privacy import strip_folders
from sentiment140_bert.training import environment

log = logging.getLogger("sentiment140_bert.benchmark")
MIB = 2**20
CEILING = "ceiling"  # the contender that multiplies matrices
ENDED = (
    "its process ended; what it printed stands above. If that is nothing, it was killed, perhaps for memory: "
    "measure it with few others (--only)"
)

rounds_option = click.option(
    "--rounds", type=click.IntRange(1), default=3, show_default=True, help="Turns of each contender."
)
seed_option = click.option("--seed", type=int, default=42, show_default=True, help="Seed of the sample of tweets.")
dataset_option = click.option(
    "--dataset", default="sample", show_default=True, help="Source of the tweets, as in a recipe."
)


def only_option(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option that selects contenders."""
    return click.option(
        "--only", type=click.Choice(names), multiple=True, help="A contender to measure; repeatable.  [default: all]"
    )


@dataclass(frozen=True)
class Work:
    """The work that a contender did in one turn."""

    tweets: int = 0
    tokens: int = 0  # of these tweets, without padding
    seconds: float | None = None  # by the contender's own clock, to leave out what only a first step costs
    flops: float = 0.0  # floating point operations, where these were counted
    notes: Mapping[str, float] = field(default_factory=dict)  # further figures to be reported, such as an accuracy


@dataclass(frozen=True)
class Contender:
    """A way to do the work."""

    name: str  # its key in the report
    title: str  # what people read
    build: Callable[..., Callable[[], Work]]  # called once in a process of its own; returns what does one turn
    arguments: Mapping[str, Any] = field(default_factory=dict)  # for ``build``


@dataclass(frozen=True)
class Measured:
    """One turn: its work, its seconds, and the most memory that its process ever held, in MiB, None where unknown."""

    work: Work
    seconds: float
    memory: int | None
    gpu_memory: int | None = None  # allocated by torch

    @property
    def speed(self) -> float:
        """Tweets a second."""
        return self.work.tweets / self.seconds

    def __str__(self) -> str:
        return f"{self.speed:,.1f} tweets/s" if self.speed else f"{self.work.flops / self.seconds / 1e9:,.0f} GFLOP/s"


def find_cuda() -> Any:
    """Return ``torch.cuda`` if torch was loaded and there is a GPU, else None; torch is not loaded for it."""
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None


def now() -> float:
    """Return the seconds of a clock, once the GPU has finished."""
    if cuda := find_cuda():
        cuda.synchronize()
    return time.perf_counter()


def alternate(
    contenders: Sequence[Contender], rounds: int, report_progress: Callable[[str], None] = log.info
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Let each contender work once in each round; every round begins with another one.

    Args:
        contenders: With names that differ.
        rounds: Turns of each.
        report_progress: Called with a line for each step.

    Returns:
        By name the turns of each; and the reasons why some could not do the work, or not to the end.
    """
    turns: dict[str, list[Measured]] = {contender.name: [] for contender in contenders}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        processes = {contender.name: stack.enter_context(start(contender)) for contender in contenders}
        for contender in contenders:
            report_progress(f"getting ready: {contender.title}")
            answer = receive(processes[contender.name])
            if isinstance(answer, str):
                failures[contender.name] = answer
        for number in range(rounds):
            first = number % len(contenders)
            for contender in [*contenders[first:], *contenders[:first]]:
                if contender.name in failures:
                    continue
                answer = receive(processes[contender.name], "work")
                if isinstance(answer, Measured):
                    turns[contender.name].append(answer)
                    report_progress(f"round {number + 1} of {rounds}  {contender.title}: {answer}")
                else:
                    failures[contender.name] = str(answer)
    return turns, failures


def receive(process: Connection, message: str | None = None) -> Measured | str | None:
    """Send a message, if there is one, and return the answer: None when ready, a turn, or the reason of a failure."""
    try:
        if message:
            process.send(message)
        answer: Measured | str | None = process.recv()
    except (EOFError, ConnectionError):  # the process ended in its turn, or while it waited for one
        return ENDED
    return answer


@contextmanager
def start(contender: Contender) -> Iterator[Connection]:
    """Start a new interpreter that works at each message; it ends with the block."""
    spawn = multiprocessing.get_context("spawn")  # nothing that was loaded here counts as its memory
    connection, remote = spawn.Pipe()
    process = spawn.Process(target=serve, args=(remote, contender), daemon=True)
    process.start()
    remote.close()  # so that the end of the process is the end of the pipe
    try:
        yield connection
    finally:
        connection.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()
            process.join()


def serve(connection: Connection, contender: Contender) -> None:
    """Get ready, then work once for each message; runs in the contender's process."""
    sys.stdout = sys.stderr  # the parent alone prints the result
    try:
        work = contender.build(**contender.arguments)
        connection.send(None)
        while True:
            connection.recv()
            started = now()
            done = work()
            seconds = now() - started
            cuda = find_cuda()
            gpu_memory = cuda.max_memory_allocated() // MIB if cuda else None
            connection.send(Measured(done, done.seconds or seconds, read_peak_memory(), gpu_memory))
    except S140Error as error:
        connection.send(f"{error.message} {error.hint}".rstrip())
    except EOFError:
        return


def measure(
    kind: str,
    settings: Mapping[str, Any],
    contenders: Sequence[Contender],
    rounds: int,
    only: Sequence[str] = (),
    **summary: Any,
) -> dict[str, Any]:
    """Measure contenders and return the report that is printed as JSON.

    ``ceiling`` and ``ceiling_of_torch`` are the fastest matrix products (FLOP/s), ``ratios`` those of ``s140`` to each
    contender, and each of ``contenders`` has medians, ``rounds``, ``share_of_ceiling`` (real tokens times
    ``flops_per_token``; padding does not count) and memory (MiB).

    Args:
        kind: Name of the benchmark.
        settings: What was measured, for the report; folders of this machine are left out.
        contenders: In the order to be shown; :func:`ceiling.model_ceiling` may be one.
        rounds: Turns of each.
        only: Names of the contenders to measure; all when empty. The ceiling is always measured.
        summary: Options of :func:`summarize`.

    Raises:
        S140Error: No contender did its work.
    """
    chosen = [contender for contender in contenders if not only or contender.name in (*only, CEILING)]
    turns, failures = alternate(chosen, rounds)
    check_any_measured(chosen, turns, failures)
    return {
        "kind": kind,
        **{name: strip_folders(value) if isinstance(value, str) else value for name, value in settings.items()},
        "rounds": rounds,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": environment.describe_machine(),
        **summarize(chosen, turns, failures, **summary),
    }


def check_any_measured(
    contenders: Sequence[Contender], turns: Mapping[str, list[Measured]], failures: Mapping[str, str]
) -> None:
    """Raise S140Error with the reasons of all contenders if none of them did its work; the ceiling does not count."""
    workers = [contender for contender in contenders if contender.name != CEILING]
    if any(turns[contender.name] for contender in workers):
        return
    reasons = [failures[contender.name] for contender in workers]
    if len(set(reasons)) == 1:
        raise S140Error(f"Nothing could be measured: {reasons[0]}")
    lines = (f"\n  {contender.title}: {reason}" for contender, reason in zip(workers, reasons, strict=True))
    raise S140Error(f"Nothing could be measured, for no contender did its work:{''.join(lines)}")


def summarize(
    contenders: Sequence[Contender],
    turns: Mapping[str, list[Measured]],
    failures: Mapping[str, str],
    flops_per_token: float | None = None,
    base: str = "package",
) -> dict[str, Any]:
    """Compute medians over the rounds, ratios within them, and the share of the ceiling.

    Args:
        contenders: In the order to be shown; one may be named ``ceiling``.
        turns: Turns by name of the contender.
        failures: Why some could not do the work, or not to the end.
        flops_per_token: Nominal operations per token of the model. What the last layer omits counts as done, so
            the share of the ceiling can exceed 1.
        base: The contender that the others are compared with, round by round.

    Returns:
        ``ceiling`` and ``ceiling_of_torch`` (GFLOP/s), ``flops_per_token``, ``contenders`` and ``ratios``.
    """
    ceiling = turns.get(CEILING, [])
    rate = median(turn.work.flops / turn.seconds for turn in ceiling) if ceiling else None
    described, ratios = {}, {}
    for contender in contenders:
        if contender.name == CEILING:
            continue
        measured = turns[contender.name]
        figures = summarize_turns(measured) if measured else {}
        if figures and rate and flops_per_token:
            figures["share_of_ceiling"] = round(figures["tokens_per_second"] * flops_per_token / rate, 4)
        described[contender.name] = {"title": contender.title, "failed": failures.get(contender.name), **figures}
        pairs = list(zip(turns.get(base, []), measured, strict=False))  # a contender that failed has fewer rounds
        if pairs and contender.name != base:
            ratio = median(reference.speed / other.speed for reference, other in pairs)
            ratios[f"{base} / {contender.name}"] = round(ratio, 2)
    return {
        "ceiling": rate and round(rate / 1e9, 1),
        **(summarize_notes(ceiling) if ceiling else {}),
        "flops_per_token": flops_per_token,
        "contenders": described,
        "ratios": ratios,
    }


def summarize_turns(turns: Sequence[Measured]) -> dict[str, Any]:
    """Compute the figures of one contender."""
    work = turns[-1].work
    return {
        "tweets_per_second": round(median(turn.speed for turn in turns), 2),
        "tokens_per_second": round(median(turn.work.tokens / turn.seconds for turn in turns), 1),
        "rounds": [round(turn.speed, 2) for turn in turns],
        "tweets": work.tweets,
        "tokens": work.tokens,
        "seconds": round(median(turn.seconds for turn in turns), 4),
        "memory": max((turn.memory for turn in turns if turn.memory is not None), default=None),
        "gpu_memory": max((turn.gpu_memory for turn in turns if turn.gpu_memory is not None), default=None),
        **summarize_notes(turns),
    }


def summarize_notes(turns: Sequence[Measured]) -> dict[str, float]:
    """Compute medians of what a contender noted itself."""
    return {name: round(median(turn.work.notes[name] for turn in turns), 4) for name in turns[0].work.notes}


def print_report(report: Mapping[str, Any], as_json: bool) -> None:
    """Print a report of :func:`measure` as JSON, or as a table for people."""
    if as_json:
        print_json(report)
        return
    header = ("", "tweets/s", "tokens/s", "of the ceiling", "memory", "GPU memory")
    print_table([format_row(figures) for figures in report["contenders"].values()], header)
    machine = report["machine"]
    say()
    for figures in report["contenders"].values():
        if figures["failed"]:
            say(f"{figures['title']}: {figures['failed']}")
    if report["ceiling"]:
        say(f"ceiling: {report['ceiling']:,.0f} GFLOP/s, the best matrix product of the same rounds")
    for names, ratio in report["ratios"].items():
        say(f"{names}: {ratio:.2f}")
    say(f"{machine['gpu'] or machine['cpu']}, {machine['threads']} threads, {report['rounds']} rounds")


def format_row(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """Format a contender's figures as the cells of a row."""
    if "rounds" not in figures:
        return figures["title"], "failed", "", "", "", ""
    share, memory, gpu = figures.get("share_of_ceiling"), figures["memory"], figures["gpu_memory"]
    return (
        figures["title"],
        f"{figures['tweets_per_second']:,.1f}",
        f"{figures['tokens_per_second']:,.0f}",
        f"{share:.1%}" if share else "",
        f"{memory:,} MiB" if memory else "",
        f"{gpu:,} MiB" if gpu else "",
    )


class Script(click.Command):
    """A command that logs to stderr and turns the package's errors into a message and an exit code."""

    def invoke(self, context: click.Context) -> Any:
        logger = logging.getLogger("sentiment140_bert")
        logger.handlers = [logging.StreamHandler(sys.stderr)]
        logger.setLevel(logging.INFO)
        logger.propagate = False
        try:
            return super().invoke(context)
        except S140Error as error:
            say(f"Error: {error}", err=True)
            context.exit(error.exit_code)
