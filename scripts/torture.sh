#!/usr/bin/env bash
# Kills, damage, faults, dirty and hostile input, in under 20 minutes; prints what was tried, survived and lost.
# bash scripts/torture.sh [--short] [--seed N] [--only "killed at a random moment"]
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh" offline,dev

python scripts/torture.py "$@"
