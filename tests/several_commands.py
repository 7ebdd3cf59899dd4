"""Runs command lines one after the other in this process, as if each were typed: they are read from
stdin as JSON, lists of words. Before the first, `DEFECT` may name a function, as module:function, that is to fail as a
defect would, with a text out of the environment's variable `DEFECT_SAYS`. Exit codes are printed on stderr.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading

from sentiment140_bert.cli import main


def fails(*_: object, **__: object) -> None:
    token, address = os.environ["HF_TOKEN"], os.environ["MLFLOW_TRACKING_URI"]
    thread = threading.Thread(target=lambda: {}[os.environ["WANDB_API_KEY"]])
    thread.start()
    thread.join()
    raise KeyError(f"a defect: {token!r} at {address}")


if defect := os.environ.get("DEFECT"):
    module, _, name = defect.partition(":")
    setattr(importlib.import_module(module), name, fails)
for words in json.load(sys.stdin):
    try:
        sys.argv = ["s140", *words]  # which trackers note
        main(words, prog_name="s140")
    except SystemExit as end:
        print(f"{words[0]}: exit code {end.code}", file=sys.stderr)
