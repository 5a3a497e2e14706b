# SPDX-License-Identifier: Apache-2.0
"""An event, as an upsert gives it, and as it is read again."""

import datetime
import zoneinfo

from .accounts import invalid

INTERACTIONS = ("conferencing_assigned", "conferencing_failing")
REQUIRED = ("event_id", "summary", "start", "end")


def moment(value):
    """Seconds since 1970 of a timestamp, a date, or {"time", "tzid"}: the three forms of the provider's times."""
    zone = datetime.timezone.utc
    if isinstance(value, dict):
        zone = zoneinfo.ZoneInfo(value.get("tzid", "Etc/UTC"))
        value = value["time"]
    when = datetime.datetime.fromisoformat(value)
    return (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()


def _check_time(name, value):
    try:
        return moment(value)
    except (KeyError, TypeError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        raise invalid(**{name: "no time"}) from None


def check(upsert):
    """What the provider refuses with 422. `tzid` beside the times, and all else that it checks, is taken as it is."""
    if not isinstance(upsert, dict):
        raise invalid(body="required")
    missing = {name: "required" for name in REQUIRED if upsert.get(name) in (None, "")}
    if missing:
        raise invalid(**missing)
    if _check_time("end", upsert["end"]) < _check_time("start", upsert["start"]):
        raise invalid(end="before the start")
    conferencing = upsert.get("conferencing", {"profile_id": "default"})
    if not isinstance(conferencing, dict) or not isinstance(conferencing.get("profile_id"), str):
        raise invalid(**{"conferencing.profile_id": "required"})
    if conferencing["profile_id"] == "explicit":
        lacks = {f"conferencing.{name}": "required" for name in ("provider_description", "join_url")}
        lacks = {name: problem for name, problem in lacks.items() if not conferencing.get(name.split(".")[1])}
        if lacks:
            raise invalid(**lacks)
    for subscription in upsert.get("subscriptions", []):
        _check_subscription(subscription)


def _check_subscription(subscription):
    if not isinstance(subscription, dict) or subscription.get("type") != "webhook":
        raise invalid(**{"subscriptions.type": "unknown"})
    if not str(subscription.get("uri")).startswith(("http://", "https://")):
        raise invalid(**{"subscriptions.uri": "no URI"})
    types = [interaction.get("type") for interaction in subscription.get("interactions", [])]
    if not set(types) <= set(INTERACTIONS):
        raise invalid(**{"subscriptions.interactions.type": "unknown"})


class Event:
    """`version` counts its upserts: what was begun for an older one ends."""

    def __init__(self, calendar_id, event_id):
        self.calendar_id = calendar_id
        self.event_id = event_id
        self.version = 0
        self.fields = {}  # as given, without the three below
        self.wish = None  # the `conferencing` that was asked for
        self.conferencing = None  # what came of it
        self.subscriptions = []

    def upsert(self, fields):
        """The new version, whole: what is left out is gone. For conferencing the documentation says that it stays; for
        everything else it says nothing, and the strictest is simulated."""
        fields = dict(fields)
        self.version += 1
        self.subscriptions = fields.pop("subscriptions", [])
        wish = fields.pop("conferencing", self.wish)
        if wish != self.wish:
            self.conferencing = None
        self.wish = wish
        self.fields = fields
        return wish is not None and not self.has_link()

    def has_link(self):
        return bool(self.conferencing and "join_url" in self.conferencing)

    def start(self):
        return moment(self.fields["start"])

    def told(self):
        """As a callback tells it. Without a description that is null: a choice."""
        told = {"event_id": self.event_id, "summary": self.fields["summary"]}
        told["description"] = self.fields.get("description")
        told |= {"start": self.fields["start"], "end": self.fields["end"]}
        return told | ({"conferencing": self.conferencing} if self.conferencing else {})

    def read(self):
        """As /v1/events gives it: not all of it has the form in which it was written."""
        fields = dict(self.fields)
        invited = fields.pop("attendees", {}).get("invite", [])
        return {
            "calendar_id": self.calendar_id,
            "event_uid": f"evt_external_{self.event_id}",
            **fields,
            "description": fields.get("description", ""),
            "attendees": [{"status": "needs_action", **attendee} for attendee in invited],
            "deleted": False,
            "participation_status": "accepted",
            "status": "confirmed",
            "recurring": False,
            "options": {"delete": True, "update": True, "change_participation_status": True},
            **({"conferencing": self.conferencing} if self.conferencing else {}),
        }
