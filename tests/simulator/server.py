# SPDX-License-Identifier: Apache-2.0
"""The provider's API on loopback, at a port that the system picks.

Under /simulator stands what no provider has: the levers for whoever runs the simulator as a program.
"""

import collections
import http.server
import json
import re
import secrets
import threading
import time
import urllib.parse

from .accounts import Refused, invalid

MAX_BODY = 1 << 20
# An application's, as documented: requests in so many seconds.
LIMITS = {1: 50, 60: 500}


class Request:
    def __init__(self, method, target, headers, body):
        self.method = method
        url = urllib.parse.urlsplit(target)
        self.path = url.path
        self.query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        self.headers = headers
        self.body = body

    def json(self):
        try:
            return json.loads(self.body)
        except ValueError:
            raise invalid(body="no JSON") from None

    def form(self):
        """JSON, or as OAuth has it."""
        if self.headers.get_content_type() == "application/x-www-form-urlencoded":
            return dict(urllib.parse.parse_qsl(self.body.decode()))
        return self.json()

    def __repr__(self):
        return f"<{self.method} {self.path} {self.body[:300]!r}>"


class Fault:
    """What the next requests to a path are answered, instead of what is right."""

    def __init__(self, path, status, n, headers, body):
        self.path, self.status, self.n, self.headers, self.body = re.compile(path), status, n, headers, body


def is_within(event, query):
    """From one day on, and before another one. Without them the provider has bounds of its own: not simulated."""
    day = time.strftime("%Y-%m-%d", time.gmtime(event.start()))
    return query.get("from", [day])[0] <= day and ("to" not in query or day < query["to"][0])


class Server:
    def __init__(self, cronofy):
        self.cronofy = cronofy
        self.requests = []
        self.page_size = 100
        self.next_page_origin = None  # another one, to see whether somebody sends it a token; None: our own
        self.limits = dict(LIMITS)
        self._faults = []
        self._pages = {}  # name -> what is left of a reading
        self._times = collections.deque()
        self._lock = threading.RLock()
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def fail(self, path, status, n=1, headers=None, body=b""):
        """The next n requests whose path matches get this answer; 0 closes the connection without one."""
        with self._lock:
            self._faults.append(Fault(path, status, n, headers or {}, body))

    # Answers

    def answer(self, request):
        """(status, headers, body)"""
        headers = {}
        try:
            if request.path.startswith("/simulator/"):
                status, value = self._route(request, LEVERS)
            else:
                status, value = self._serve(request)
        except Refused as refused:
            status, headers, value = refused.status, refused.headers, refused.body
        if value is None:
            return status, headers, b""
        return status, headers, value if isinstance(value, bytes) else json.dumps(value).encode()

    def _serve(self, request):
        with self._lock:
            self.requests.append(request)
            self._check_faults(request)
            self._check_limits()
            return self._route(request, API)

    def _route(self, request, routes):
        for method, path, function in routes:
            match = re.fullmatch(path, request.path)
            if match and method == request.method:
                return function(self, request, *map(urllib.parse.unquote, match.groups()))
        raise Refused(404)

    def _check_faults(self, request):
        for fault in self._faults:
            if fault.n > 0 and fault.path.fullmatch(request.path):
                fault.n -= 1
                raise Refused(fault.status, fault.body, fault.headers)

    def _check_limits(self):
        """429 without Retry-After: there is none in the documentation."""
        now = self.cronofy.clock.now()
        self._times.append(now)
        while self._times[0] <= now - max(self.limits):
            self._times.popleft()
        for seconds, n in self.limits.items():
            if sum(moment > now - seconds for moment in self._times) > n:
                raise Refused(429)

    def _account(self, request, needs):
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        for account in self.cronofy.accounts:
            if scheme == "Bearer" and account.takes(token):
                account.check(needs)
                return account
        raise Refused(401)

    def _calendar(self, account, calendar_id):
        if calendar_id not in account.calendars:
            raise Refused(404)
        return account.calendars[calendar_id]

    def _upsert(self, request, calendar_id):
        account = self._account(request, "write")
        if self._calendar(account, calendar_id).is_readonly:
            raise Refused(403)
        self.cronofy.upsert(account, calendar_id, request.json())
        return 202, None

    def _events(self, request):
        account = self._account(request, "read")
        if "tzid" not in request.query:
            raise invalid(tzid="required")
        wanted = request.query.get("calendar_ids[]", account.calendars)
        # Events of an application's own are managed ones: without the word they are left out.
        managed = request.query.get("include_managed") == ["true"]
        found = [
            event.read()
            for event in self.cronofy.events.values()
            if managed and event.calendar_id in account.calendars and event.calendar_id in wanted
            if is_within(event, request.query)
        ]
        pages = [found[i : i + self.page_size] for i in range(0, len(found), self.page_size)]
        return 200, self._page(account, pages or [[]], 1)

    def _page(self, account, pages, current):
        result = {"pages": {"current": current, "total": len(pages)}, "events": pages[current - 1]}
        if current < len(pages):
            name = secrets.token_urlsafe(8)
            self._pages[name] = account, pages, current + 1
            result["pages"]["next_page"] = f"{self.next_page_origin or self.url}/v1/events/pages/{name}"
        return result

    def _next_page(self, request, name):
        account = self._account(request, "read")
        owner, pages, current = self._pages.get(name, (None, None, None))
        if owner is not account:
            raise Refused(404)
        return 200, self._page(account, pages, current)

    def _userinfo(self, request):
        account = self._account(request, "read")
        profiles = [
            {
                "provider_name": profile.provider.name,
                "profile_id": profile.profile_id,
                "profile_name": profile.name,
                "profile_connected": profile.is_connected,
                **({} if profile.is_connected else {"profile_relink_url": "https://app.cronofy.com/relink"}),
            }
            for profile in account.profiles.values()
        ]
        owned = [
            {
                "provider_name": calendar.provider.name,
                "profile_id": "pro_calendar",
                "profile_name": account.account_id,
                "profile_connected": True,
                "profile_calendars": [
                    {
                        "calendar_id": calendar.calendar_id,
                        "calendar_name": "Calendar",
                        "calendar_readonly": calendar.is_readonly,
                        "calendar_deleted": False,
                        "calendar_primary": True,
                        "permission_level": "sandbox",
                    }
                ],
            }
            for calendar in account.calendars.values()
        ]
        data = {"authorization": {"scope": account.scope}, "conferencing_profiles": profiles, "profiles": owned}
        return 200, {"sub": account.account_id, "cronofy.type": "account", "cronofy.data": data}

    def _token(self, request):
        """Errors are 400, whatever they are."""
        form, cronofy = request.form(), self.cronofy
        if form.get("client_id") != cronofy.client_id or form.get("client_secret") not in cronofy.client_secrets:
            raise Refused(400, {"error": "invalid_client"})
        if form.get("grant_type") != "refresh_token":
            raise Refused(400, {"error": "unsupported_grant_type"})
        for account in self.cronofy.accounts:
            if account.refresh_token is not None and form.get("refresh_token") == account.refresh_token:
                return 200, account.issue()
        raise Refused(400, {"error": "invalid_grant"})

    # Levers

    def _advance(self, request):
        self.cronofy.clock.advance(float(request.json()["seconds"]))
        return 204, None

    def _set_profile(self, request, profile_id):
        """Made if there is none; "connected": false is as when the user's password has changed."""
        wish, account = request.json(), self.cronofy.accounts[0]
        profile = account.profiles.get(profile_id)
        if profile is None:
            profile = self.cronofy.add_profile(account, profile_id, wish.get("provider", "zoom"))
        profile.is_connected = wish.get("connected", True)
        return 204, None

    def _remove_profile(self, _request, profile_id):
        if self.cronofy.accounts[0].profiles.pop(profile_id, None) is None:
            raise Refused(404)
        return 204, None

    def _fail(self, request):
        wish = request.json()
        self.fail(wish["path"], wish["status"], wish.get("n", 1), wish.get("headers"))
        return 204, None

    def _send(self, request):
        wish = request.json()
        self.cronofy.callbacks.send(wish["uri"], wish["body"])
        return 204, None

    def _set_route(self, request):
        """Where callbacks to an origin go: known only when the gateway has started."""
        wish = request.json()
        self.cronofy.callbacks.routes[wish["origin"]] = wish["to"]
        return 204, None

    def _tell(self, _request):
        return 200, {
            "arrows": self.cronofy.arrows,
            "callbacks": [
                {"state": each.state, "tries": len(each.answers), "body": each.body.decode(errors="replace")}
                for each in self.cronofy.callbacks.sent
            ],
        }

    def _handler(self):
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self):
                length = self.headers.get("Content-Length", "0")
                if not length.isdecimal() or int(length) > MAX_BODY or "Transfer-Encoding" in self.headers:
                    self.close_connection = True  # a body that is not read is not the next request
                    return self._send(413, {}, b"")
                body = self.rfile.read(int(length))
                self._send(*server.answer(Request(self.command, self.path, self.headers, body)))

            def _send(self, status, headers, body):
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if body:
                    self.send_header("Content-Type", "application/json; charset=utf-8")
                if status != 204:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = _serve

            def log_message(self, format, *arguments):
                pass  # `requests` has them all

        return Handler


API = [
    ("POST", r"/v1/calendars/([^/]+)/events", Server._upsert),
    ("GET", r"/v1/events", Server._events),
    ("GET", r"/v1/events/pages/([^/]+)", Server._next_page),
    ("GET", r"/v1/userinfo", Server._userinfo),
    ("POST", r"/oauth/token", Server._token),
]
LEVERS = [
    ("POST", r"/simulator/advance", Server._advance),
    ("PUT", r"/simulator/profiles/([^/]+)", Server._set_profile),
    ("DELETE", r"/simulator/profiles/([^/]+)", Server._remove_profile),
    ("PUT", r"/simulator/routes", Server._set_route),
    ("POST", r"/simulator/faults", Server._fail),
    ("POST", r"/simulator/callbacks", Server._send),
    ("GET", r"/simulator/state", Server._tell),
]
