# SPDX-License-Identifier: Apache-2.0
"""Callbacks go out: signed over the very bytes, tried again until somebody answers 2xx.

When they are tried again is a choice of ours (documented is only that it goes on for a day), and so is that nobody's
redirects are followed.
"""

import base64
import concurrent.futures
import contextlib
import hashlib
import hmac
import http.client
import ssl
import urllib.parse

from . import notifications

# Seconds between two tries: a day in all.
SCHEDULE = [10, 30, 60, 300, 900, 3600] + 22 * [3600]


class Callback:
    def __init__(self, uri, body):
        self.uri = uri
        self.body = body
        self.answers = []  # a status, or the exception that stood in for one, for each try
        self.state = "waiting"  # then "delivered" or "given up"

    def __repr__(self):
        return f"<{self.state} after {self.answers}: {self.body[:300]!r}>"


class Callbacks:
    """Change the attributes at any time; they hold for what is sent from then on."""

    def __init__(self, clock, secrets, routes):
        self.clock = clock
        self.secrets = list(secrets)  # of the client; two while one replaces the other
        self.routes = dict(routes)  # origin of a URI -> origin at which it can be reached here
        self.schedule = list(SCHEDULE)
        self.answer_timeout = 5  # of the wall's seconds: for channels, as documented
        self.form = "compact"
        self.is_chunked = False
        self.n_copies = 1
        self.sent = []
        self._held = None

    def send(self, uri, body):
        """Some JSON, or bytes as they are. It goes out when the clock says so."""
        if not isinstance(body, bytes):
            body = notifications.FORMS[self.form](body).encode()
        for _ in range(self.n_copies):
            callback = Callback(uri, body)
            self.sent.append(callback)
            if self._held is not None:
                self._held.append(callback)
            else:
                self.clock.after(0, lambda due=callback: self._try(due))

    @contextlib.contextmanager
    def held(self):
        """What would go out is kept, in a list: to be delivered in another order, or at the same time."""
        self._held, before = [], self._held
        try:
            yield self._held
        finally:
            self._held = before

    def deliver(self, held):
        """One after the other, in this order."""
        for callback in held:
            self._try(callback)

    def deliver_together(self, held):
        """Each by a thread of its own."""
        with concurrent.futures.ThreadPoolExecutor(max(1, len(held))) as threads:
            for _ in threads.map(self._try, held):
                pass

    def _try(self, callback):
        try:
            answer = self._post(callback)
        except (OSError, http.client.HTTPException) as error:
            answer = error
        n_tries = len(callback.answers)
        callback.answers.append(answer)
        if isinstance(answer, int) and 200 <= answer <= 299:
            callback.state = "delivered"
        elif n_tries < len(self.schedule):
            self.clock.after(self.schedule[n_tries], lambda: self._try(callback))
        else:
            callback.state = "given up"

    def _post(self, callback):
        uri = urllib.parse.urlsplit(callback.uri)
        connection = self._connect(uri)
        headers = {
            "Host": uri.netloc,
            "Content-Type": "application/json; charset=utf-8",
            "Cronofy-HMAC-SHA256": self.sign(callback.body),
        }
        body = callback.body
        if self.is_chunked:
            headers["Transfer-Encoding"] = "chunked"
            body = (callback.body[i : i + 64] for i in range(0, len(callback.body), 64))
        try:
            target = uri.path + ("?" + uri.query if uri.query else "")
            connection.request("POST", target or "/", body, headers, encode_chunked=self.is_chunked)
            return connection.getresponse().status
        finally:
            connection.close()

    def _connect(self, uri):
        origin = f"{uri.scheme}://{uri.netloc}"
        reachable = urllib.parse.urlsplit(self.routes.get(origin, origin))
        if reachable.scheme == "http":
            return http.client.HTTPConnection(reachable.netloc, timeout=self.answer_timeout)
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(reachable.netloc, timeout=self.answer_timeout, context=context)

    def sign(self, body):
        """One element for each secret."""
        digests = [hmac.new(secret.encode(), body, hashlib.sha256).digest() for secret in self.secrets]
        return ",".join(base64.b64encode(digest).decode() for digest in digests)
