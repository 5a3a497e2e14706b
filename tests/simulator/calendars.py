# SPDX-License-Identifier: Apache-2.0
"""The calendar providers: events are written to them; some make a conference of their own while they write one."""

import itertools


class CalendarProvider:
    def __init__(self, name, integrated=None):
        self.name = name
        self.integrated = integrated  # what their own conferences are called; None: they have none
        self.gives_links = True  # False: as when the user's licence was removed
        self._numbers = itertools.count(1)

    def write(self, calendar, event, conferencing, wants_link=False):
        """Writes the event; the conference that the provider itself made for it, if one was wanted and it could."""
        if wants_link and self.integrated and self.gives_links:
            conferencing = {
                "provider_name": self.integrated,
                "join_url": f"https://{self.name}.example/meet/{next(self._numbers)}",
            }
        calendar.written[event["event_id"]] = {**event, "conferencing": conferencing}
        return conferencing


def well_known():
    """What an integrated conference's provider is called is a choice of ours: any name must pass."""
    return {
        "google": CalendarProvider("google", "google_meet_api"),
        "office365": CalendarProvider("office365", "ms_teams"),
        "apple": CalendarProvider("apple"),
    }


class Calendar:
    def __init__(self, calendar_id, provider, is_readonly=False):
        self.calendar_id = calendar_id
        self.provider = provider
        self.is_readonly = is_readonly
        self.written = {}  # what the calendar's owner sees, by event id
