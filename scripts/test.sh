#!/usr/bin/env bash
# Everything that must pass before a change lands: checks, then the default tests, in one process more than cores.
# --all adds the long ones (torture, soak, Spark clusters, whole notebooks, long fuzzing, the wheel, the lowest versions).
# Other arguments go to pytest: bash scripts/test.sh tests/data -k split
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/setup.sh" offline,dev

all=
if [ "${1:-}" = --all ]; then
  all=yes
  shift
fi
# One thread for each process, because processes with several threads slow each other down. One process more than
# cores, because tests also wait for servers and disks.
export OMP_NUM_THREADS=1
workers=(-n "$(python -c 'import os; print(min(8, (os.cpu_count() or 1) + 1))')")

bash scripts/check.sh
pytest "${workers[@]}" --dist worksteal -m "not long" "$@"
if [ "$all" ]; then
  pytest "${workers[@]}" --dist loadfile -m long "$@"  # what is costly to begin belongs to a file
  bash scripts/minimal.sh
fi
