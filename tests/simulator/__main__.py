# SPDX-License-Identifier: Apache-2.0
"""The simulator as a program: `python3 tests/simulator --help`."""

import argparse
import json
import pathlib
import sys

if not __package__:  # started by its folder
    sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)

from simulator import Simulator  # noqa: E402


def parse():
    parser = argparse.ArgumentParser(
        prog="simulator",
        description="Cronofy on this machine. Prints one line of JSON with all that a client needs, then serves until "
        "its standard input ends, so that it never outlives whoever started it.",
    )
    parser.add_argument("--client-secret-file", required=True, action="append", help="twice: a rotation")
    parser.add_argument("--client-id", default="client")
    parser.add_argument("--profile", action="append", default=[], metavar="ID=PROVIDER", help="a conferencing profile")
    parser.add_argument("--pace", type=float, default=1.0, help="how many times as fast as the wall's clock (1)")
    return parser.parse_args()


def main():
    wish = parse()
    secrets = [pathlib.Path(path).read_text(encoding="utf-8").strip("\n") for path in wish.client_secret_file]
    with Simulator(secrets, client_id=wish.client_id, pace=wish.pace) as cronofy:
        for profile in wish.profile:
            cronofy.add_profile(cronofy.account, *profile.split("=", 1))
        account = cronofy.account
        print(
            json.dumps(
                {
                    "url": cronofy.url,
                    "calendar_id": cronofy.calendar.calendar_id,
                    "access_token": account.access_token,
                    "refresh_token": account.refresh_token,
                    "client_id": cronofy.client_id,
                }
            ),
            flush=True,
        )
        sys.stdin.read()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
