#!/usr/bin/env bash
# Everything that must hold before a change lands: checks, then the tests that decide, as many processes as cores.
# --all adds the long ones (torture, soak, Spark clusters, whole notebooks, long fuzzing, the wheel, the lowest versions).
# Other arguments go to pytest: bash scripts/test.sh tests/data -k split
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/setup.sh" offline,dev

all=
if [ "${1:-}" = --all ]; then
  all=yes
  shift
fi
# A process of one thread for each core: processes of several threads each slow one another down by spinning.
export OMP_NUM_THREADS=1
workers=(-n auto --maxprocesses 8 --dist worksteal)

bash scripts/check.sh
pytest "${workers[@]}" -m "not long" "$@"
if [ "$all" ]; then
  pytest "${workers[@]}" -m long "$@"
  bash scripts/minimal.sh
fi
