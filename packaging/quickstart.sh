#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a clone on Debian 12 to a gateway that you can watch at work:
#
#     packaging/quickstart.sh           installs, builds, starts, shows two callbacks arriving; stays, with a page to watch
#                                       further ones in a browser, until Ctrl-C
#     packaging/quickstart.sh --once    the same, then stops; exit status 0 only if both arrived
#
# Everything is on this machine alone (127.0.0.1, a port that the system picks), with secrets made for this one run, in a
# folder that is removed at the end. Only the packages (packaging/dependencies) and build/ stay.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly PATIENCE=20 # seconds that the gateway may take for anything

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '\nquickstart: %s\n' "$*" >&2; exit 1; }

build()
{
	say "Building (a minute, the first time)"
	cmake --preset release -DBELFRY_TESTS=OFF >/dev/null
	cmake --build build --target belfryd belfry -j "$(nproc)"
}

# A configuration with nothing in it that is not needed. etc/belfry.yaml explains every option.
configure()
{
	umask 077
	folder=$(mktemp -d "${TMPDIR:-/tmp}/belfry-quickstart.XXXXXX")
	printf 'CRN_%s' "$(head -c 30 /dev/urandom | base64)" >"$folder/client-secret"
	cat >"$folder/belfry.yaml" <<-EOF
		listen:
		  - address: 127.0.0.1:0             # the system picks the port
		sources:
		  cronofy:                           # answers at /callbacks/cronofy
		    secrets:
		      - file: $folder/client-secret  # of your Cronofy application; here: made up
		subscribers:
		  anonymous: true                    # no tokens: only for trying things out on one machine
		journal:
		  sqlite: {path: $folder/journal.db}
	EOF
	export BELFRY_CONFIG=$folder/belfry.yaml
}

# Starts a command whose output can be read line by line from descriptor $1.
start_reading()
{
	local descriptor=$1
	shift
	rm -f "$folder/pipe"
	mkfifo "$folder/pipe"
	"$@" >"$folder/pipe" 2>&1 3>&- 4>&- &
	eval "exec $descriptor<\"\$folder/pipe\""
}

start_gateway()
{
	local line
	start_reading 3 build/core/belfryd --config "$folder/belfry.yaml"
	gateway=$!
	while read -r -t $PATIENCE -u 3 line; do
		printf '    gateway: %s\n' "$line"
		[[ $line =~ listening.*address=\"?(127\.0\.0\.1:[0-9]+) ]] && address=${BASH_REMATCH[1]}
		[[ $line =~ \ ready ]] && return
	done
	fail "the gateway did not start"
}

start_listening()
{
	local line
	start_reading 4 build/core/cli/belfry listen --url "http://$address/subscribe"
	listener=$!
	read -r -t $PATIENCE -u 4 line || fail "belfry listen did not start"
	printf '    %s\n' "$line"
}

# Sends one of the provider's callbacks and waits until the listener has it.
send_and_see()
{
	local line
	say "Cronofy sends $1"
	build/core/cli/belfry send "$1" --url "http://$address/callbacks/cronofy" | sed 's/^/    /' || fail "it was refused"
	while read -r -t $PATIENCE -u 4 line; do
		printf '    the subscriber sees: %s\n' "$line"
		[[ $line == *"$1"* ]] && return
	done
	fail "$1 did not arrive"
}

stop_gateway()
{
	kill -TERM "$gateway"
	wait "$gateway" || fail "the gateway did not stop cleanly"
	gateway=
}

clean_up()
{
	local process
	for process in ${listener:-} ${gateway:-}; do
		kill "$process" 2>/dev/null && wait "$process" 2>/dev/null
	done
	[ -z "${folder:-}" ] || rm -rf "$folder"
}

tell_what_to_try()
{
	cat <<-EOF

		Both arrived. Watch the next ones in a browser:

		    http://$address/subscribe

		In another terminal, in this folder, have some sent (and one that is refused):

		    export BELFRY_CONFIG=$BELFRY_CONFIG
		    build/core/cli/belfry send mixed_interactions --url http://$address/callbacks/cronofy
		    build/core/cli/belfry send change --bad-signature --url http://$address/callbacks/cronofy

		Without a browser:

		    build/core/cli/belfry listen --url http://$address/subscribe --after earliest
		    curl http://$address/events
		    build/core/cli/belfry help

		The gateway runs until you press Ctrl-C. What it says:

	EOF
}

main()
{
	[ $# = 0 ] || [ "$*" = --once ] || fail "usage: packaging/quickstart.sh [--once]"
	packaging/install-dependencies.sh build run
	build
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	configure
	say "Starting a gateway with the configuration in $folder"
	start_gateway
	say "Listening to it, as your application would"
	start_listening
	send_and_see conferencing_failing
	send_and_see conferencing_assigned
	if [ "$*" = --once ]; then
		stop_gateway
		say "Both arrived, and the gateway has stopped cleanly."
	else
		tell_what_to_try
		cat <&3
	fi
}

main "$@"
