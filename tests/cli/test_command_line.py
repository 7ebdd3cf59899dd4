"""The processes that tests run: they never wait for their reader, and stop where a test says."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from command_line import READ_AT_IMPORT, Command, signalled
from tiny_run import flags

pytest_plugins = "hub_fixtures"
# Prints 200,000 bytes to each output, more than a pipe holds, then a line to pause at.
TALKATIVE = "import sys; print('x' * 200_000); print('y' * 200_000, file=sys.stderr); print('done', file=sys.stderr)"


def test_output_is_drained_without_a_reader() -> None:
    with Command("-c", TALKATIVE, launcher=[sys.executable], module=False) as command:
        assert command.wait(timeout=60) == 0
        assert command.stdout.read() == "x" * 200_000 + "\n"
        assert command.stderr.readline() == "y" * 200_000 + "\n"
        assert list(command.stderr) == ["done\n"]
        assert command.stderr.whole() == "y" * 200_000 + "\ndone\n"


@pytest.mark.parametrize("fresh", [False, pytest.param(True, marks=pytest.mark.long)], ids=["forked", "fresh"])
def test_a_process_pauses_at_the_given_line_where_the_signal_reaches_it(
    encoder: Path, tmp_path: Path, fresh: bool
) -> None:
    words = ["train", "--output-dir", tmp_path / "run", *flags(model_name_or_path=encoder)]
    with Command(*words, pause_at=["step 2/", "step 7/"], fresh=fresh) as command:
        assert command.wait_until_paused().startswith("step 2/12  loss")
        command.resume()
        _, stderr = signalled(command, signal.SIGTERM)
        assert command.returncode == 143, stderr
        assert "step 7/12" in stderr
        assert "step 9/12" not in stderr


def test_a_process_that_ends_before_its_pause_is_a_failure(tmp_path: Path) -> None:
    with Command("recipes", "show", "no such recipe", pause_at="step 1/") as command:
        with pytest.raises(AssertionError, match="no such recipe"):
            command.wait_until_paused()
        assert command.returncode == 1


@pytest.mark.parametrize("name", READ_AT_IMPORT)
def test_what_is_read_at_import_needs_a_fresh_process(name: str) -> None:
    with Command("recipes", "ls", env={name: "another"}) as command:
        assert command.wait() == 1
        assert "fresh=True is needed" in command.stderr.read()
