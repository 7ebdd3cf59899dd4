"""Notebooks executed for the tests, in a kernel of this interpreter that knows nothing of this machine's user."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "scripts" / "colab" / "sentiment140_bert.ipynb"
# What the kernel finds in its environment and must show to nobody.
PLANTED = {"HF_TOKEN": "hf_" + "planted" * 5, "WANDB_API_KEY": "a1b2c3d4e5" * 4}


def execute(
    notebook: Any,
    folder: Path,
    *,
    env: dict[str, str] | None = None,
    send: signal.Signals | None = None,
    when: Any = None,
) -> Any:
    """Run all cells in ``folder``, without a GPU.

    Args:
        notebook: Its outputs are filled in.
        folder: The working directory of the kernel; its home folder is inside.
        env: Added to the kernel's environment.
        send: A signal for the kernel, sent once ``when()`` is true.
        when: Called repeatedly while the cells run.

    Returns:
        The notebook.

    Raises:
        CellExecutionError: A cell failed; the outputs so far are in ``notebook``.
        DeadKernelError: The kernel was killed.
    """
    home = folder / "home"
    home.mkdir(exist_ok=True)
    own = {"HOME": str(home), "IPYTHONDIR": str(home), "CUDA_VISIBLE_DEVICES": "", "PATH": _with_this_interpreter()}
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=600,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
    )
    over = threading.Event()
    watcher = threading.Thread(target=_send, args=(client, send, when, over)) if send else None
    if watcher:
        watcher.start()
    try:
        client.execute(env={**os.environ, **own, **(env or {})})
    finally:
        over.set()
        if watcher:
            watcher.join()
    return notebook


def _send(client: NotebookClient, number: signal.Signals, when: Callable[[], bool], over: threading.Event) -> None:
    while not over.wait(0.05):
        if when():
            os.kill(client.km.provisioner.pid, number)
            return


def _with_this_interpreter() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def read() -> Any:
    """Return the Colab notebook as committed."""
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def text_of(cell: Any) -> str:
    """Return what a cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream")


def cell_with(notebook: Any, call: str) -> Any:
    """Return the only code cell that calls ``call``."""
    (match,) = [cell for cell in code_cells(notebook) if f"{call}(" in cell.source]
    return match
