#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a clone on Debian 12 to a gateway that you can watch at work:
#
#     packaging/quickstart.sh           installs, builds, starts; an event gets its conference in spite of a profile that is
#                                       missing; stays, with a booking page to try in a browser, until Ctrl-C
#     packaging/quickstart.sh --once    the same, then stops; exit status 0 only if everything arrived
#
# Everything is on this machine alone (127.0.0.1, ports that the system picks): Cronofy, Slack and the mailbox are
# simulated (tests/simulator); the booking page and its backend are core/web/example. Secrets are made for this one run,
# in a folder that is removed at the end. Only the packages (packaging/dependencies) and build/ stay; BELFRY_BUILD names
# another folder for the latter.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly BUILD=${BELFRY_BUILD:-build}
readonly PATIENCE=20 # seconds that anybody may take for anything
readonly PUBLIC_URL=https://gateway.example.com

say() { printf '\n==> %s\n' "$*"; }
fail() { printf '\nquickstart: %s\n' "$*" >&2; exit 1; }

build()
{
	say "Building (a minute, the first time)"
	umask 022 # a plugin that others could change is not run
	cmake --preset release -B "$BUILD" -DBELFRY_TESTS=OFF >/dev/null
	cmake --build "$BUILD" --target belfryd belfry belfry-handler plugin_retry_profile plugin_slack plugin_email \
		-j "$(nproc)"
}

make_secrets()
{
	umask 077
	folder=$(mktemp -d "${TMPDIR:-/tmp}/belfry-quickstart.XXXXXX")
	printf 'CRN_%s' "$(head -c 30 /dev/urandom | base64 -w 0)" >"$folder/client-secret"
	head -c 30 /dev/urandom | base64 -w 0 >"$folder/tag-key"
	head -c 30 /dev/urandom | base64 -w 0 >"$folder/token-secret"
}

# Starts a command whose output can be read line by line from descriptor $1.
start_reading()
{
	local descriptor=$1
	shift
	rm -f "$folder/pipe"
	mkfifo "$folder/pipe"
	"$@" >"$folder/pipe" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- &
	eval "exec $descriptor<\"\$folder/pipe\""
}

# Runs a program that serves until its input ends: with this script.
tied() { tail --pid=$$ -f /dev/null | "$@"; }

# The value of a text in a line of JSON.
value_of() { sed -n "s|.*\"$1\": \"\([^\"]*\)\".*|\1|p" <<<"$2"; }

start_world()
{
	local line
	start_reading 5 tied python3 tests/simulator --client-secret-file "$folder/client-secret" \
		--profile pro_backup=zoom --pace 2
	read -r -t $PATIENCE -u 5 line || fail "the simulator did not start"
	cronofy=$(value_of url "$line") calendar=$(value_of calendar_id "$line")
	value_of access_token "$line" >"$folder/access-token"
	value_of refresh_token "$line" >"$folder/refresh-token"
	start_reading 6 tied python3 tests/simulator/people.py
	read -r -t $PATIENCE -u 6 line || fail "Slack and the mailbox did not start"
	mail=$(value_of mail "$line")
	value_of slack "$line" >"$folder/slack-url"
	start_reading 7 tied python3 core/web/example/backend.py "$folder/site.json"
	read -r -t $PATIENCE -u 7 line || fail "the booking page did not start"
	site=$(value_of url "$line")
}

# What the booking page's backend has to know (core/web/example/backend.py).
configure_site()
{
	cat >"$folder/site.json" <<-EOF
		{
		  "gateway": "http://$address",
		  "token_secret": "$folder/token-secret",
		  "profiles": {"teams": "pro_removed", "zoom": "pro_backup"},
		  "upsert": ["$BUILD/core/cli/belfry", "upsert", "--config", "$folder/belfry.yaml", "--api", "$cronofy",
		             "--calendar", "$calendar", "--token-file", "$folder/access-token"]
		}
	EOF
	curl --silent --fail --output /dev/null "$site/token" || fail "the booking page does not work"
}

# A configuration with nothing in it that is not needed. etc/belfry.yaml explains every option.
configure()
{
	cat >"$folder/belfry.yaml" <<-EOF
		listen:
		  - address: 127.0.0.1:0             # the system picks the port
		admin: {address: 127.0.0.1:0}        # the operator's page
		sources:
		  cronofy:                           # answers at /callbacks/cronofy
		    public_url: $PUBLIC_URL          # where the provider believes it to be
		    secrets:
		      - file: $folder/client-secret  # of your Cronofy application; here: made up
		    tags: {keys: [{file: $folder/tag-key}]}
		subscribers:
		  tokens: {keys: [{file: $folder/token-secret}]}  # the booking page's backend issues them
		  origins: ["$site"]                 # whose pages may come
		  outcomes: true                     # they see what handlers did
		journal:
		  sqlite: {path: $folder/journal.db}
		plugins:                             # here: where they are built
		  program: $PWD/$BUILD/core/host/belfry-handler
		handlers:
		  next-profile:
		    plugin: $PWD/$BUILD/plugins/retry_profile/retry_profile.so
		    allow: [inner]                   # the simulator is on this machine
		    options:
		      api_url: $cronofy
		      profiles: [pro_backup]
		      accounts: {demo: {file: $folder/refresh-token}}
		      client_id: client
		      client_secret: {file: $folder/client-secret}
		  team-slack:
		    plugin: $PWD/$BUILD/plugins/slack/slack.so
		    allow: [inner]
		    options:
		      webhook_url: {file: $folder/slack-url}
		      text: "{{ .event.summary }} has its conference"
		      link: "{{ .event.conferencing.join_url }}"
		  on-call:
		    plugin: $PWD/$BUILD/plugins/email/email.so
		    options:
		      server: $mail
		      tls: none                      # the mailbox is on this machine
		      from: belfry@example.com
		      to: [on-call@example.com]
		      subject: "No conference for {{ .event.summary }}"
		      text: "The next profile is tried."
		interactions:
		  conferencing_failing: [on-call, next-profile]
		  conferencing_assigned: [team-slack, next-profile]
	EOF
	export BELFRY_CONFIG=$folder/belfry.yaml
	"$BUILD/core/cli/belfry" token --expires 7d >"$folder/token" || fail "no token could be made"
}

start_gateway()
{
	local line
	start_reading 3 "$BUILD/core/belfryd" --config "$folder/belfry.yaml"
	gateway=$!
	while read -r -t $PATIENCE -u 3 line; do
		printf '    gateway: %s\n' "$line"
		if [[ $line =~ listening.*address=\"?(127\.0\.0\.1:[0-9]+).*serves=([a-z]+) ]]; then
			[ "${BASH_REMATCH[2]}" = admin ] && admin=${BASH_REMATCH[1]} || address=${BASH_REMATCH[1]}
		fi
		[[ $line =~ \ ready ]] && break
	done
	[ -n "${address:-}" ] && [ -n "${admin:-}" ] || fail "the gateway did not start"
	curl --silent --fail -X PUT "$cronofy/simulator/routes" \
		--data "{\"origin\": \"$PUBLIC_URL\", \"to\": \"http://$address\"}" || fail "the simulator does not answer"
}

start_listening()
{
	local line
	start_reading 4 "$BUILD/core/cli/belfry" listen --url "http://$address/subscribe" --token-file "$folder/token"
	listener=$!
	read -r -t $PATIENCE -u 4 line || fail "belfry listen did not start"
	printf '    %s\n' "$line"
}

# What the booking page does when somebody presses "Book".
create_event()
{
	say "Your application creates an event at Cronofy, with a conferencing profile that is missing"
	curl --silent --show-error --fail -H 'Content-Type: application/json' "$site/bookings" --data \
		"{\"title\": \"Board meeting\", \"video\": \"teams\", \"start\": \"$(date -u -d '+1 day' +%FT%TZ)\"}" |
		sed 's/^/    /; $a\' || fail "the booking page's backend could not create it"
}

# see DESCRIPTOR WHO WHAT: shows lines until one has WHAT in it
see()
{
	local line
	while read -r -t $PATIENCE -u "$1" line; do
		printf '    %s: %s\n' "$2" "$line"
		[[ $line == *"$3"* ]] && return
	done
	fail "$3 did not arrive"
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

		Book a meeting in a browser, and see what becomes of it:

		    $site

		Look at the gateway as its operator would:

		    http://$admin/

		In another terminal, in this folder, have callbacks sent (and one that is refused), or make another event:

		    export BELFRY_CONFIG=$BELFRY_CONFIG
		    $BUILD/core/cli/belfry send mixed_interactions --url http://$address/callbacks/cronofy
		    $BUILD/core/cli/belfry send change --bad-signature --url http://$address/callbacks/cronofy
		    $BUILD/core/cli/belfry upsert --api $cronofy --calendar $calendar \\
		        --token-file $folder/access-token --profile pro_removed --tag profile_id=pro_removed \\
		        --summary Lunch --start 2099-01-01T12:00:00Z --end 2099-01-01T13:00:00Z

		Without a browser:

		    $BUILD/core/cli/belfry listen --url http://$address/subscribe --token-file $folder/token --after earliest
		    curl -H "Authorization: Bearer \$(cat $folder/token)" http://$address/events
		    $BUILD/core/cli/belfry help

		The gateway runs until you press Ctrl-C. What it says:

	EOF
}

main()
{
	[ $# = 0 ] || [ "$*" = --once ] || fail "usage: packaging/quickstart.sh [--once]"
	packaging/install-dependencies.sh build run demo
	build
	trap clean_up EXIT
	trap 'exit 130' INT TERM
	make_secrets
	say "Starting Cronofy, Slack and a mailbox, simulated"
	start_world
	configure
	say "Starting a gateway with the configuration in $folder"
	start_gateway
	configure_site
	say "Listening to it, as your application would"
	start_listening
	create_event
	say "Cronofy cannot make the conference, and calls back"
	see 4 "the subscriber sees" conferencing_failing
	see 6 "somebody gets" "No conference for Board meeting"
	say "The handler next-profile has updated the event with the profile pro_backup"
	see 4 "the subscriber sees" conferencing_assigned
	see 6 "somebody gets" "Board meeting has its conference"
	if [ "$*" = --once ]; then
		stop_gateway
		say "Everything arrived, and the gateway has stopped cleanly."
	else
		tell_what_to_try
		cat <&3
	fi
}

main "$@"
