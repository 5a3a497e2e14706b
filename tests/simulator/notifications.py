# SPDX-License-Identifier: Apache-2.0
"""The bodies of callbacks, and the ways to write them.

An event_subscription is as the documentation has it. Of the other types only the type and the keys beside it are
documented; what stands inside them is a choice of ours.
"""

import json


def event_subscription(interactions, event):
    """`interactions` are types, or (type, subtype)."""
    pairs = [(each, None) if isinstance(each, str) else each for each in interactions]
    return {
        "notification": {
            "type": "event_subscription",
            "interactions": [{"type": kind} if not sub else {"type": kind, "subtype": sub} for kind, sub in pairs],
        },
        "event": event,
    }


def _notification(kind, **beside):
    return {"notification": {"type": kind}, **beside}


OTHERS = {
    "verification": _notification("verification"),
    "change": {
        "notification": {"type": "change", "changes_since": "2026-04-27T15:30:00Z"},
        "channel": {"channel_id": "chn_0000000000", "callback_url": "https://example.com/notification", "filters": {}},
    },
    "profile_disconnected": _notification("profile_disconnected"),
    "conferencing_profile_disconnected": _notification("conferencing_profile_disconnected"),
    "profile_initial_sync_completed": _notification("profile_initial_sync_completed"),
    "gdpr_requested": _notification("gdpr_requested"),
    "smart_invite": _notification("smart_invite", smart_invite={"recipient": {"email": "a@example.com"}}),
    "scheduling_request_time_chosen": _notification("scheduling_request_time_chosen"),
    "scheduling_conversation_joined": _notification("scheduling_conversation_joined"),
    "scheduling_conversation_updated": _notification("scheduling_conversation_updated"),
    "meeting_agent_activated": _notification("meeting_agent_activated", meeting_agent={"id": "mag_1"}),
    "meeting_agent_complete": _notification("meeting_agent_complete", meeting_agent={"id": "mag_1"}),
    "meeting_agent_failed": _notification("meeting_agent_failed", meeting_agent={"id": "mag_1"}),
    # without the key "notification"
    "real_time_scheduling": {
        "event": {"event_id": "rts_1", "summary": "Board meeting"},
        "participants": [{"status": "accepted"}],
        "user": {"id": "user-42"},
    },
    "authorization": {"authorization": {"code": "abcdef"}},
    "authorization_error": {"authorization": {"error": "access_denied", "error_description": "no"}},
}


def _with_unknown_keys(value):
    """As a later version of the provider may send it: more keys, on every level."""
    if isinstance(value, list):
        return [_with_unknown_keys(each) for each in value]
    if isinstance(value, dict):
        return {**{name: _with_unknown_keys(each) for name, each in value.items()}, "new": {"since": [2027, None, 1.5]}}
    return value


def _compact(value, **options):
    return json.dumps(value, separators=(",", ":"), **options)


# All of them are the same JSON (but for the last), and must be signed as the bytes that they are.
FORMS = {
    "compact": lambda value: _compact(value, ensure_ascii=False),
    "pretty": lambda value: json.dumps(value, ensure_ascii=False, indent=2) + "\n",
    "escaped": lambda value: _compact(value).replace("/", "\\/"),
    "unknown keys": lambda value: _compact(_with_unknown_keys(value), ensure_ascii=False),
}
