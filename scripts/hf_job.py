# /// script
# requires-python = ">=3.11"
# dependencies = ["sentiment140-bert>=0.2,<0.3"]
#
# [tool.hf-jobs]
# flavor = "l4x1"
# timeout = "3h"
# secrets = ["HF_TOKEN"]
# ///
"""Train on a rented GPU, by Hugging Face Jobs: all arguments go to ``s140 train``.

hf jobs uv run scripts/hf_job.py --push-to-hub --repo-id you/model --checkpoint-repo-id you/checkpoints

The recipe is bert-base-100k unless --recipe names another one. A job's disk is lost when it ends, so only what is on
the Hub remains: --push-to-hub publishes the finished model, and with --checkpoint-repo-id the same line resumes a job
that was stopped. docs/rented_gpu.md explains it.
"""

from __future__ import annotations

import sys

from sentiment140_bert.cli import main

KEPT_BY = ("--push-to-hub", "--checkpoint-repo-id")


def run_job(arguments: list[str]) -> None:
    """Run ``s140 train`` with the defaults of a job and these arguments, of which the last of a kind counts."""
    flags = {argument.partition("=")[0].replace("_", "-") for argument in arguments}
    if flags.isdisjoint({*KEPT_BY, "--help"}):
        print(f"Neither {' nor '.join(KEPT_BY)} was given: only the log of this job will remain.", file=sys.stderr)
    main(["train", "--recipe", "bert-base-100k", *arguments], prog_name="s140")


if __name__ == "__main__":
    run_job(sys.argv[1:])
