# SPDX-License-Identifier: Apache-2.0
"""The page on which events appear live: who gets it, what it may do, and what a browser makes of it."""

import base64
import hashlib
import json
import re
import sqlite3

import pytest

import handling
from bodies import ASSIGNED, FAILING
from browser import Browser
from gateway import HOSTS, Gateway, callback

pytestmark = pytest.mark.no_tsan

# As they are sent for a page that somebody opens.
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
SAFARI = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
LYNX = "text/html, text/plain, text/sgml, text/css, application/xhtml+xml, */*;q=0.01"

ORIGIN = "https://app.example.com"
MAX_SHOWN = 500


@pytest.fixture(scope="module")
def gateway():
    with Gateway() as running:
        yield running


def get(gateway, accept=CHROME, path="/subscribe", method="GET", **headers):
    return gateway.request(method, path, headers={"Accept": accept, **headers})


def status_of(gateway, head):
    """Of a request that may begin a stream; the connection goes with it."""
    with gateway.raw("subscribers") as connection:
        return connection.send(head.encode() + b"Host: gateway\r\n\r\n").read_head()


def is_page(answer):
    return answer.status == 200 and answer.headers["Content-Type"] == "text/html; charset=utf-8"


# Who gets it


@pytest.mark.parametrize("accept", [CHROME, FIREFOX, SAFARI, LYNX, "text/html", "TEXT/HTML", "*/*;q=0.9, text/html"])
def test_a_browser_gets_the_page(gateway, accept):
    answer = get(gateway, accept)
    assert is_page(answer)
    assert answer.body.startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    "accept", ["*/*", "text/event-stream", "text/event-stream, text/html", "text/html;q=0.5, */*", "text/*, */*"]
)
def test_programs_get_the_stream(gateway, accept):
    status, headers = status_of(gateway, f"GET /subscribe HTTP/1.1\r\nAccept: {accept}\r\n")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")


def test_whoever_says_nothing_gets_the_stream(gateway):
    status, headers = status_of(gateway, "GET /subscribe HTTP/1.1\r\n")
    assert (status, headers["Content-Type"]) == (200, "text/event-stream")


@pytest.mark.parametrize("accept", ["application/json", "text/html;q=0", "text/*", ""])
def test_others_are_told_what_is_here(gateway, accept):
    assert get(gateway, accept).status == 426


def test_an_upgrade_is_an_upgrade(gateway):
    with gateway.connect(headers={"Accept": CHROME}) as subscriber:
        subscriber.subscribe()


def test_an_accept_field_in_two_lines(gateway):
    head = "GET /subscribe HTTP/1.1\r\nAccept: */*;q=0.1\r\nAccept: text/html\r\n"
    assert status_of(gateway, head)[1]["Content-Type"].startswith("text/html")


def test_head_is_the_same_without_a_body(gateway):
    whole = get(gateway)
    with gateway.raw("subscribers") as connection:
        connection.send(f"HEAD /subscribe HTTP/1.1\r\nHost: g\r\nAccept: {CHROME}\r\n\r\n".encode())
        status, headers = connection.read_head()
        assert (status, headers["Content-Length"]) == (200, str(len(whole.body)))
        assert headers["Content-Security-Policy"] == whole.headers["Content-Security-Policy"]
        connection.send(b"GET /events HTTP/1.1\r\nHost: g\r\n\r\n")
        assert connection.read_answer().status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods_are_as_they_were(gateway, method):
    answer = get(gateway, method=method, **{"Content-Length": "0"})
    assert (answer.status, answer.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/", "/events", "/subscribe/", "/live.html"])
def test_it_is_on_the_subscribers_path_alone(gateway, path):
    assert not is_page(get(gateway, path=path))


def test_it_is_where_the_subscribers_are():
    with Gateway({"subscribers": {"path": "/here"}}) as gateway:
        assert is_page(get(gateway, path="/here"))
        assert get(gateway).status == 404


@pytest.mark.parametrize("origin", ["https://evil.example.com", "null"])
def test_pages_of_others_do_not_get_it(gateway, origin):
    answer = get(gateway, Origin=origin)
    assert answer.status == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


def test_it_is_not_there_where_it_could_not_subscribe():
    """Who lists origins and not the gateway's own has no use for its page."""
    with Gateway({"subscribers": {"origins": [ORIGIN], "server_names": [*HOSTS, "app.example.com"]}}) as gateway:
        assert get(gateway, "text/html").status == 426
        assert get(gateway, "text/html", Host="app.example.com:8443").status == 426
        assert is_page(get(gateway, "text/html", Host="app.example.com"))


# What it is, and what it may do


def policy_of(answer):
    directives = [directive.split() for directive in answer.headers["Content-Security-Policy"].split(";")]
    return {directive[0]: directive[1:] for directive in directives}


def hash_of(answer, element):
    (content,) = re.findall(rf"<{element}\b[^>]*>(.*?)</{element}>".encode(), answer.body, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"


def test_the_policy_lets_this_very_page_run_and_nothing_else(gateway):
    answer = get(gateway)
    assert policy_of(answer) == {
        "default-src": ["'none'"],
        "script-src": [hash_of(answer, "script")],
        "style-src": [hash_of(answer, "style")],
        "img-src": ["data:"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["'none'"],
    }


def test_the_other_headers(gateway):
    headers = get(gateway).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_it_is_the_same_for_everybody(gateway):
    with Gateway({"subscribers": {"path": "/secret-path"}}, tokens=True) as guarded:
        assert get(guarded, path="/secret-path").body == get(gateway).body


def test_it_needs_nothing_from_elsewhere(gateway):
    body = get(gateway).body.decode()
    addresses = set(re.findall(r"[a-z]+://[^\s'\"]*", body))
    assert addresses <= {"http://www.w3.org/2000/svg", "${location.protocol.replace("}
    assert not re.search(r"\bsrc=|@import|localStorage|sessionStorage|indexedDB|cookie|innerHTML|eval\(", body)


# In a browser


@pytest.fixture
def fresh():
    """A gateway with an empty journal. Named before `browser`: a page without a gateway would complain."""
    with Gateway() as running:
        yield running


@pytest.fixture
def browser():
    with Browser() as running:
        yield running


def open_live(browser, gateway):
    browser.open(gateway.url(scheme="http"))
    browser.wait_for_text("#state", "Live")


def event_ids(browser):
    """Newest first."""
    script = """return [...document.querySelectorAll("#events pre")].map(pre => {
        return JSON.parse(pre.textContent).event.event_id })"""
    return browser.driver.execute_script(script)


def wait_for_events(browser, *ids):
    browser.wait(lambda: event_ids(browser) == list(ids))


def test_an_event_appears(fresh, browser):
    open_live(browser, fresh)
    assert browser.text("#count") == "none yet"
    assert browser.one("#empty").is_displayed()
    fresh.deliver(FAILING, path=fresh.callback_path(user="42", calendar_id="cal_1"))
    browser.wait(lambda: browser.all("#events > li"))
    assert browser.texts("#events .interactions li") == ["conferencing_failing · profile_missing"]
    assert browser.texts("#events h3") == ["Board meeting"]
    assert browser.texts("#events dd") == [
        "cronofy", "qTtZdczOccgaPncGJaCiLg", "calendar_id=cal_1", "user=42", fresh.events()["position"],
    ]
    assert browser.one("#events time").get_attribute("datetime") == fresh.events()["events"][0]["received_at"]
    assert not browser.one("#empty").is_displayed()
    assert not browser.all("#events a")
    browser.wait_for_text("#spoken", "conferencing_failing · profile_missing: Board meeting")
    fresh.deliver(ASSIGNED)
    browser.wait_for_text("#count", "2 events")
    assert browser.one("#events a").get_attribute("href") == "https://zoom.us/00001111-222"
    assert browser.texts("#events pre") == [ASSIGNED.decode(), FAILING.decode()]
    assert not browser.one("#events pre").is_displayed()
    browser.click("#events summary")
    assert browser.one("#events pre").is_displayed()
    browser.wait_for_text("#spoken", "conferencing_assigned: Board meeting")


TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "tags, headers",
    [
        ({"callback": "x"}, {}),
        ({"a": '},"callback":{', "callback": '"},"callback":1'}, {}),
        ({"callback": "x", "traceparent": '","callback":'}, {"traceparent": TRACE}),
    ],
)
def test_the_callback_is_shown_byte_for_byte(fresh, browser, tags, headers):
    body = '{ "event": {"event_id": "e\\u0031"},\t"tags":{},"callback":{"x":\n1.50e1, "callback":\r\n[{},"}"] } } '
    fresh.deliver(body.encode(), path=fresh.callback_path(**tags), headers=headers)
    open_live(browser, fresh)
    browser.wait(lambda: browser.texts("#events pre") == [body])


HOSTILE = [
    '<img src=x onerror="document.title=\'gotcha\'">',
    "<script>document.title='gotcha'</script>",
    "</pre></li></ol><h1>gotcha</h1>",
    "\u202egnitseretni\u2066\u2067",
    "\U0001f514" * 5000,
    "a\u0300" * 500,
    "\x00\x1b[31m\x7f\ufeff",
    "x" * 20000,
]


def test_hostile_text_is_text(fresh, browser):
    """The browser's console is looked at in the end: nothing was even tried."""
    open_live(browser, fresh)
    bodies = [
        callback(text[:100], text[:100], summary=text, conferencing={"join_url": text}) for text in HOSTILE
    ]
    for body in bodies:
        fresh.deliver(body, path=fresh.callback_path(user=HOSTILE[0], other=HOSTILE[3]))
    browser.wait_for_text("#count", f"{len(HOSTILE)} events")
    assert browser.texts("#events h3") == HOSTILE[::-1]
    assert browser.texts("#events .interactions li") == [f"{text[:100]} · {text[:100]}" for text in HOSTILE[::-1]]
    assert browser.texts("#events .join") == HOSTILE[::-1]
    assert browser.texts("#events pre") == [body.decode() for body in bodies[::-1]]
    assert browser.all("#events img, #events script, #events h1, #events a") == []
    assert browser.driver.title == "Belfry: live events"
    width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.driver.execute_script(width) == 0


# What a callback may say, and where the link leads; None: there is none.
JOIN_URLS = [
    ("https://zoom.us/j/1?pwd=a&b=c", "https://zoom.us/j/1?pwd=a&b=c"),
    ("http://x.example/\u202egpj.exe", "http://x.example/%E2%80%AEgpj.exe"),
    ("https://zoom.us@evil.example", "https://zoom.us@evil.example/"),
    ("https://z\u043e\u043em.us/1", "https://xn--zm-fmca.us/1"),
    ("javascript:document.title='gotcha'", None),
    (" java\nscript:document.title='gotcha'", None),
    ("data:text/html,<script>1</script>", None),
    ("//zoom.us/1", None),
    ("zoommtg://zoom.us/join", None),
    ("not a link", None),
]


def test_only_web_addresses_become_links(fresh, browser):
    for url, _ in JOIN_URLS:
        fresh.deliver(callback(conferencing={"join_url": url}))
    open_live(browser, fresh)
    browser.wait_for_text("#count", f"{len(JOIN_URLS)} events")
    assert browser.texts("#events .join") == [link or url for url, link in JOIN_URLS[::-1]]
    links = browser.all("#events a")
    assert [found.get_attribute("href") for found in links] == [link for _, link in JOIN_URLS[::-1] if link]
    assert {found.get_attribute("rel") for found in links} == {"noopener noreferrer nofollow"}


def test_the_filter(fresh, browser):
    open_live(browser, fresh)
    kinds = ["conferencing_assigned", "conferencing_failing", "change"]
    for kind in kinds:
        fresh.deliver(callback(kind, event_id=f"{kind}-1"))
    wait_for_events(browser, "change-1", "conferencing_failing-1", "conferencing_assigned-1")
    browser.type("#interactions", "conferencing_f*, change\n")
    wait_for_events(browser, "change-1", "conferencing_failing-1")
    for kind in kinds:
        fresh.deliver(callback(kind, event_id=f"{kind}-2"))
    wait_for_events(browser, "change-2", "conferencing_failing-2", "change-1", "conferencing_failing-1")
    browser.type("#interactions", "conferencing_assigned")
    browser.click("#wish button")
    wait_for_events(browser, "conferencing_assigned-2", "conferencing_assigned-1")


def test_a_filter_that_is_none_is_explained(fresh, browser):
    open_live(browser, fresh)
    browser.type("#interactions", "*_failing\n")
    browser.wait_for_text("#state", "Not subscribed")
    assert "interaction" in browser.text("#words")
    browser.type("#interactions", "conferencing_failing\n")
    browser.wait_for_text("#state", "Live")
    assert not browser.one("#trouble").is_displayed()


def test_pause(fresh, browser):
    open_live(browser, fresh)
    fresh.deliver(callback(event_id="one"))
    wait_for_events(browser, "one")
    browser.click("#pause")
    fresh.deliver(callback(event_id="two"))
    fresh.deliver(callback(event_id="three"))
    browser.wait_for_text("#pause", "Go on (2 new)")
    assert event_ids(browser) == ["one"]
    browser.click("#pause")
    wait_for_events(browser, "three", "two", "one")
    assert browser.text("#pause") == "Pause"


def test_from_the_beginning_and_a_list_with_an_end(fresh, browser):
    n = MAX_SHOWN + 30
    ids = [f"evt-{i}" for i in range(n)]
    for event_id in ids[:-1]:
        fresh.deliver(callback(event_id=event_id))
    open_live(browser, fresh)
    wait_for_events(browser, *ids[-101:-1][::-1])
    browser.click("#earliest")
    browser.wait_for_text("#count", "29 older dropped from view")
    wait_for_events(browser, *ids[29:-1][::-1])
    fresh.deliver(callback(event_id=ids[-1]))
    browser.wait_for_text("#count", "the newest 500 events; 30 older dropped from view")
    wait_for_events(browser, *ids[30:][::-1])


# What the browser itself writes down when there is no gateway, or one that ends.
LOST = r"WebSocket connection to .* failed"


def fixed_port(gateway):
    """The gateway's next start is on the port that it has now."""
    gateway.config["listen"][0]["address"] = gateway.listener("subscribers")["address"]


def test_a_restart_is_survived_without_a_gap_and_without_duplicates():
    with Gateway() as gateway, Browser(forgives=LOST) as browser:
        open_live(browser, gateway)
        gateway.deliver(callback(event_id="one"))
        wait_for_events(browser, "one")
        fixed_port(gateway)
        gateway.stop()
        browser.wait(lambda: browser.one("#now").is_displayed())
        gateway.start()
        gateway.deliver(callback(event_id="two"))
        wait_for_events(browser, "two", "one")
        browser.wait_for_text("#state", "Live")
        gateway.kill()
        browser.wait(lambda: browser.one("#now").is_displayed())
        gateway.start()
        gateway.deliver(callback(event_id="three"))
        wait_for_events(browser, "three", "two", "one")
        gateway.deliver(callback(event_id="four"))
        wait_for_events(browser, "four", "three", "two", "one")
        assert browser.all("#events .note") == []


def test_a_restart_is_told_as_such():
    with Gateway() as gateway, Browser(forgives=LOST) as browser:
        open_live(browser, gateway)
        browser.driver.execute_script(
            """window.said = [];
            new MutationObserver(() => said.push(document.getElementById("words").textContent))
                .observe(document.getElementById("words"), { childList: true });"""
        )
        gateway.stop()
        browser.wait(lambda: "The gateway restarts." in browser.driver.execute_script("return said"))


def test_what_is_lost_is_told():
    with Gateway() as gateway, Browser(forgives=LOST) as browser:
        open_live(browser, gateway)
        gateway.deliver(callback(event_id="one"))
        wait_for_events(browser, "one")
        fixed_port(gateway)
        gateway.stop()
        for path in gateway.folder.glob("journal.db*"):
            path.unlink()
        gateway.start()
        browser.wait(lambda: browser.all("#events .note"))
        assert "no longer in the journal" in browser.text("#events .note")
        gateway.deliver(callback(event_id="two"))
        wait_for_events(browser, "two", "one")


def test_a_gap_is_told(fresh, browser):
    for event_id in ("one", "two", "three"):
        fresh.deliver(callback(event_id=event_id))
    fresh.stop()
    journal = sqlite3.connect(fresh.journal)
    with journal:
        journal.execute("UPDATE events SET body = x'7b7d' WHERE event_id = 'two'")
    journal.close()
    fresh.start()
    open_live(browser, fresh)
    browser.click("#earliest")
    wait_for_events(browser, "three", "one")
    (note,) = browser.texts("#events .note")
    assert note.startswith("What was between ") and note.endswith(" is lost for good.")


def test_what_handlers_did_is_shown_where_the_gateway_tells_it():
    outcomes = {"subscribers": {"outcomes": True}}
    with Gateway({**outcomes, **handling.handlers()}) as gateway, Browser() as browser:
        open_live(browser, gateway)
        gateway.deliver(handling.told("retry", "done", event_id="one"))
        browser.wait_for_text("#count", "3 events")
        shown = ["it: done", "it: retry", "conferencing_assigned"]
        assert browser.texts("#events .interactions li") == shown
        browser.driver.refresh()
        browser.wait(lambda: browser.texts("#events .interactions li") == shown)


# With tokens


@pytest.fixture(scope="module")
def guarded():
    with Gateway(tokens=True) as running:
        yield running


def give(browser, token):
    browser.wait(lambda: browser.one("#token").is_displayed())
    browser.type("#token", token)
    browser.click("#entrance button")


def test_a_token_is_asked_for_and_kept_to_itself(guarded, browser):
    browser.open(guarded.url(scheme="http"))
    browser.wait_for_text("#state", "Waiting for a token")
    assert not browser.one("#trouble").is_displayed()
    assert browser.driver.switch_to.active_element == browser.one("#token")
    give(browser, guarded.token(secret="not-the-right-secret-0123456789abcdef"))
    browser.wait_for_text("#words", "does not accept this token")
    token = guarded.token()
    give(browser, token)
    browser.wait_for_text("#state", "Live")
    assert not browser.one("#entrance").is_displayed()
    assert browser.one("#token").get_property("value") == ""
    body = callback(event_id="one")
    guarded.deliver(body)
    browser.wait(lambda: event_ids(browser)[:1] == ["one"])
    stored = "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, history.state])"
    assert token not in browser.driver.execute_script(stored) + browser.driver.page_source
    browser.driver.refresh()
    browser.wait_for_text("#state", "Waiting for a token")
    assert browser.one("#token").get_property("value") == ""


def test_it_asks_for_what_the_token_grants(guarded, browser):
    grants = [{"tags": {"user": "7"}}, {"interactions": ["conferencing_*", "change"], "sources": "cronofy"}]
    browser.open(guarded.url(scheme="http"))
    give(browser, guarded.token(grants, name="Zoë"))
    browser.wait_for_text("#state", "Live")
    guarded.deliver(callback("other", event_id="not granted"))
    guarded.deliver(callback("other", event_id="by tag"), path=guarded.callback_path(user="7"))
    guarded.deliver(callback("conferencing_failing", event_id="by interaction"))
    browser.wait(lambda: event_ids(browser)[:2] == ["by interaction", "by tag"])
    browser.type("#interactions", "conf*, other\n")
    guarded.deliver(callback("change", event_id="not asked for"), path=guarded.callback_path(user="7"))
    guarded.deliver(callback("conferencing_assigned", event_id="both"))
    browser.wait(lambda: event_ids(browser)[:3] == ["both", "by interaction", "by tag"])


def test_a_filter_beyond_the_token_is_explained(guarded, browser):
    browser.open(guarded.url(scheme="http"))
    give(browser, guarded.token([{"interactions": "conferencing_*"}]))
    browser.wait_for_text("#state", "Live")
    browser.type("#interactions", "change\n")
    browser.wait_for_text("#words", "The token grants none of these")


def test_an_expired_token_is_asked_for_again_and_nothing_is_missed():
    with Gateway({"subscribers": {"ping": "5s"}}, tokens=True) as gateway, Browser() as browser:
        browser.open(gateway.url(scheme="http"))
        give(browser, gateway.token(lifetime=5))
        browser.wait_for_text("#state", "Live")
        gateway.deliver(callback(event_id="one"))
        wait_for_events(browser, "one")
        browser.wait(lambda: browser.one("#entrance").is_displayed())
        assert "expired" in browser.text("#words")
        gateway.deliver(callback(event_id="two"))
        give(browser, gateway.token())
        wait_for_events(browser, "two", "one")


# For everybody


def test_the_basics_of_accessibility(gateway, browser):
    open_live(browser, gateway)
    gateway.deliver(ASSIGNED)
    browser.wait(lambda: browser.all("#events a"))
    assert browser.one("html").get_attribute("lang") == "en"
    assert browser.driver.title
    assert len(browser.all("main")) == len(browser.all("h1")) == len(browser.all("h2")) == 1
    for control in browser.all("input, button, a, summary"):
        assert control.accessible_name or not control.is_displayed(), control.get_attribute("outerHTML")
    for field in browser.all("input"):
        assert browser.all(f"label[for={field.get_attribute('id')}]") or field.find_element("xpath", "ancestor::label")
    assert browser.one("#events").aria_role == "list"
    assert {browser.one(region).aria_role for region in ("#state", "#spoken")} == {"status"}
    ids = [element.get_attribute("id") for element in browser.all("[id]")]
    assert len(ids) == len(set(ids))


def test_the_keyboard_reaches_everything(gateway, browser):
    open_live(browser, gateway)
    gateway.deliver(callback(conferencing={"join_url": "https://zoom.us/1"}))
    browser.wait(lambda: browser.all("#events a"))
    reached = []
    for _ in range(6):
        browser.driver.switch_to.active_element.send_keys("\ue004")
        focused = browser.driver.switch_to.active_element
        reached.append(focused.get_attribute("id") or focused.tag_name)
    assert reached == ["interactions", "button", "earliest", "pause", "a", "summary"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read(gateway, scheme):
    """Contrast of 4.5 and more (WCAG 2.1, 1.4.3) for every text there is; and nothing hangs over on a phone."""
    script = """
      const luminance = colour => {
        const [r, g, b] = colour.match(/[0-9.]+/g).map(v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" && element.parentElement ? ground(element.parentElement) : colour;
      };
      return [...document.querySelectorAll("body *")].filter(e => e.checkVisibility() && e.innerText && !e.closest("svg"))
        .map(e => {
          const [one, other] = [luminance(getComputedStyle(e).color), luminance(ground(e))].sort((a, b) => b - a);
          return [Math.round((one + 0.05) / (other + 0.05) * 100) / 100, e.outerHTML.slice(0, 80)];
        });"""
    with Browser(width=390, height=844, scheme=scheme) as browser:
        open_live(browser, gateway)
        gateway.deliver(callback("conferencing_failing", "profile_missing", summary="x" * 300))
        gateway.deliver(callback(conferencing={"join_url": "https://zoom.us/" + "1" * 200}))
        gateway.deliver(callback("a" * 200))
        browser.wait(lambda: "a" * 200 in browser.text("#events > li"))  # the newest is on top: nothing moves any more
        browser.click("#events summary")
        browser.wait(lambda: browser.one("#events pre").is_displayed())
        contrasts = browser.driver.execute_script(script)
        assert len(contrasts) > 20
        assert [entry for entry in contrasts if entry[0] < 4.5] == []
        width = "return document.documentElement.scrollWidth"
        assert browser.driver.execute_script(width) <= 390
