#!/usr/bin/env bash
# Sourced by the other scripts: makes .venv with the pinned package and the extras in $1, or reuses it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=$1
python=${PYTHON:-}
for candidate in $python python3.11 python3.12 python3.13 python3; do
  if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    python=$candidate
    break
  fi
done
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
  echo "Python 3.11 or newer is needed. Install it, or pass its path: PYTHON=/path/to/python bash $0" >&2
  exit 1
fi

stamp=.venv/installed-$extras
wanted=$(cat pyproject.toml constraints.txt | "$python" -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())')
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
  echo "installing into .venv (once; some minutes) …" >&2
  # One that was cut off while it was made, or that another tool made, has no pip; nothing in it is removed.
  .venv/bin/python -m pip --version >/dev/null 2>&1 || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extras]"
  echo "$wanted" > "$stamp"
fi
export PATH="$PWD/.venv/bin:$PATH"
# The filter that .gitattributes names; each clone needs its own.
if [ -e .git ] && [ -x .venv/bin/nbstripout ]; then
  git config filter.nbstripout.clean "$(printf %q "$PWD/.venv/bin/nbstripout")"
  git config filter.nbstripout.extrakeys "$(tr '\n' ' ' < scripts/colab/stripped_keys.txt)"
fi
