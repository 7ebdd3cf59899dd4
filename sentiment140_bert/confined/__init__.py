"""Files of strangers that are tried in a process of their own, with little time and memory, before they are used here.

A tokenizer may replace one letter by a thousand, or hold a regular expression that never ends; a graph may hold a loop.
What passes is remembered by its sha256 in the cache of this machine, so that it is tried once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from sentiment140_bert.files import hash_file
from sentiment140_bert.trust.model_files import UnusableFile

NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}  # otherwise onnxruntime sends telemetry about every session
SECONDS = 10  # of the processor
TIMEOUT = 120  # seconds, on a machine that has other things to do
GIB = 1 << 30
ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "PYTHONHOME")  # no token, no proxy


def cache_dir() -> Path:
    """Return where downloads and prepared data are kept: ``$S140_CACHE``, else ``~/.cache/sentiment140_bert``."""
    return Path(os.environ.get("S140_CACHE") or Path.home() / ".cache" / "sentiment140_bert")


def try_tokenizer(file: Path) -> None:
    """Load a ``tokenizer.json`` and tokenize short texts of all kinds of characters.

    Raises:
        UnusableFile: It is damaged, makes far more of a text than the text, or needs too much time or memory.
    """
    import tokenizers

    _run_trial("tokenizer", tokenizers.__version__, file, 2 * GIB + 16 * file.stat().st_size)


def try_graph(file: Path) -> None:
    """Look for control flow in an ONNX graph, load it, and compute two short rows.

    Raises:
        UnusableFile: It has any, cannot be computed, or needs too much time or memory.
    """
    os.environ.update(NO_TELEMETRY)
    import onnxruntime

    _run_trial("graph", onnxruntime.__version__, file, 4 * GIB + 8 * file.stat().st_size)


def _run_trial(kind: str, version: str, file: Path, memory: int) -> None:
    mark = cache_dir() / "tried" / f"{kind}-{version}-{hash_file(file)}"
    with contextlib.suppress(OSError):
        # Another user may share the cache. Windows has no such numbers: 0 for every file.
        if mark.lstat().st_uid == getattr(os, "geteuid", int)():
            return
    # -P: without the folder of the script, whose names would hide others.
    command = [
        sys.executable,
        "-P",
        str(Path(__file__).with_name("child.py")),
        kind,
        str(file.absolute()),
        str(SECONDS),
        str(memory),
    ]
    environment = {name: _absolute_parts(os.environ[name]) for name in ENVIRONMENT if name in os.environ}
    paths = os.pathsep.join(str(Path(path).absolute()) for path in sys.path if path)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
            cwd=Path(__file__).parent,  # never the stranger's folder
            env=environment | {"PYTHONPATH": paths, "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"} | NO_TELEMETRY,
        )
    except subprocess.TimeoutExpired:
        raise UnusableFile(f"{file.name} took more than {TIMEOUT} seconds for two short texts") from None
    if done.returncode:
        raise UnusableFile(f"{file.name} {_explain(done.returncode, done.stdout, memory)}")
    with contextlib.suppress(OSError):  # then it is tried again next time
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()


def _absolute_parts(paths: str) -> str:
    """Return a search path without its empty and relative parts, which mean the current folder."""
    return os.pathsep.join(part for part in paths.split(os.pathsep) if Path(part).is_absolute())


def _explain(code: int, output: bytes, memory: int) -> str:
    reason = output.decode(errors="replace").strip()
    if reason:
        return f"cannot be used: {reason.splitlines()[-1][:300].rstrip('.')}"
    if -code in (signal.SIGXCPU, signal.SIGKILL):
        return f"needs more than {SECONDS} seconds for short texts"
    return f"crashes the process that tries it ({code}): it is damaged, or needs more than {memory / GIB:.1f} GiB"
