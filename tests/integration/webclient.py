# SPDX-License-Identifier: Apache-2.0
"""belfry.js where it lives: in Node and in a browser's page, behind a network that does its worst."""

import asyncio
import functools
import http.server
import json
import pathlib
import queue
import subprocess
import threading

from clients import PATIENCE
from gateway import callback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLIENT = ROOT / "tests" / "client"
UPGRADE = b"upgrade: websocket"


def ids(messages):
    return [message["callback"]["event"]["event_id"] for message in messages]


def deliver(gateway, *event_ids, **tags):
    path = gateway.callback_path(**tags) if tags else "/callbacks/cronofy"
    for event_id in event_ids:
        gateway.deliver(callback(event_id=event_id), path=path)


class Proxy:
    """What lies between a client and a gateway. `cut()` resets all connections, `is_dark` lets nothing through (and
    nobody is told), `refuses_upgrades` is one that knows HTTP only."""

    def __init__(self, address):
        self.address = address
        self.is_dark = False
        self.refuses_upgrades = False
        self.n_upgrades = self.n_requests = 0
        self._writers = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._server = self._run(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.close()
        self.cut()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def url(self, path="/subscribe"):
        return f"http://127.0.0.1:{self.port}{path}"

    def cut(self):
        """How many connections there were."""

        async def cut():
            writers = list(self._writers)
            for writer in writers:
                writer.transport.abort()
            return len(writers) // 2

        return self._run(cut())

    async def _serve(self, reader, writer):
        self._writers.add(writer)
        try:
            await self._forward(reader, writer)
        except OSError:
            pass
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _forward(self, reader, writer):
        head = await reader.read(65536)
        is_upgrade = UPGRADE in head.lower()
        self.n_upgrades += is_upgrade
        self.n_requests += not is_upgrade
        if is_upgrade and self.refuses_upgrades:
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return
        from_gateway, to_gateway = await asyncio.open_connection(*self.address)
        self._writers.add(to_gateway)
        try:
            to_gateway.write(head)
            await asyncio.gather(self._copy(reader, to_gateway), self._copy(from_gateway, writer))
        finally:
            self._writers.discard(to_gateway)
            to_gateway.transport.abort()

    async def _copy(self, reader, writer):
        while data := await reader.read(65536):
            if not self.is_dark:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()  # of one half, so that the other one ends


class Messages:
    """What a client tells: `expect(what)` passes over everything before it that is a mere notice of state."""

    def __init__(self):
        self._queue = queue.Queue()
        self.heard = []

    def put(self, value):
        self._queue.put(value)

    def next(self):
        try:
            value = self._queue.get(timeout=PATIENCE)
        except queue.Empty:
            raise AssertionError(f"the client says nothing; before: {self.heard[-20:]}") from None
        assert value is not None, f"the client has ended; before: {self.heard[-20:]}"
        self.heard.append(value)
        return value

    def until(self, **wanted):
        """Everything up to the first one that has these members."""
        passed = []
        while True:
            value = self.next()
            passed.append(value)
            if all(value.get(key) == wish for key, wish in wanted.items()):
                return passed

    def message(self, name="s"):
        """The next event or outcome, of this subscription."""
        while True:
            value = self.next()
            assert value.get("notice") != "error", value
            if "position" in value:
                assert value["name"] == name, value
                return value

    def notices(self, notice):
        return [value for value in self.heard if value.get("notice") == notice]


class Node(Messages):
    """tests/client/subscriber.mjs. On the way out it must end by itself, and have written nothing but what it tells."""

    def __init__(self, url, *subscriptions, token_url=None):
        super().__init__()
        program = CLIENT / "subscriber.mjs"
        self.process = subprocess.Popen(
            ["node", str(program), json.dumps({"url": url, "tokenUrl": token_url})],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        for wish in subscriptions:
            self.subscribe(**wish)

    def _read(self):
        for line in self.process.stdout:
            self.put(json.loads(line))
        self.put(None)

    def order(self, order, **what):
        self.process.stdin.write(json.dumps({"order": order, **what}) + "\n")
        self.process.stdin.flush()

    def subscribe(self, name="s", filter=None, **options):
        self.order("subscribe", name=name, filter=filter or {}, **options)
        return self

    def subscribed(self, name="s"):
        self.until(name=name, subscribed=True)
        return self

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        said = self.process.stderr.read()
        assert (code, said) == (0, ""), (code, said)

    def __enter__(self):
        return self

    def __exit__(self, exception_type, exception, traceback):
        try:
            if exception_type is None:
                self.close()
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()
            self.process.stderr.close()


class Site:
    """Somebody's web site, of another origin than the gateway: files of a folder, and tokens for its pages."""

    def __init__(self, folder, make_token=lambda: ""):
        self.folder = folder
        self.make_token = make_token
        self.n_tokens = 0
        site = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/token":
                    site.n_tokens += 1
                    self._answer(site.make_token())
                elif self.path == "/favicon.ico":
                    self._answer("")
                else:
                    super().do_GET()

            def _answer(self, text):
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()


# As little as a page can be; what it hears it keeps in `heard`.
PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>a page</title>
<script type="module">
import { Belfry } from "MODULE";
window.heard = [];
window.addEventListener("unhandledrejection", ({ reason }) => heard.push({ unhandled: String(reason) }));
window.addEventListener("error", ({ message }) => heard.push({ unhandled: message }));
window.begin = (url, filter, options) => {
  const getToken = async () => (await fetch("/token")).text();
  window.belfry = new Belfry(url, { getToken });
  for (const type of ["state", "disconnect", "gap", "error"])
    belfry.addEventListener(type, ({ state, code, reason, after, resumedAt, error }) =>
      heard.push({ notice: type, state, code: code ?? error?.code, reason, after, resumedAt }));
  belfry.subscribe(filter, message => heard.push(message), options);
};
document.title = "ready";
</script>
"""


class Page(Messages):
    """A page of a site, in a browser."""

    def __init__(self, browser, site, module):
        super().__init__()
        self.browser = browser
        (pathlib.Path(site.folder) / "index.html").write_text(PAGE.replace("MODULE", module), encoding="utf-8")
        browser.open(f"{site.origin}/")
        browser.wait(lambda: browser.driver.title == "ready")

    def begin(self, url, filter=None, **options):
        self.browser.driver.execute_script("begin(...arguments)", url, filter or {}, options)
        return self

    def pull(self):
        """Moves over here what the page has heard."""
        for value in self.browser.driver.execute_script("return heard.splice(0)"):
            self.put({"name": "s", **value})

    def next(self):
        if self._queue.empty():
            self.browser.wait(lambda: self.pull() or not self._queue.empty())
        return super().next()

    def run(self, script):
        return self.browser.driver.execute_script(script)
