#!/usr/bin/env bash
# Formatter, linter, types, import rules, notebooks without outputs.
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh" offline,dev

ruff format --check .
ruff check .
mypy
lint-imports --no-logo
nbstripout --verify --extra-keys "$(tr '\n' ' ' < scripts/colab/stripped_keys.txt)" scripts/*/*.ipynb
