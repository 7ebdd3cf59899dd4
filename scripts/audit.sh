#!/usr/bin/env bash
# Check the packages pinned in constraints.txt for known vulnerabilities, by PyPI's JSON API; with -s osv by osv.dev.
# Not part of CI: it needs the network, and reports new findings rather than the effect of a change. Arguments go to pip-audit.
# Exit codes: 0: no known vulnerability; 1: there are some, or a package could not be checked (its name is printed).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install --quiet --disable-pip-version-check 'pip-audit>=2.10'
# --strict: without it a package that could not be checked is skipped, and the exit code is still 0.
"$tool/bin/pip-audit" -r constraints.txt --no-deps --disable-pip --strict --progress-spinner off "$@"
echo "$(grep -c '==' constraints.txt) packages checked: no known vulnerabilities"
