#!/usr/bin/env bash
# Known vulnerabilities in the packages that constraints.txt pins. Asks PyPI's JSON interface; -s osv asks osv.dev.
# Not part of CI: it needs the network, and finds what was found since, not what a change did. Arguments go to pip-audit.
# Exit codes: 0: none is known; 1: some are, or a package could not be asked about (which is said, and counts as a failure).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

tool=$(mktemp -d)
trap 'rm -rf "$tool"' EXIT
python3 -m venv "$tool"
"$tool/bin/pip" install --quiet --disable-pip-version-check 'pip-audit>=2.10'
# --strict: without it a package that could not be asked about is left out, and the answer is still 0.
"$tool/bin/pip-audit" -r constraints.txt --no-deps --disable-pip --strict --progress-spinner off "$@"
echo "$(grep -c '==' constraints.txt) packages asked about: no known vulnerability"
