"""Take the pictures of README.md: a terminal after `s140 train --recipe quickstart`, and the run's report.

python scripts/readme_pictures.py   (trains for half a minute on two cores; the report needs chromium)
"""

from __future__ import annotations

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
COLUMNS = 80
REPORT_SIZE = "1000,760"


def main() -> None:
    """Train in an empty folder, and write terminal.svg and report.png."""
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed")
    with tempfile.TemporaryDirectory() as folder:
        commands = [
            ["s140", "train", "--recipe", "quickstart"],
            ["s140", "predict", "runs/quickstart", "what a lovely surprise", "my phone died again"],
        ]
        screen = "".join(f"\x1b[1;32m$\x1b[0m {_quote(command)}\n{_run(command, folder)}\n" for command in commands)
        (FIGURES / "terminal.svg").write_text(_draw(screen.strip()), "utf-8")
        subprocess.run(["s140", "report", "runs/quickstart"], cwd=folder, check=True)
        page = Path(folder, "runs", "quickstart", "report.html").as_uri()
        options = ["--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={REPORT_SIZE}"]
        options += [f"--user-data-dir={folder}/chromium", f"--screenshot={FIGURES / 'report.png'}", page]
        subprocess.run([chromium, *options], check=True, stderr=subprocess.DEVNULL)


def _quote(command: list[str]) -> str:
    return " ".join(f'"{word}"' if " " in word else word for word in command)


def _run(command: list[str], folder: str) -> str:
    """Return what a terminal of 80 columns shows once the command is done."""
    main_end, command_end = pty.openpty()
    environment = os.environ | {"COLUMNS": str(COLUMNS), "LINES": "50", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdin=command_end, stdout=command_end, stderr=command_end
    )
    os.close(command_end)
    output = bytearray()
    while True:
        try:
            output += (part := os.read(main_end, 65536))
        except OSError:  # the terminal is closed
            break
        if not part:
            break
    os.close(main_end)
    if process.wait():
        sys.exit(f"{_quote(command)} failed:\n{output.decode()}")
    lines = output.decode().replace("\r\n", "\n").split("\n")
    remaining = [(line, re.sub(r"\x1b\[[0-9]*[AK]", "", line.rsplit("\r", 1)[-1])) for line in lines]
    return "\n".join(end for line, end in remaining if end or not line)  # a bar that was cleared is no line


def _draw(screen: str) -> str:
    """Return the screen as an SVG that loads no font from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    console.print(Text.from_ansi(screen))
    picture = console.export_svg(title="s140", unique_id="s140")
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


if __name__ == "__main__":
    main()
