# SPDX-License-Identifier: Apache-2.0
"""Cronofy, as far as a gateway sees it: what becomes of an event with conferencing.

The state machine is that of the sequence diagram in the provider's documentation; `arrows` keeps who told whom what, in
the diagram's own words. An upsert is accepted first and looked at later; everything later is a task of the clock.

Choices of ours, as the documentation does not say: how long everything takes; how often a conference is tried again;
that a failure is told once and not at each of these tries; that an event that failed for good has no "conferencing" and
one that is still being tried is "pending"; that the same upsert again makes no second conference.
"""

import threading

from . import calendars, conferencing, notifications
from .accounts import Account
from .callbacks import Callbacks
from .conferencing import ConferencingError
from .events import Event, check

APPLICATION, CRONOFY = "Your Application", "Cronofy"
CONFERENCING, CALENDAR = "Conferencing provider", "Calendar provider"


class Cronofy:
    def __init__(self, clock, client_id, client_secrets, routes=()):
        self.clock = clock
        self.client_id = client_id
        self.client_secrets = client_secrets
        self.callbacks = Callbacks(clock, client_secrets, routes)
        self.conferencing_providers = conferencing.well_known()
        self.calendar_providers = calendars.well_known()
        self.accounts = []
        self.events = {}  # (calendar id, event id) -> Event
        self.arrows = []
        self.making_takes = 1  # seconds from an upsert to the first try
        self.tries_again = [60, 300, 900, 3600, 3600]  # seconds between further ones
        self.repairs = [30, 60]  # the same for integrated conferences without a link
        self._changed = threading.Condition(threading.RLock())

    # What there is

    def add_account(self, account_id="acc_0000000000"):
        account = Account(self.clock, account_id)
        self.accounts.append(account)
        return account

    def add_calendar(self, account, calendar_id="cal_n23kjnwrw2_jsdfjksn234", provider="google", **options):
        calendar = calendars.Calendar(calendar_id, self.calendar_providers[provider], **options)
        account.calendars[calendar_id] = calendar
        return calendar

    def add_profile(self, account, profile_id, provider="zoom", **options):
        maker = self.conferencing_providers[provider]
        profile = conferencing.ConferencingProfile(profile_id, maker, f"{account.account_id}@{provider}", **options)
        account.profiles[profile_id] = profile
        return profile

    def wait_for(self, is_so):
        """Until something that requests change is so. Tests have a bound of their own."""
        with self._changed:
            self._changed.wait_for(is_so)

    # What happens

    def upsert(self, account, calendar_id, fields):
        """Checked and accepted; 202."""
        check(fields)
        key = calendar_id, fields["event_id"]
        with self._changed:
            event = self.events.setdefault(key, Event(*key))
            is_wanted = event.upsert(fields)
            if is_wanted:
                self._tell(APPLICATION, CRONOFY, "Create event with conferencing")
            self._changed.notify_all()
        version = event.version
        self.clock.after(self.making_takes, lambda: self._begin(account, event, version, is_wanted))

    def _begin(self, account, event, version, is_wanted):
        if event.version != version:
            return
        if not is_wanted or event.start() <= self.clock.now():  # the past gets no conference, and nobody is told
            self._write(account, event)
        elif event.wish["profile_id"] == "integrated":
            self._integrate(account, event, version, self.repairs)
        elif event.wish["profile_id"] == "explicit":
            details = {"provider_name": event.wish["provider_description"], "join_url": event.wish["join_url"]}
            self._assign(account, event, details)
        else:
            self._make(account, event, version)

    def _profile(self, account, event):
        wanted = event.wish["profile_id"]
        return account.default_profile() if wanted == "default" else account.profiles.get(wanted)

    def _make(self, account, event, version):
        profile = self._profile(account, event)
        if profile is None:
            self._write(account, event)
            self._push(event, "conferencing_failing", "profile_missing")
            return
        self._tell(CRONOFY, CONFERENCING, "Create conference")
        try:
            self._assign_made(account, event, profile.provider.create_conference(profile))
        except ConferencingError:
            self._tell(CONFERENCING, CRONOFY, "Error")
            event.conferencing = {"pending": True}
            self._write(account, event)
            self._push(event, "conferencing_failing")
            self._try_later(account, event, version, self.tries_again)

    def _try_later(self, account, event, version, pauses):
        if pauses:
            self.clock.after(pauses[0], lambda: self._try_again(account, event, version, pauses[1:]))

    def _try_again(self, account, event, version, pauses):
        profile = self._profile(account, event)
        if event.version != version or profile is None:
            return
        self._tell(CRONOFY, CONFERENCING, "Retry create conference")
        try:
            self._assign_made(account, event, profile.provider.create_conference(profile))
        except ConferencingError:
            self._tell(CONFERENCING, CRONOFY, "Error")
            self._try_later(account, event, version, pauses)

    def _assign_made(self, account, event, details):
        self._tell(CONFERENCING, CRONOFY, "Conference details")
        self._assign(account, event, details)

    def _assign(self, account, event, details):
        event.conferencing = details
        self._write(account, event)
        self._push(event, "conferencing_assigned")

    def _integrate(self, account, event, version, pauses):
        if event.version != version:
            return
        if self._write(account, event, wants_link=True):
            self._push(event, "conferencing_assigned")
        elif pauses:
            self.clock.after(pauses[0], lambda: self._integrate(account, event, version, pauses[1:]))
        else:
            self._push(event, "conferencing_failing", "missing_meeting_url")

    def _write(self, account, event, wants_link=False):
        calendar = account.calendars[event.calendar_id]
        fields = {**event.fields, "calendar_id": event.calendar_id}
        details = calendar.provider.write(calendar, fields, event.conferencing, wants_link)
        if wants_link:
            event.conferencing = details
        self._tell(CRONOFY, CALENDAR, f"Write event {'with' if event.has_link() else 'without'} conference")
        return event.has_link()

    def _push(self, event, *interaction):
        """To every subscription of the event that asks for this type."""
        self.push(event, [interaction if len(interaction) == 2 else interaction[0]])

    def push(self, event, interactions):
        """Tests may push what the state machine never would: several at once, subtypes that nobody knows yet."""
        types = [each if isinstance(each, str) else each[0] for each in interactions]
        body = notifications.event_subscription(interactions, event.told())
        for subscription in event.subscriptions:
            if any({"type": kind} in subscription["interactions"] for kind in types):
                self._tell(CRONOFY, APPLICATION, types[0])
                self.callbacks.send(subscription["uri"], body)

    def _tell(self, sender, receiver, what):
        with self._changed:
            self.arrows.append((sender, receiver, what))
