"""Run `s140` with the given arguments, and print its peak memory.

    python scripts/peak_memory.py prepare --dataset tweets.csv.gz
    python scripts/peak_memory.py predict MODEL --input texts.txt --output answers.parquet

The last line of stderr has the peak resident memory in MiB, the largest of the process and of those that it started
(`ru_maxrss` of wait4, which Linux gives in KiB), and the seconds. The exit code is that of `s140`.
"""

from __future__ import annotations

import os
import sys
import time


def main(words: list[str]) -> int:
    """Run the command, and return its exit code."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "sentiment140_bert", *words]
    child = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - started
    print(f"peak memory {usage.ru_maxrss / 1024:,.0f} MiB in {seconds:.1f} s", file=sys.stderr)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
