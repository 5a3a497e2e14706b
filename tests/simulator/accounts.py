# SPDX-License-Identifier: Apache-2.0
"""A user's account: tokens, calendars, conferencing profiles. And the answer of a request that is refused."""

import secrets

ACCESS_TOKEN_LIFETIME = 10800  # seconds; what the provider grants may change: `expires_in` says it


class Refused(Exception):
    """The status of an answer, and what stands in its body."""

    def __init__(self, status, body=None, headers=()):
        super().__init__(status, body)
        self.status = status
        self.body = body
        self.headers = dict(headers)


def invalid(**errors):
    """422, in the documented shape; keys are the names of fields."""
    keys = {"required": "errors.required", "unknown": "errors.not_recognized"}
    shaped = {
        field: [{"key": keys.get(problem, "errors.invalid"), "description": problem}]
        for field, problem in errors.items()
    }
    return Refused(422, {"errors": shaped})


class Account:
    def __init__(self, clock, account_id):
        self.clock = clock
        self.account_id = account_id
        self.calendars = {}
        self.profiles = {}  # conferencing profiles, in the order in which they were made
        self.scope = "read_write"
        self.is_locked = False
        self.has_plan = True
        self._expiry = {}  # access token -> moment
        self.refresh_token = None
        self.rotates = True  # a refresh token works once
        self.issue()

    def issue(self):
        """New tokens. The old access token stays valid until it expires; the old refresh token does not (a choice: the
        documentation asks to keep the returned one)."""
        self.access_token = secrets.token_urlsafe(24)
        self._expiry[self.access_token] = self.clock.now() + ACCESS_TOKEN_LIFETIME
        if self.rotates or self.refresh_token is None:
            self.refresh_token = secrets.token_urlsafe(24)
        return {
            "token_type": "bearer",
            "access_token": self.access_token,
            "expires_in": ACCESS_TOKEN_LIFETIME,
            "refresh_token": self.refresh_token,
            "scope": self.scope,
            "account_id": self.account_id,
            "sub": self.account_id,
        }

    def takes(self, token):
        return self._expiry.get(token, 0) > self.clock.now()

    def expire(self):
        """All access tokens, at once."""
        self._expiry.clear()

    def revoke(self):
        """The user has taken the permission away."""
        self.expire()
        self.refresh_token = None

    def check(self, needs):
        """What an account must be for a request that reads, or writes."""
        if self.is_locked:
            raise Refused(423)
        if not self.has_plan:
            raise Refused(402)
        if needs == "write" and self.scope == "read_only":
            raise Refused(403, {"error": "insufficient_scope"})

    def default_profile(self):
        """The first that is connected: a choice, it is the user's own setting."""
        return next((profile for profile in self.profiles.values() if profile.is_connected), None)
