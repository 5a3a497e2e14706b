# SPDX-License-Identifier: Apache-2.0
"""belfry.js behind networks that do their worst, in Node and in Chromium: each event once, in order, none lost."""

import threading

import pytest

from browser import Browser
from clients import PATIENCE
from gateway import Gateway
from webclient import Node, Page, Proxy, deliver, ids

pytestmark = pytest.mark.no_tsan


def test_a_gateway_that_falls_silent_is_left():
    """Nothing comes through any more, and TCP tells nobody: two pings later it connects anew."""
    with Gateway({"subscribers": {"ping": "5s"}}) as gateway, Proxy(gateway.address("subscribers")) as proxy:
        with Node(proxy.url(), {}) as node:
            node.subscribed()
            proxy.is_dark = True
            deliver(gateway, "one")
            assert "silent" in node.until(notice="disconnect")[-1]["reason"]
            proxy.is_dark = False
            assert ids([node.message()]) == ["one"]


class Hostile:
    """A network that cuts all connections after each 33rd event that gets through, while a thousand pass, and a gateway
    that is restarted in the middle; tokens expire all the time. Meanwhile the events go on, by so many that no cut can
    fall between two connections."""

    N, CUT = 1000, 33

    def __init__(self, gateway, proxy):
        self.gateway, self.proxy = gateway, proxy
        self.expected = [str(i) for i in range(self.N)]
        self.ahead = threading.Semaphore(self.CUT // 2)
        self.is_up = threading.Lock()
        self.writer = threading.Thread(target=self._write)

    def _write(self):
        for event_id in self.expected:
            assert self.ahead.acquire(timeout=PATIENCE)
            with self.is_up:
                deliver(self.gateway, event_id)

    def _do_its_worst(self, n):
        if n == self.N // 2:
            with self.is_up:
                self.gateway.restart()
                self.proxy.address = self.gateway.address("subscribers")
        return self.proxy.cut() if n % self.CUT == 0 else 0

    def be_survived_by(self, client):
        """Each once and in order, and nothing to complain about."""
        seen, n_cut = [], 0
        self.writer.start()
        while len(seen) < self.N:
            seen += ids([client.message()])
            self.ahead.release()
            n_cut += self._do_its_worst(len(seen))
        self.writer.join()
        assert seen == self.expected
        assert n_cut >= self.N // self.CUT
        assert client.notices("gap") == client.notices("error") == []
        assert not any("unhandled" in value for value in client.heard)


@pytest.fixture
def guarded(site):
    """A gateway whose subscribers are the site's pages, with tokens that last three seconds."""
    with Gateway({"subscribers": {"origins": [site.origin], "ping": "5s"}}, tokens=True) as gateway:
        site.make_token = lambda: gateway.token(lifetime=3)
        yield gateway


@pytest.fixture
def proxy(guarded):
    with Proxy(guarded.address("subscribers")) as running:
        yield running


# What a browser writes down of each connection that does not last.
LOST = r"WebSocket connection to .* failed|net::ERR_"


@pytest.fixture
def page(proxy, site):
    with Browser(forgives=LOST) as browser:
        yield Page(browser, site, proxy.url("/belfry.js"))


def live(page):
    page.until(notice="state", state="live")
    return page


def test_node_survives_a_hostile_network(guarded, proxy, site):
    with Node(proxy.url(), {}, token_url=f"{site.origin}/token") as node:
        node.subscribed()
        Hostile(guarded, proxy).be_survived_by(node)
        assert site.n_tokens > 2


def test_a_page_survives_a_hostile_network(guarded, proxy, site, page):
    live(page.begin(proxy.url()))
    assert page.run("return belfry.transport") == "websocket"
    Hostile(guarded, proxy).be_survived_by(page)
    assert site.n_tokens > 2


def test_a_token_is_renewed_before_it_expires(guarded, proxy, site, page):
    """On one connection, which nobody ends, and on which all subscriptions are."""
    page.begin(proxy.url())
    page.run("belfry.subscribe({ tags: { user: '42' } }, () => heard.push({ name: 'other' }))")
    live(page)
    page.browser.wait(lambda: site.n_tokens >= 4)
    deliver(guarded, "one", user="42")
    assert sorted(page.next()["name"] for _ in range(2)) == ["other", "s"]
    assert (proxy.n_upgrades, proxy.n_requests, page.notices("disconnect")) == (1, 1, [])  # the request: belfry.js


def test_where_no_websocket_gets_through_there_is_a_stream(guarded, proxy, page):
    proxy.refuses_upgrades = True
    live(page.begin(proxy.url()))
    assert page.run("return belfry.transport") == "stream"
    deliver(guarded, "one")
    assert ids([page.message()]) == ["one"]
    proxy.cut()
    deliver(guarded, "two")
    assert ids([page.message()]) == ["two"]
    assert proxy.n_upgrades == 1


def test_a_page_that_slept(guarded, proxy, page):
    """Frozen as a tab that nobody looks at, and its connection is gone when it wakes."""
    live(page.begin(proxy.url()))
    page.browser.driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "frozen"})
    proxy.cut()
    deliver(guarded, "one", "two")
    page.browser.driver.execute_cdp_cmd("Page.setWebLifecycleState", {"state": "active"})
    assert ids(page.message() for _ in range(2)) == ["one", "two"]


def test_a_page_that_was_offline(guarded, proxy, page):
    live(page.begin(proxy.url()))
    offline = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.driver.execute_cdp_cmd("Network.enable", {})
    page.browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    proxy.cut()
    page.until(notice="disconnect")
    deliver(guarded, "one", "two")
    page.browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**offline, "offline": False})
    assert ids(page.message() for _ in range(2)) == ["one", "two"]
    assert page.notices("gap") == []
