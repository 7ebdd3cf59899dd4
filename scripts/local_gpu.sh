#!/usr/bin/env bash
# The real job on your own GPU: installs, reports what the machine has and how long the job takes, and trains, or resumes
# a run that was stopped. Flags of a recipe go to both, for example: bash scripts/local_gpu.sh --dataset stanford
# S140_RUN names another run directory than runs/local-8gb. With --quickstart as the first argument it runs
# scripts/quickstart.sh where there is no GPU.
# Exit codes: those of s140; 3: there is no NVIDIA GPU here.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
run=${S140_RUN:-runs/local-8gb}
again="${S140_RUN:+S140_RUN=$(printf %q "$run") }bash scripts/local_gpu.sh$([ $# = 0 ] || printf ' %q' "$@")"

gpus=$(nvidia-smi -L 2>/dev/null || true)
if [ "${gpus#GPU }" = "$gpus" ]; then
  if [ "${1:-}" = --quickstart ]; then
    exec bash "$here/quickstart.sh"
  fi
  cat >&2 <<END
There is no NVIDIA GPU here, or its driver is not installed: nvidia-smi lists none. Nothing was installed.
  with a GPU      install its driver (nvidia.com/drivers; on Ubuntu: sudo ubuntu-drivers install), reboot, try again
  in WSL          install the driver in Windows, not in WSL; then nvidia-smi works there too
  without a GPU   bash scripts/quickstart.sh, or bash scripts/local_gpu.sh --quickstart: all steps on a small sample, on a CPU
END
  exit 3
fi
if [ "${1:-}" = --quickstart ]; then shift; fi

# PyPI's torch for Linux is the CUDA build, so that constraints.txt pins it as it is.
# shellcheck source=scripts/setup.sh
. "$here/setup.sh" offline

if ! python -c 'import sys, torch; sys.exit(torch.version.cuda is None)'; then
  echo "torch in .venv is a CPU build; getting the CUDA build …" >&2
  version=$(sed -n 's/^torch==//p' constraints.txt)
  python -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "torch==$version"
  python -m pip install --quiet --disable-pip-version-check -c constraints.txt "torch==$version"
fi

if [ -f "$run/recipe.yaml" ] && [ -f "$run/metrics.json" ]; then
  echo "The run in $run is finished. Start another one: S140_RUN=runs/another bash scripts/local_gpu.sh" >&2
else
  if [ -f "$run/recipe.yaml" ] && [ -f "$run/environment.json" ]; then
    echo "resuming the unfinished run in $run …" >&2
  else
    s140 doctor --recipe local-8gb --output-dir "$run" "$@"
    echo
  fi
  echo "Ctrl-C stops it with a checkpoint; to resume from there: $again" >&2
  # An unfinished run is resumed; with other flags than it was started with, it is refused and the differences are listed.
  s140 train --recipe local-8gb --output-dir "$run" "$@"
fi
cat <<END

Activate the tool:        source .venv/bin/activate
Ask the model:            s140 predict $run "what a lovely surprise" "my phone died again"
Another machine, recipe:  s140 recipes cp local-8gb mine.yaml; s140 doctor --recipe mine.yaml
Publish:                  s140 push-to-hub $run --repo-id you/model --dry-run
END
