# SPDX-License-Identifier: Apache-2.0
"""What plugins talk to, played by the test: somebody's HTTP server, Slack, a mail server. All on loopback."""

import asyncio
import email
import email.policy
import http.server
import json
import ssl
import subprocess
import threading
import time

from aiosmtpd.smtp import SMTP, AuthResult


class HttpStandIn:
    """Answers each request with what answer(request) returns: (status, headers, body). Requests are kept."""

    def __init__(self):
        self.requests = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request):
        return 200, {}, b""

    def _handler(self):
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.body = self.rfile.read(int(self.headers["Content-Length"]))
                stand_in.requests.append(self)
                status, headers, body = stand_in.answer(self)
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler


class Slack(HttpStandIn):
    """An incoming webhook, as strict as the documentation: limits, errors as bare words, about one message a second."""

    PATH = "/services/T0000/B0000/canary-webhook"

    def __init__(self, is_limited=False, trouble=None):
        super().__init__()
        self.webhook = self.url + self.PATH
        self.messages = []
        self.is_limited = is_limited
        self.trouble = trouble  # (status, word): instead of what is right
        self._last = None

    def answer(self, request):
        status, word = self._judge(request)
        headers = {"Retry-After": "30"} if status == 429 else {}
        return status, headers, word.encode()

    def _judge(self, request):
        if self.trouble:
            return self.trouble
        if request.path != self.PATH:
            return 404, "no_service"
        now, last = time.monotonic(), self._last
        self._last = now
        if self.is_limited and last is not None and now - last < 1:
            return 429, "rate_limited"
        try:
            message = json.loads(request.body)
        except ValueError:
            return 400, "invalid_payload"
        if not message.get("text") and not message.get("blocks"):
            return 400, "no_text"
        if len(message.get("text", "")) > 40000:
            return 400, "msg_too_long"
        blocks = message.get("blocks", [])
        if len(blocks) > 50 or not all(self._is_block(block) for block in blocks):
            return 400, "invalid_blocks"
        self.messages.append(message)
        return 200, "ok"

    @classmethod
    def _is_block(cls, block):
        kind = block.get("type")
        if kind == "header":
            return cls._is_text(block["text"], 150, ["plain_text"])
        if kind == "section":
            fields = block.get("fields", [])
            has_text = "text" in block and cls._is_text(block["text"], 3000)
            return (has_text or bool(fields)) and len(fields) <= 10 and all(cls._is_text(each, 2000) for each in fields)
        if kind == "actions":
            elements = block["elements"]
            return 0 < len(elements) <= 25 and all(cls._is_button(element) for element in elements)
        return False

    @staticmethod
    def _is_text(text, most, types=("plain_text", "mrkdwn")):
        # counted as JavaScript does, which is the strictest way
        n = len(text["text"].encode("utf-16-le")) // 2
        return text["type"] in types and 0 < n <= most

    @classmethod
    def _is_button(cls, button):
        is_button = button["type"] == "button" and cls._is_text(button["text"], 75, ["plain_text"])
        return is_button and len(button.get("url", "")) <= 3000

    def rings(self):
        """What Slack would make of the texts that are markup: <...> is a mention or a link."""
        markup = [message["text"] for message in self.messages]
        for message in self.messages:
            markup += [block["text"]["text"] for block in message["blocks"] if "text" in block]
        return [text for text in markup if "<" in text or ">" in text]


class Tokens(HttpStandIn):
    """The application, which knows its users' tokens."""

    def __init__(self, account):
        super().__init__()
        self.account = account

    def answer(self, request):
        asked = json.loads(request.body)
        if asked["tags"].get("user") != "42":
            return 404, {}, b""
        if asked["renew"]:
            self.account.issue()
        return 200, {}, json.dumps({"access_token": self.account.access_token}).encode()


def make_certificate(folder):
    """Self-signed, for 127.0.0.1: (certificate, key)."""
    certificate, key = folder / "mail.pem", folder / "mail.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key


class MailServer:
    """aiosmtpd, on a thread of its own: with STARTTLS if there is a certificate, with AUTH if there are users."""

    def __init__(self, certificate=None, users=None):
        self.mails = []  # envelopes
        self.users = users or {}
        self.logins = []
        self.refused = {}  # recipient -> answer
        self.answer = "250 accepted"
        self._tls = None
        if certificate:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(*certificate)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = self._run(self._loop.create_server(self._session, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"smtp://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _session(self):
        return SMTP(
            self, hostname="mail.example.com", tls_context=self._tls, require_starttls=self._tls is not None,
            authenticator=self._authenticate if self.users else None, auth_required=bool(self.users),
            enable_SMTPUTF8=False, loop=self._loop,
        )  # fmt: skip

    def _authenticate(self, _server, session, _envelope, _mechanism, data):
        login = data.login.decode(), data.password.decode()
        self.logins.append((login, session.ssl is not None))
        return AuthResult(success=self.users.get(login[0]) == login[1], handled=False)

    async def handle_RCPT(self, _server, _session, envelope, address, _options):
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 ok"

    async def handle_DATA(self, _server, _session, envelope):
        self.mails.append(envelope)
        return self.answer


def parsed(envelope):
    """By Python's own package, which must find nothing wrong."""
    assert b"\n" not in envelope.content.replace(b"\r\n", b"") and b"\r" not in envelope.content.replace(b"\r\n", b"")
    assert all(len(line) <= 78 for line in envelope.content.split(b"\r\n"))
    message = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert not message.defects and not any(value.defects for value in message.values())
    assert len(message.keys()) == len(set(message.keys()))
    assert set(message.keys()) <= {
        "Date", "Message-ID", "From", "To", "Reply-To", "Subject", "Auto-Submitted", "MIME-Version", "Content-Type",
        "Content-Transfer-Encoding",
    }  # fmt: skip
    return message
