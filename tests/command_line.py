"""``s140`` as a process of its own: its output always drained, forked from a process that has imported torch.

Forking costs some 10 ms, where a new interpreter needs 5 to 9 s to import torch and the Trainer. ``fresh=True`` starts
a new interpreter all the same, for tests of starting up and of what libraries read while they are imported.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, Listener
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

from pausing import ADDRESS, LINES, pause_stderr

# Libraries read these while they are imported: a forked process has them from the process it is forked from.
READ_AT_IMPORT = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_XET", "PYTHONPATH", "MPLCONFIGDIR")
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        *("sentiment140_bert.cli", "transformers.trainer", "transformers.models.bert.modeling_bert"),
        *("transformers.pipelines", "datasets", "evaluate", "accelerate", "scipy.stats"),
        *("sklearn.linear_model", "sklearn.feature_extraction.text", "sklearn.metrics"),
    ]
)
STARTED: list[Command] = []


def kill_what_still_runs() -> None:
    while STARTED:
        STARTED.pop().kill()


class Stream:
    """All lines of one output of a process, read by a thread as they come, so that the process never waits for us."""

    def __init__(self, descriptor: int) -> None:
        self._lines: list[str] = []
        self._at = 0
        self._ended = False
        self._changed = threading.Condition()
        self._file = open(descriptor, encoding="utf-8", errors="replace")  # noqa: SIM115
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        with self._file:
            for line in self._file:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def readline(self) -> str:
        """Return the next line that was not returned yet, waiting for it; empty at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._at < len(self._lines))
            if self._at == len(self._lines):
                return ""
            self._at += 1
            return self._lines[self._at - 1]

    def __iter__(self) -> Iterator[str]:
        return iter(self.readline, "")

    def read(self) -> str:
        """Return all lines that were not returned yet, up to the end of the output."""
        return "".join(self)

    def whole(self, timeout: float | None = None) -> str:
        """Return all that was ever written, up to the end of the output."""
        self._thread.join(timeout)
        return "".join(self._lines)


class Output:
    """A descriptor that travels to a forked process."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __reduce__(self) -> tuple[Any, ...]:
        return (receive, (DupFd(self.descriptor),))


def receive(duplicate: Any) -> Output:
    return Output(duplicate.detach())


def run_forked(
    arguments: Sequence[str],
    environment: dict[str, str],
    folder: str,
    prepare: Callable[[], None] | None,
    out: Output,
    err: Output,
) -> None:
    """Run the command line in a process that was just forked, after ``prepare``."""
    os.dup2(out.descriptor, 1)
    os.dup2(err.descriptor, 2)
    os.close(out.descriptor)
    os.close(err.descriptor)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
    for name in READ_AT_IMPORT:
        if environment.get(name) != os.environ.get(name):
            raise ValueError(f"{name} is read while libraries are imported: fresh=True is needed.")
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # found before the fork, by another environment
    os.chdir(folder)
    import torch

    from sentiment140_bert.cli import main

    if threads := environment.get("OMP_NUM_THREADS"):
        torch.set_num_threads(int(threads))
    pause_stderr()
    if prepare:
        prepare()
    gc.freeze()  # what was imported before the fork lives as long as the process
    sys.argv = ["s140", *arguments]
    try:
        main(prog_name="s140")
    finally:
        atexit._run_exitfuncs()  # multiprocessing ends its processes without


class Pauses:
    """The lines at which a process waits for the test, and the waiting."""

    def __init__(self, starts: Sequence[str]) -> None:
        self._listener = Listener(family="AF_UNIX")
        self.environment = {ADDRESS: self._listener.address, LINES: "\n".join(starts)}
        self._paused: Connection | None = None
        self._reached = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                self._paused = self._listener.accept()
                self._reached.set()

    def wait(self, is_running: Callable[[], bool]) -> str | None:
        """Wait until the process pauses and return the line at which it does, or None if it ends without."""
        while not self._reached.wait(0.05):
            if not is_running():
                return None
        return self._paused.recv()

    def resume(self) -> None:
        self._reached.clear()
        with contextlib.suppress(BrokenPipeError):
            self._paused.send("go on")

    def close(self) -> None:
        self._listener.close()


class Command:
    """A running ``s140``, with the methods of ``subprocess.Popen`` that tests need.

    ``pause_at``: beginnings of lines of stderr; having written such a line, the process waits for :meth:`resume`.
    ``prepare``: a function of a module that a forked process calls before the command.
    ``module`` False: the arguments follow the launcher as they are.
    ``launcher``: the words that start it in place of the interpreter, such as those of ``torchrun``; implies ``fresh``.
    """

    def __init__(
        self,
        *arguments: object,
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
        pause_at: str | Sequence[str] = (),
        fresh: bool = False,
        launcher: Sequence[object] = (),
        module: bool = True,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        starts = [pause_at] if isinstance(pause_at, str) else list(pause_at)
        self._pauses = Pauses(starts) if starts else None
        self.environment = os.environ | (env or {}) | (self._pauses.environment if self._pauses else {})
        words = [str(argument) for argument in arguments]
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        self.stdout, self.stderr = Stream(out), Stream(err)
        if fresh or launcher:
            script = [str(Path(__file__).with_name("pausing.py"))] if starts else ["-m", "sentiment140_bert"]
            program = [*map(str, launcher or [sys.executable]), *(script if module else []), *words]
            pipes = {"stdin": subprocess.DEVNULL, "stdout": out_end, "stderr": err_end}
            self._process = subprocess.Popen(program, env=self.environment, cwd=cwd, **pipes)
        else:
            job = (words, self.environment, str(cwd or Path.cwd()), prepare, Output(out_end), Output(err_end))
            self._process = FORKS.Process(target=run_forked, args=job)
            self._process.start()
        os.close(out_end)
        os.close(err_end)
        self.pid = self._process.pid
        STARTED.append(self)

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        return self._process.poll() if isinstance(self._process, subprocess.Popen) else self._process.exitcode

    @property
    def returncode(self) -> int | None:
        return self.poll()

    def wait(self, timeout: float | None = None) -> int:
        if isinstance(self._process, subprocess.Popen):
            return self._process.wait(timeout)
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("s140", timeout)
        return self._process.exitcode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what was written to stdout and to stderr that was not read line by line."""
        self.wait(timeout)
        return self.stdout.read(), self.stderr.read()

    def reach_pause(self) -> str | None:
        """Wait for the next line of ``pause_at`` and return it, or None if the process ends without."""
        return self._pauses.wait(is_running=lambda: self.poll() is None)

    def wait_until_paused(self) -> str:
        """Wait for the next line of ``pause_at`` and return it; the process stands still until :meth:`resume`."""
        line = self.reach_pause()
        assert line is not None, f"ended with {self.poll()} before it came there:\n{self.stderr.whole()}"
        return line

    def resume(self) -> None:
        self._pauses.resume()

    def wait_for(self, happened: Callable[[], object]) -> None:
        """Wait for something that the process, or a thread of it while it pauses, will do."""
        while not happened():
            assert self.poll() is None, f"ended with {self.poll()} without it:\n{self.stderr.whole()}"
            time.sleep(0.01)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        if self._pauses:
            self._pauses.close()


def complete(*words: object, code: int = 0, **options: Any) -> tuple[str, str]:
    """Run the command in a process of its own; return what it wrote to stdout and to stderr."""
    command = Command(*words, **options)
    output = command.communicate()
    assert command.returncode == code, output
    return output


def signalled(command: Command, number: int) -> tuple[str, str]:
    """Send a signal where a command pauses; return what it wrote to stdout and to stderr until its end."""
    command.wait_until_paused()
    command.send_signal(number)
    command.resume()
    command.wait()
    return command.stdout.whole(), command.stderr.whole()


def start_ranks(*words: object, pause_at: str = "", prepare: Callable[[], None] | None = None) -> list[Command]:
    """Start two forked processes of one training, with the environment that torchrun gives to its own two.

    The first one pauses at a line that begins with ``pause_at``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    both |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    return [
        Command(
            *words,
            env=both | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            pause_at=pause_at if rank == 0 else (),
            prepare=prepare,
        )
        for rank in range(2)
    ]


def finish_ranks(*words: object, code: int = 0, **options: Any) -> tuple[str, str]:
    """Run two processes of one training to their end; return all that both wrote to stdout and to stderr."""
    ranks = start_ranks(*words, **options)
    for rank in ranks:
        assert rank.wait() == code, "".join(command.stderr.whole() for command in ranks)
    return "".join(rank.stdout.whole() for rank in ranks), "".join(rank.stderr.whole() for rank in ranks)
