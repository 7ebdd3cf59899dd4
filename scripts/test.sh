#!/usr/bin/env bash
# Everything that must hold before a change lands. Arguments go to pytest: bash scripts/test.sh -m "not slow"
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/setup.sh" offline,dev

bash scripts/check.sh
pytest "$@"
