#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs everything that checks Belfry, on Debian 12, and ends with one line: "N passed, N failed".
#
#     tests/run.sh              everything
#     tests/run.sh PART...      only some: layers format unit integration tsan fuzz release
#
# Packages that are missing are installed first (packaging/dependencies). The builds stay in build*/, so that the
# second run is short; logs and results are in build-results/.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8

readonly PARTS=(layers format unit integration tsan fuzz release)
readonly RESULTS=$PWD/build-results
readonly PYTHON=/usr/bin/python3 # Debian's own: it has Debian's modules
readonly JOBS=$(nproc)
n_broken=0 # steps that broke without a test to blame: builds, layers, format
prefix=()  # what tests are started with
target=all # what is built

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1
# Without TZ, glibc reads the time zone anew for each localtime() (libwebsockets logs by it), under a lock that
# ThreadSanitizer does not see.
export TZ=UTC
export TSAN_OPTIONS=second_deadlock_stack=1

# step NAME COMMAND...: silent when it works; the last lines of what it said when not.
step()
{
	local name=$1 log=$RESULTS/$1.log start=$SECONDS
	shift
	printf '%-24s ' "$name"
	if "$@" >"$log" 2>&1; then
		printf 'ok      %4d s\n' $((SECONDS - start))
		return 0
	fi
	printf 'FAILED  %4d s\n' $((SECONDS - start))
	tail -n 60 "$log" | sed 's/^/    | /'
	return 1
}

must()
{
	step "$@" || { n_broken=$((n_broken + 1)); return 1; }
}

# build PRESET [CMAKE OPTION...]: into build-PRESET, whatever the preset says
build()
{
	local preset=$1
	shift
	cmake --preset "$preset" -B "build-$preset" "$@" && cmake --build "build-$preset" --target "$target" -j "$JOBS"
}

# unit PRESET: its unit tests
unit()
{
	"${prefix[@]}" ctest --test-dir "build-$1" --output-on-failure --no-tests=error --timeout 120 -j "$JOBS" \
		--output-junit "$RESULTS/unit-$1.xml"
}

# integration PRESET MARKS: pytest against that build's binaries, several files of tests at a time, as they mostly wait
integration()
{
	BELFRYD=$PWD/build-$1/core/belfryd BELFRY=$PWD/build-$1/core/cli/belfry \
		timeout --signal=INT --kill-after=30 900 "${prefix[@]}" "$PYTHON" -m pytest tests/integration -m "$2" \
		-n $((JOBS + 1)) --dist loadfile --junitxml="$RESULTS/integration-$1.xml" --durations=15
}

# tests unit|integration PRESET...: a step that leaves its results to summarize(), unless it ended before it had any
tests()
{
	step "$1-$2" "$@" || grep -qsE '<(failure|error)' "$RESULTS/$1-$2.xml" || n_broken=$((n_broken + 1))
}

part_layers() { must layers tests/layers.py; }

part_format()
{
	must format bash -c 'find core include plugins tests -name "*.[ch]" 2>/dev/null | xargs clang-format --dry-run -Werror'
}

part_unit()
{
	must build-asan build asan && tests unit asan
}

part_integration()
{
	must build-asan build asan && tests integration asan 'not only_release'
}

part_tsan()
{
	local prefix=()
	# ThreadSanitizer cannot place its shadow memory where the kernel randomizes more bits than it knows.
	[ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -le 28 ] || prefix=(setarch --addr-no-randomize)
	must build-tsan build tsan && {
		tests unit tsan
		tests integration tsan 'not only_release and not no_tsan'
	}
}

# A few seconds for each parser, from the corpus on. What is found is left in build-results/.
fuzz()
{
	local program name
	for program in build-fuzz/tests/fuzz/fuzz_*; do
		name=${program##*/fuzz_}
		[ -x "$program" ] && [ "$name" != canary ] || continue
		mkdir -p "$RESULTS/fuzz/$name"
		"$program" -max_total_time=5 -timeout=5 -artifact_prefix="$RESULTS/fuzz/$name-" "$RESULTS/fuzz/$name" \
			"tests/fuzz/corpus/$name" || return 1
	done
}

part_fuzz()
{
	local target=tests/fuzz/all
	must build-fuzz build fuzz && tests unit fuzz && must fuzz fuzz
}

part_release()
{
	must build-release build release -DBELFRY_WERROR=ON -DBELFRY_BENCH=ON && {
		tests integration release 'release or only_release'
		must bench env BUILD=build-release "$PYTHON" tests/bench/bench.py --smoke # does it work, not: how fast
		must quickstart env BELFRY_BUILD=build-release packaging/quickstart.sh --once
	}
}

# Adds up what ctest and pytest wrote, and the steps that are no tests but broke.
summarize()
{
	"$PYTHON" - "$n_broken" "$RESULTS"/*.xml <<-'EOF'
		import sys
		import xml.etree.ElementTree as ElementTree

		failed, passed, skipped = int(sys.argv[1]), 0, 0
		for path in sys.argv[2:]:
		    try:
		        cases = list(ElementTree.parse(path).iter("testcase"))
		    except (OSError, ElementTree.ParseError):  # tests() has counted it as broken
		        continue
		    for case in cases:
		        if case.find("failure") is not None or case.find("error") is not None:
		            print("failed:", case.get("classname", ""), case.get("name"))
		            failed += 1
		        elif case.find("skipped") is not None:
		            skipped += 1
		        else:
		            passed += 1
		if skipped:
		    print(f"{skipped} skipped")
		print(f"{passed} passed, {failed} failed")
		sys.exit(failed > 0)
	EOF
}

main()
{
	local part
	[ $# -gt 0 ] || set -- "${PARTS[@]}"
	for part; do
		declare -F "part_$part" >/dev/null || { echo "usage: tests/run.sh [${PARTS[*]}]" >&2; exit 2; }
	done
	rm -rf "$RESULTS" && mkdir -p "$RESULTS" || exit 1
	step install packaging/install-dependencies.sh build run test || exit 1
	for part; do
		"part_$part"
	done
	summarize
}

main "$@"
