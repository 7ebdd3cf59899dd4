"""Turn after turn, each contender in a process of its own: a machine that slows down slows all of them down."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection

from sentiment140_bert.benchmark.clock import now
from sentiment140_bert.benchmark.contender import Contender, Measured
from sentiment140_bert.errors import S140Error

MIB = 2**20


def alternate(
    contenders: Sequence[Contender], rounds: int, told: Callable[[str], None], memory: Callable[[], int | None]
) -> tuple[dict[str, list[Measured]], dict[str, str]]:
    """Lets each contender work once in each round; every round begins with another one.

    Args:
        contenders: With names that differ.
        rounds: Turns of each.
        told: Hears what goes on.
        memory: A function of a module, called in each process after its turn: the most that it ever held, in MiB.

    Returns:
        By name the turns of each; and in words why some could not do the work, or not to the end.
    """
    turns: dict[str, list[Measured]] = {each.name: [] for each in contenders}
    failed: dict[str, str] = {}
    with ExitStack() as stack:
        processes = {}
        for each in contenders:
            processes[each.name] = stack.enter_context(_process(each, memory))
        for each in contenders:
            told(f"getting ready: {each.title}")
            _hear(each, processes[each.name], failed)
        for number in range(rounds):
            start = number % len(contenders)
            for each in [*contenders[start:], *contenders[:start]]:
                if each.name in failed:
                    continue
                measured = _hear(each, processes[each.name], failed, "go")
                if measured:
                    turns[each.name].append(measured)
                    told(f"round {number + 1} of {rounds}  {each.title}: {_said(measured)}")
    return turns, failed


def _said(measured: Measured) -> str:
    if measured.work.tweets:
        return f"{measured.work.tweets / measured.seconds:,.1f} tweets/s"
    return f"{measured.work.flops / measured.seconds / 1e9:,.0f} GFLOP/s"


def _hear(
    contender: Contender, connection: Connection, failed: dict[str, str], word: str | None = None
) -> Measured | None:
    """What a contender answers, to ``word`` if one is given; None where it got ready or failed."""
    try:
        if word:
            connection.send(word)
        said = connection.recv()
    except (EOFError, ConnectionError):  # ended in its turn, or while it waited for one
        said = (
            "its process ended; what it printed stands above. If that is nothing, it was killed, perhaps for memory: "
            "measure it with few others (--only)"
        )
    if isinstance(said, str):
        failed[contender.name] = said
        return None
    return said if isinstance(said, Measured) else None


@contextmanager
def _process(contender: Contender, memory: Callable[[], int | None]) -> Iterator[Connection]:
    """A fresh interpreter that works when it is told to; it ends with the block."""
    spawn = multiprocessing.get_context("spawn")  # nothing that was loaded here counts as its memory
    here, there = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(there, contender, memory), daemon=True)
    process.start()
    there.close()  # so that the end of the process is the end of the pipe
    try:
        yield here
    finally:
        here.close()
        process.join(timeout=5)
        if process.is_alive():
            process.kill()
            process.join()


def _serve(connection: Connection, contender: Contender, memory: Callable[[], int | None]) -> None:
    """Runs in the process: gets ready, then works once for each word it hears."""
    sys.stdout = sys.stderr  # the result alone is printed, by the parent
    try:
        work = contender.build(**contender.arguments)
        connection.send(None)
        while True:
            connection.recv()
            began = now()
            done = work()
            seconds = now() - began
            connection.send(Measured(done, done.seconds or seconds, memory(), _gpu_memory()))
    except S140Error as error:
        connection.send(f"{error.message} {error.hint}".rstrip())
    except EOFError:
        return


def _gpu_memory() -> int | None:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None
    return int(torch.cuda.max_memory_allocated()) // MIB
