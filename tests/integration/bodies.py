# SPDX-License-Identifier: Apache-2.0
"""Every kind of callback that the provider sends: the bytes, and the interactions that Belfry reads out of them.

The two long ones are as its documentation prints them; the others are made after its description. Each has an event id
of its own where it has one, so that none is another one's duplicate.
"""

import json

ASSIGNED = b"""{
  "notification": {
    "type": "event_subscription",
    "interactions": [
      {
        "type": "conferencing_assigned"
      }
    ]
  },
  "event": {
    "event_id": "qTtZdczOccgaPncGJaCiLg",
    "summary": "Board meeting",
    "description": "Discuss plans for the next quarter.",
    "start": "2026-04-27T15:30:00Z",
    "end": "2026-04-27T17:00:00Z",
    "conferencing": {
      "provider_name": "zoom",
      "join_url": "https://zoom.us/00001111-222"
    }
  }
}
"""

FAILING = b"""{
  "notification": {
    "type": "event_subscription",
    "interactions": [
      {
        "type": "conferencing_failing",
        "subtype": "profile_missing"
      }
    ]
  },
  "event": {
    "event_id": "qTtZdczOccgaPncGJaCiLg",
    "summary": "Board meeting",
    "description": "Discuss plans for the next quarter.",
    "start": "2026-04-27T15:30:00Z",
    "end": "2026-04-27T17:00:00Z"
  }
}
"""


def _interactions(*pairs):
    return [{"type": pair[0]} if len(pair) == 1 else {"type": pair[0], "subtype": pair[1]} for pair in pairs]


def _subscription(name, *pairs, **event):
    interactions = _interactions(*pairs)
    body = {
        "notification": {"type": "event_subscription", "interactions": interactions},
        "event": {"event_id": name, "summary": "Board meeting", **event},
    }
    return name, json.dumps(body).encode(), interactions or _interactions(("event_subscription",))


def _notification(kind, **rest):
    return kind, json.dumps({"notification": {"type": kind}, **rest}).encode(), _interactions((kind,))


def _odd(name, text, *pairs):
    return name, text.encode(), _interactions(*(pairs or [("unknown",)]))


_ASSIGNED_PAIR = ("conferencing_assigned",)
_MISSING_PAIR = ("conferencing_failing", "profile_missing")
_EVENT = '"event":{"event_id":"%s"'

# name, body, interactions
BODIES = [
    ("assigned as documented", ASSIGNED, _interactions(_ASSIGNED_PAIR)),
    ("failing as documented", FAILING, _interactions(_MISSING_PAIR)),
    _subscription("missing-meeting-url", ("conferencing_failing", "missing_meeting_url")),
    _subscription("no-subtype", ("conferencing_failing",)),
    _subscription("subtype-not-yet-known", ("conferencing_failing", "moon_in_the_way")),
    _subscription("no-interaction"),
    _subscription("two-subtypes", _MISSING_PAIR, ("conferencing_failing", "missing_meeting_url")),
    _subscription("mixed", _ASSIGNED_PAIR, _MISSING_PAIR),
    _subscription("pending", ("conferencing_failing",), conferencing={"pending": True}),
    _subscription("go-to", _ASSIGNED_PAIR, conferencing={"provider_name": "go_to", "join_url": "https://x.example/1"}),
    _subscription("teams", _ASSIGNED_PAIR, conferencing={"provider_name": "ms_teams", "join_url": "https://x.example"}),
    _subscription("new-provider", _ASSIGNED_PAIR, conferencing={"provider_name": "?", "join_url": "https://x.example"}),
    _subscription("dates", _ASSIGNED_PAIR, start="2026-04-27", end="2026-04-28"),
    _subscription("zoned", _ASSIGNED_PAIR, start={"time": "2026-04-27T15:30:00+02:00", "tzid": "Europe/Berlin"}),
    _subscription("unicode", _ASSIGNED_PAIR, summary="Größe \u202e \uffff \U0001f514 a\u0300\u0301\u0302\u0303 \x00"),
    _notification("verification"),
    _notification("change", changes_since="2026-04-27T15:30:00Z", channel={"channel_id": "chn_1"}),
    _notification("profile_disconnected", profile_id="pro_1"),
    _notification("conferencing_profile_disconnected", profile_id="pro_1"),
    _notification("profile_initial_sync_completed"),
    _notification("gdpr_requested"),
    _notification("smart_invite", smart_invite={"smart_invite_id": "inv_1", "reply": {"status": "accepted"}}),
    _notification("scheduling_request_time_chosen"),
    _notification("scheduling_conversation_joined"),
    _notification("scheduling_conversation_updated"),
    _notification("meeting_agent_activated", meeting_agent={"id": "mag_1"}),
    _notification("meeting_agent_complete", meeting_agent={"id": "mag_1"}),
    _notification("meeting_agent_failed", meeting_agent={"id": "mag_1"}),
    # no notification at all
    _odd("real-time scheduling", "{" + _EVENT % "rts" + '},"participants":[{"status":"accepted"}],"user":{"id":"u"}}'),
    _odd("enterprise connect", '{"authorization":{"code":"abc"}}'),
    _odd("enterprise connect refused", '{"authorization":{"error":"access_denied","error_description":"no"}}'),
    # good JSON that nobody promised
    _odd("empty object", "{}"),
    _odd("white space", ' \t{ \n"notification" :\t{ "type"\n:"change" } } \n', ("change",)),
    _odd("CRLF", '{\r\n"notification":\r\n{"type":"change"},"x":"crlf"\r\n}\r\n', ("change",)),
    _odd("escapes", r'{"notification":{"type":"ch\u0061nge"},"x":"\/\u00e9\ud83d\udd14\"\\\b"}', ("change",)),
    _odd(
        "odd text",
        '{"event":{"summary":"\\u0000 \\u202e \u202e \\uffff \uffff \U0001f514 a' + "\u0300\u0301" * 500 + '"}}',
    ),
    _odd("event first", "{" + _EVENT % "first" + '},"notification":{"interactions":[{"type":"a"}]}}', ("a",)),
    _odd("numbers", '{"x":[1e308,9223372036854775808,-0,1e-400,1e400,' + "7" * 400 + "]}"),
    _odd("notification is a list", '{"notification":[]}'),
    _odd("event id is a number", '{"notification":{"type":"change"},"event":{"event_id":7}}', ("change",)),
    _odd("event is null", '{"notification":{"type":"change"},"event":null}', ("change",)),
    _odd("an interaction without type", '{"notification":{"type":"t","interactions":[{},7,{"type":"a"}]}}', ("a",)),
    _odd("unknown keys", '{"notification":{"type":"change","new":{"a":[]}},"newer":[[[]]]}', ("change",)),
    _odd("32 deep", '{"x":' + "[" * 31 + "]" * 31 + "}"),
    _odd("a long string", '{"x":"' + "bell " * 20000 + '"}'),
]

# name, body: authentic, but nothing that could be pushed
MALFORMED = [
    ("empty", b""),
    ("text", b"ding dong"),
    ("null", b"null"),
    ("a list", b"[]"),
    ("a string", b'"{}"'),
    ("bad UTF-8", b'{"x":"\xff"}'),
    ("a byte order mark", b"\xef\xbb\xbf{}"),
    ("NaN", b'{"x":NaN}'),
    ("trailing bytes", b"{} x"),
    ("two objects", b"{}{}"),
    ("cut", b'{"notification":{'),
    ("a lone surrogate", b'{"x":"\\ud800"}'),
    ("NUL in a key", b'{"a\\u0000b":1}'),
    ("a NUL byte behind it", b"{}\x00"),
    ("a key twice", b'{"notification":{"type":"a"},"notification":{"type":"b"}}'),
    ("33 deep", b'{"x":' + b"[" * 32 + b"]" * 32 + b"}"),
    ("2048 deep", b"[" * 2048 + b"]" * 2048),
    ("brackets without end", b"[" * 200000),
    ("braces without end", b'{"a":' * 40000),
]
