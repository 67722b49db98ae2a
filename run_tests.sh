#!/usr/bin/env bash
# Everything that must hold: lint, unit tests, and every notebook executed and compared with its committed outputs.
#
#   ./run_tests.sh                  all of it
#   ./run_tests.sh tests/model      a part; further options go to pytest
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
source scripts/environment.sh
set_up_environment
exec pytest --nbval "$@"
