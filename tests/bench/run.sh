#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Belfry beside its yardstick (tests/bench/README.md):
#
#     tests/bench/run.sh [--smoke] [--repetitions N] [--rounds N] [--seconds S] [ROW...]
#
# Prints the table and, unless rows are named, draws build-bench/fan-out.svg. Needs a machine that does nothing else.
# Exit status 0 if every figure is reached.
set -euo pipefail
cd "$(dirname "$0")/../.."

packaging/install-dependencies.sh build run bench >&2
cmake --preset release -B build-bench -DBELFRY_BENCH=ON -DBELFRY_TESTS=OFF -DBELFRY_WERROR=ON >/dev/null
cmake --build build-bench -j "$(nproc)" >/dev/null
plot=(--plot build-bench/fan-out.svg)
for word; do
	[[ $word == -* || $word =~ ^[0-9.]+$ ]] || plot=()
done
ulimit -n "$(ulimit -Hn)"
exec /usr/bin/python3 tests/bench/bench.py "${plot[@]}" "$@"
