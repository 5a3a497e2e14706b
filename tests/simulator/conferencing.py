# SPDX-License-Identifier: Apache-2.0
"""The conferencing providers: they make a conference when Cronofy asks them to, or say that they cannot."""

import itertools


class ConferencingError(Exception):
    """The provider is down, or no longer takes the user's credentials."""


class ConferencingProvider:
    def __init__(self, name, url):
        self.name = name
        self.url = url  # of a conference, with {} for its number
        self.is_up = True
        self._numbers = itertools.count(1)

    def create_conference(self, profile):
        if not self.is_up:
            raise ConferencingError(f"{self.name} is down")
        if not profile.is_connected:
            raise ConferencingError(f"{self.name} does not know the user any more")
        return {"provider_name": self.name, "join_url": self.url.format(next(self._numbers))}


def well_known():
    """Names as the documentation has them; the URLs are a choice of ours."""
    return {
        name: ConferencingProvider(name, url)
        for name, url in {
            "zoom": "https://zoom.us/00001111-{}",
            "go_to": "https://meet.goto.com/{}",
            "ms_teams": "https://teams.microsoft.com/l/meetup-join/{}",
            "google_meet_api": "https://meet.google.com/abc-defg-{}",
        }.items()
    }


class ConferencingProfile:
    """A user's account at a provider, as Cronofy knows it."""

    def __init__(self, profile_id, provider, name, is_connected=True):
        self.profile_id = profile_id
        self.provider = provider
        self.name = name
        self.is_connected = is_connected
