#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes every parser, several at the same time:
#
#     tests/fuzz/run.sh MINUTES [TARGET...]
#
# Each target has so many minutes of a core, from its seeds and from what earlier runs found (build-fuzz/corpus/). Prints what
# each did. A finding is left in build-fuzz/findings/: mend it, and keep it as a seed under tests/fuzz/corpus/.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
readonly PROGRAMS=build-fuzz/tests/fuzz CORPUS=build-fuzz/corpus FINDINGS=build-fuzz/findings
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1

fail() { echo "tests/fuzz/run.sh: $*" >&2; exit 2; }

# In steps, until the target has had its time: a core that others want, too, gives it less than the clock says.
fuzz()
{
	local target=$1 log=$FINDINGS/$1.log spent=0 runs=0 status=0
	mkdir -p "$CORPUS/$target"
	: >"$log"
	while [ $spent -lt $((minutes * 60)) ] && [ $status = 0 ]; do
		{ TIMEFORMAT='cpu %U %S'; time "$PROGRAMS/fuzz_$target" -max_total_time=60 -timeout=120 -print_final_stats=1 \
			-artifact_prefix="$FINDINGS/$target-" "$CORPUS/$target" "tests/fuzz/corpus/$target"; } >"$log.step" 2>&1
		status=$?
		cat "$log.step" >>"$log"
		spent=$((spent + $(awk '/^cpu / { print int($2 + $3 + 0.5) }' "$log.step")))
		runs=$((runs + $(awk '/^stat::number_of_executed_units/ { print $2 }' "$log.step")))
	done
	rm -f "$log.step"
	printf '%-12s %7d s of CPU, %12d runs, %6d inputs kept%s\n' "$target" $spent $runs \
		"$(find "$CORPUS/$target" -type f | wc -l)" "$([ $status = 0 ] || echo "  FOUND SOMETHING: $log")"
	return $status
}

minutes=${1:-}
[[ $minutes =~ ^[1-9][0-9]*$ ]] || fail "usage: tests/fuzz/run.sh MINUTES [TARGET...]"
shift
cmake --preset fuzz >/dev/null && cmake --build build-fuzz --target tests/fuzz/all -j "$(nproc)" >/dev/null || fail "does not build"
mkdir -p "$FINDINGS"
[ $# -gt 0 ] || set -- $(basename -a "$PROGRAMS"/fuzz_* | sed -n 's/^fuzz_\([a-z]*\)$/\1/p' | grep -v canary)
for target; do
	[ -x "$PROGRAMS/fuzz_$target" ] || fail "no such target: $target"
done
failed=0
for target; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n || failed=1
	done
	fuzz "$target" &
done
while [ -n "$(jobs -p)" ]; do
	wait -n || failed=1
	jobs >/dev/null
done
exit $failed
