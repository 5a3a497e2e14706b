#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long belfry.js takes, after its connection was cut, until the first event that it missed is there:

    BELFRYD=build/core/belfryd BELFRY=build/core/cli/belfry tests/client/reconnect.py [N]

Printed for Node (event stream) and Chromium (WebSocket): from the begin of the new connection, which is what client and
gateway take; and from the cut, which is that and the random wait before it (up to a second).
"""

import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from browser import Browser  # noqa: E402
from gateway import Gateway  # noqa: E402
from webclient import Node, Page, Proxy, Site, deliver  # noqa: E402

# As the page itself sees it: looking at it from here would take longer.
CLOCK = """
window.spans = [];
let cut, begun;
belfry.addEventListener("disconnect", () => { cut = performance.now(); });
belfry.addEventListener("state", ({ state }) => { if (state === "connecting") begun = performance.now(); });
belfry.subscribe({}, () => { spans.push([performance.now() - begun, performance.now() - cut]); });
"""


class TimedNode(Node):
    """Each thing that it tells knows when that was."""

    def put(self, value):
        super().put(value and {**value, "seen": time.monotonic()})


def measure_node(gateway, proxy, n):
    spans = []
    with TimedNode(proxy.url(), {}) as node:
        node.subscribed()
        for i in range(n):
            proxy.cut()
            cut = node.until(notice="disconnect")[-1]["seen"]
            deliver(gateway, f"node-{i}")
            begun = node.until(notice="state", state="connecting")[-1]["seen"]
            arrived = node.message()["seen"]
            spans.append(((arrived - begun) * 1000, (arrived - cut) * 1000))
    return spans


def measure_page(gateway, proxy, n):
    with tempfile.TemporaryDirectory() as folder, Site(folder) as site, Browser(forgives=".*") as browser:
        gateway.config["subscribers"]["origins"] = [site.origin]
        gateway.restart()
        proxy.address = gateway.address("subscribers")
        page = Page(browser, site, proxy.url("/belfry.js")).begin(proxy.url())
        page.run(CLOCK)
        page.until(notice="state", state="live")
        for i in range(n):
            proxy.cut()
            page.until(notice="disconnect")
            deliver(gateway, f"page-{i}")
            page.message()
        browser.wait(lambda: len(page.run("return spans")) == n)
        return page.run("return spans")


def quantile(values, share):
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def main():
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with Gateway() as gateway, Proxy(gateway.address("subscribers")) as proxy:
        for name, measure in (("Node, event stream", measure_node), ("Chromium, WebSocket", measure_page)):
            for what, spans in zip(("from the new connection", "from the cut"), zip(*measure(gateway, proxy, n))):
                shares = ", ".join(f"p{share} {quantile(spans, share / 100):.1f} ms" for share in (50, 99, 100))
                print(f"{name}, {what}: {shares}")


if __name__ == "__main__":
    main()
