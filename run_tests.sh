#!/usr/bin/env bash
# Everything that must hold: lint, unit tests, and every notebook executed and compared with its committed outputs.
#
#   ./run_tests.sh                  all of it, on two workers, each notebook and each file of tests on one of them
#   ./run_tests.sh tests/model      a part; further options go to pytest (-n 0: one process)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
set_up_environment
exec pytest --nbval -n 2 --dist loadfile "$@"
