# SPDX-License-Identifier: Apache-2.0
"""The operator's page, in a real browser, against the real gateway: every view of it, who may do what, and whether
everybody can use it. In the end the browser's console is looked at: no error, and nothing that the policy had to stop."""

import base64
import hashlib
import json
import pathlib
import subprocess

import pytest

from bodies import FAILING
from browser import Browser
from gateway import Gateway, callback, merge
from handling import DEAD, DONE, Recorder, handlers, settle, states, told, wait_until
from webclient import Proxy

pytestmark = pytest.mark.no_tsan

ADMIN = {"admin": {"address": "127.0.0.1:0"}}
HOSTILE = '<img src=x onerror="document.title=\'gotcha\'"></script><script>document.title=\'gotcha\'</script>\u202egnp'


@pytest.fixture(scope="module", name="far_end")
def _far_end():
    """Whom the handler asks; what it cannot ask it gives up at once."""
    with Recorder() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def gateway(far_end):
    once = {"retry": {"max_attempts": 1}, "breaker": {"failures": "off"}}
    changes = handlers(interactions={"conferencing_*": ["it"]}, **once, **far_end.options())
    with Gateway({**ADMIN, **changes}) as running:
        yield running


@pytest.fixture(scope="module", name="window")
def _window(gateway):
    with Browser() as running:
        yield running


@pytest.fixture
def browser(window):
    """One for all tests, and each of them is answerable for what is in the console."""
    yield window
    assert window.console() == []


def page_url(gateway, fragment=""):
    return f"http://{gateway.listener('admin')['address']}/{fragment}"


def open_page(browser, gateway, view="events"):
    browser.open("about:blank")
    browser.open(page_url(gateway, f"#{view}"))
    browser.wait_for_text("#connection", "Live")


def shows(browser, selector, text):
    """Waits until one of these has the text; rows come and go meanwhile."""
    browser.wait(lambda: any(text in each for each in browser.texts(selector)))


def press(browser, selector):
    """As Selenium's click, but in a table that may be drawn anew between finding and clicking."""
    script = "const e = document.querySelector(arguments[0]); e.click(); return e.checkVisibility()"
    assert browser.driver.execute_script(script, selector)


def look_into(browser, link):
    """Opens the event, and waits until it stands still."""
    press(browser, link)
    browser.wait(lambda: browser.all("#event pre"))
    browser.wait(lambda: browser.driver.execute_script("return document.getAnimations().length === 0"))


def dead_letter(gateway, far_end, **event):
    far_end.is_there = False
    settle(gateway, told(**event))
    far_end.is_there = True


# What is served


def test_the_files_and_their_headers(gateway):
    page = gateway.request("GET", "/", serves="admin")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    for path, kind in (("/operator.css", "text/css"), ("/operator.js", "text/javascript"), ("/chart.js", "text/javascript")):
        answer = gateway.request("GET", path, serves="admin")
        assert (answer.status, answer.headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
        assert answer.headers["Content-Security-Policy"] == page.headers["Content-Security-Policy"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(directive.strip().split(" ", 1) for directive in page.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "connect-src": "'self'",
        "img-src": "'self' data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }


def test_a_browser_that_has_it_gets_it_once(gateway):
    first = gateway.request("GET", "/operator.js", serves="admin")
    again = gateway.request("GET", "/operator.js", headers={"If-None-Match": f'"other", {first.headers["ETag"]}'}, serves="admin")
    assert (again.status, again.body, again.headers["Content-Length"]) == (304, b"", None)
    other = gateway.request("GET", "/operator.js", headers={"If-None-Match": '"other"'}, serves="admin")
    assert (other.status, other.body) == (200, first.body)


# Events


def test_an_event_arrives_and_is_looked_into(gateway, browser):
    open_page(browser, gateway)
    gateway.deliver(FAILING, path=gateway.callback_path(user="42"))
    shows(browser, "#events tr", "conferencing_failing · profile_missing")
    shows(browser, "#events tr .handlers", "done")
    shows(browser, "#events tr", "user=42")
    assert browser.texts("#events .summary")[0] == "Board meeting"
    browser.wait_for_text("#spoken", "conferencing_failing · profile_missing")
    look_into(browser, "#events a")
    shows(browser, "#event-deliveries", "done")
    assert browser.text("#event-title") == "conferencing_failing · profile_missing"
    assert json.loads(browser.text("#event pre")) == json.loads(FAILING)
    browser.click("#event .choice")
    assert browser.text("#event pre") == FAILING.decode()
    browser.driver.switch_to.active_element.send_keys("\ue00c")
    browser.wait(lambda: not browser.one("#event").is_displayed())


def test_what_is_filtered_and_what_waits(gateway, browser):
    open_page(browser, gateway)
    browser.type("#filter-interactions", "change\n")
    browser.wait_for_text("#connection", "Live")
    browser.wait(lambda: browser.all("#events tr") == [])
    gateway.deliver(callback("conferencing_assigned", summary="not wanted"))
    gateway.deliver(callback("change", summary="wanted"))
    shows(browser, "#events", "wanted")
    assert browser.texts("#events .summary") == ["wanted"]
    browser.click("#pause")
    gateway.deliver(callback("change", summary="later"))
    browser.wait_for_text("#pause", "Go on (1 new)")
    assert browser.texts("#events .summary") == ["wanted"]
    browser.click("#pause")
    browser.wait(lambda: browser.texts("#events .summary") == ["later", "wanted"])


def test_hostile_text_is_text(gateway, browser):
    body = callback(HOSTILE[:60], HOSTILE, summary=HOSTILE, conferencing={"join_url": "javascript:document.title='gotcha'"})
    open_page(browser, gateway)
    gateway.deliver(body, path=gateway.callback_path(user=HOSTILE))
    shows(browser, "#events tr .summary", HOSTILE[:200])
    look_into(browser, "#events a")
    shows(browser, "#event .summary", HOSTILE)
    assert json.loads(browser.text("#event pre")) == json.loads(body)
    assert f"user={HOSTILE}" in browser.text("#event .facts")
    assert browser.all("main img, main script, dialog img, dialog script, dialog a") == []
    assert browser.driver.title == "Events · Belfry"


def test_what_cannot_be_read_is_shown(gateway, browser):
    gateway.deliver(b"nonsense } <b>")
    open_page(browser, gateway)
    shows(browser, "#events tr", "malformed")
    look_into(browser, "#events a")
    assert browser.text("#event pre") == "nonsense } <b>"
    assert "not_json" in browser.text("#event .facts")


def test_however_many_arrive_the_table_is_bounded(gateway, browser):
    open_page(browser, gateway)
    bodies = [callback("change", summary=f"one of many: {i}") for i in range(400)]
    for body in bodies:
        gateway.deliver(body)
    shows(browser, "#events tr .summary", "one of many: 399")
    assert browser.texts("#events .summary") == [f"one of many: {i}" for i in range(399, 99, -1)]
    assert "the newest 300 of" in browser.text("#events-count")


def test_a_connection_that_is_lost_is_made_anew(gateway):
    """And begins behind what has come."""
    with Proxy(gateway.address("admin")) as proxy, Browser(forgives="net::ERR_") as browser:
        browser.open(proxy.url("/"))
        browser.wait_for_text("#connection", "Live")
        gateway.deliver(callback("change", summary="before"))
        shows(browser, "#events .summary", "before")
        proxy.is_dark = True
        proxy.cut()
        browser.wait(lambda: browser.text("#connection") != "Live")
        gateway.deliver(callback("change", summary="meanwhile"))
        proxy.is_dark = False
        proxy.cut()
        browser.wait_for_text("#connection", "Live")
        shows(browser, "#events .summary", "meanwhile")
        assert browser.texts("#events .summary")[:2] == ["meanwhile", "before"]


def test_a_sample_is_sent(gateway, browser):
    open_page(browser, gateway)
    browser.click("#send-open")
    browser.driver.execute_script("document.getElementById('send-sample').value = 'conferencing_failing'")
    browser.type("#send-tags", "user=7, team")
    browser.click("#send .main")
    browser.wait_for_text("#event-title", "conferencing_failing · profile_missing")
    browser.wait_for_text("#event .facts", "user=7")
    assert sorted(browser.texts("#event .facts .tag")) == ["team=", "user=7"]
    shows(browser, "#event-deliveries", "done")


def test_what_cannot_be_sent_is_told(gateway):
    with Browser(forgives="status of 400") as browser:
        open_page(browser, gateway)
        browser.click("#send-open")
        browser.type("#send-source", "nobody")
        browser.click("#send .main")
        browser.wait_for_text("#send-trouble", "none of the configuration's")
        browser.click("#send-close")
        browser.click("#send-open")
        assert not browser.one("#send-trouble").is_displayed()


def test_every_sample_can_be_sent(gateway, browser):
    open_page(browser, gateway)
    known = [line.split()[0] for line in gateway.belfry("send", "--list").stdout.decode().splitlines()]
    options = "return [...document.querySelectorAll('#send-sample option')].map(option => option.value)"
    assert browser.driver.execute_script(options) == [*known, "own"]


# Handlers


def test_a_dead_letter_is_replayed_and_done(gateway, far_end, browser):
    dead_letter(gateway, far_end)
    open_page(browser, gateway, "dead")
    shows(browser, "#dead tr", "given up")
    press(browser, "#dead button")
    shows(browser, "#dead tr .state", "done")
    assert states(gateway)[-1] == DONE
    assert browser.one("#replay-all").get_property("disabled")


def test_all_are_replayed_after_a_question(gateway, far_end, browser):
    for _ in range(3):
        dead_letter(gateway, far_end)
    open_page(browser, gateway, "dead")
    browser.wait(lambda: len(browser.all("#dead tr")) == 3)
    browser.click("#replay-all")
    browser.click("#question button[value=no]")
    browser.wait(lambda: not browser.one("#question").is_displayed())
    assert states(gateway).count(DEAD) == 3
    browser.click("#replay-all")
    browser.click("#question-yes")
    browser.wait_for_text("#done", "3 deliveries owed again")
    wait_until(lambda: DEAD not in states(gateway))
    browser.wait(lambda: browser.one("#dead-empty").is_displayed())


def test_handlers_subscribers_and_status(gateway, browser):
    settle(gateway, told())
    open_page(browser, gateway, "handlers")
    shows(browser, "#handlers li h3", "it")
    assert browser.texts("#handlers li .state") == ["idle"]
    with gateway.connect() as subscriber:
        subscriber.subscribe({"tags": {"user": ["42", "43"]}, "interactions": "change"})
        browser.click("nav a[href='#subscribers']")
        shows(browser, "#subscribers tr", "interactions change · user=42, 43")
        browser.click("nav a[href='#status']")
        browser.wait_for_text("#tiles", "events kept")
        browser.wait(lambda: len(browser.all("#plots canvas[aria-label]")) == 5)


# The configuration


@pytest.fixture(name="rewrite")
def _rewrite(gateway):
    def rewrite(**limits):
        gateway.config["limits"] = limits
        gateway.write_config()

    yield rewrite
    rewrite()


def test_what_is_in_force_is_shown_without_secrets(gateway, browser):
    open_page(browser, gateway, "configuration")
    browser.wait_for_text("#configuration", "max_body: 256KiB")
    shown = browser.text("#configuration")
    assert "cronofy:" in shown and str(gateway.journal) in shown
    gateway.check_no_secret("the page", shown + browser.driver.page_source)


def test_a_reload_is_looked_at_and_done(gateway, browser, rewrite):
    rewrite(queue="9MiB")
    open_page(browser, gateway, "configuration")
    browser.wait_for_text("#changes", "limits.queue changed")
    browser.click("#reload")
    browser.wait_for_text("#done", "Reloaded: 1 change.")
    browser.wait_for_text("#changes", "Nothing")


def test_what_a_reload_complains_of_is_told(gateway, rewrite):
    rewrite(queue="nine")
    with Browser(forgives="status of 422") as browser:
        open_page(browser, gateway, "configuration")
        browser.wait_for_text("#changes .bad", "nine")
        browser.click("#reload")
        browser.wait_for_text("#trouble", "the one that is in force stays")


# Who may do what

TOKENS = {"operator": "canary-operator-token-0123456789", "viewer": "canary-viewer-token-0123456789ab"}
UNAUTHORIZED = r"the server responded with a status of 401"


@pytest.fixture(scope="module")
def guarded():
    running = Gateway(handlers())
    tokens = [{"name": f"the-{role}", "role": role, "token": running.secret_file(role, token)} for role, token in TOKENS.items()]
    running.config = merge(running.config, {"admin": {"address": "127.0.0.1:0", "tokens": tokens}})
    with running:
        yield running


def sign_in(browser, gateway, token):
    browser.wait(lambda: browser.one("#entrance").is_displayed())
    browser.type("#token", token)
    browser.click("#entrance .main")


def test_a_wrong_token_is_told_and_the_right_one_is_kept_in_this_tab(guarded):
    with Browser(forgives=UNAUTHORIZED) as browser:
        browser.open(page_url(guarded))
        sign_in(browser, guarded, "not-the-right-token-0123456789")
        browser.wait_for_text("#entrance-trouble", "does not accept this token")
        sign_in(browser, guarded, TOKENS["operator"])
        browser.wait_for_text("#connection", "Live")
        assert browser.text("#who-text") == "the-operator (operator)"
        assert not browser.one("#entrance").is_displayed()
        elsewhere = "return JSON.stringify([{...localStorage}, document.cookie, location.href, history.state])"
        assert TOKENS["operator"] not in browser.driver.execute_script(elsewhere) + browser.driver.page_source
        browser.driver.refresh()
        browser.wait_for_text("#connection", "Live")
        browser.click("#leave")
        browser.wait(lambda: browser.one("#entrance").is_displayed())
        assert browser.driver.execute_script("return sessionStorage.length") == 0


def test_a_viewer_sees_and_cannot_act(guarded):
    settle(guarded, told("reject"))
    with Browser(forgives=UNAUTHORIZED) as browser:
        browser.open(page_url(guarded, "#dead"))
        sign_in(browser, guarded, TOKENS["viewer"])
        shows(browser, "#dead tr", "told to reject")
        for view, act in (("dead", "#dead button"), ("dead", "#replay-all"), ("events", "#send-open"), ("configuration", "#reload")):
            browser.click(f"nav a[href='#{view}']")
            browser.wait(lambda view=view: browser.one(f"#view-{view}").is_displayed())
            assert not browser.one(act).is_displayed(), act
    assert states(guarded) == [DEAD]


# For everybody

AXE = "axe-core@4.10.3"
AXE_SHA512 = "Xm7bpRXnDSX2YE2YFfBk2FnF0ep6tmG7xPh8iHee8MIcrgq762Nkce856dYtJYLkuIoYZvGfTs/PbZhideTcEg=="
CACHE = pathlib.Path(__file__).resolve().parents[2] / "build-npm"  # fetched once


@pytest.fixture(scope="module", name="axe")
def _axe():
    archive = CACHE / f"{AXE.replace('@', '-')}.tgz"
    if not archive.exists():
        CACHE.mkdir(exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", AXE], cwd=CACHE, check=True, capture_output=True, timeout=60)
    assert base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode() == AXE_SHA512
    return subprocess.run(["tar", "-xOf", archive, "package/axe.min.js"], check=True, capture_output=True).stdout.decode()


def check_findings(browser, axe, view):
    """What axe-core finds serious, or worse, in what is shown now; and whether something hangs over."""
    browser.driver.execute_script(axe)
    result = browser.driver.execute_async_script("axe.run({ preload: false, resultTypes: ['violations'] }).then(arguments[0])")
    found = [(each["id"], [node["html"] for node in each["nodes"]]) for each in result["violations"]
             if each["impact"] in ("serious", "critical")]  # fmt: skip
    assert found == [], view
    width = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.driver.execute_script(width) == 0, view


VIEWS = {
    "events": "#events tr", "status": "#plots canvas[aria-label]", "handlers": "#handlers li", "dead": "#dead tr",
    "subscribers": "#subscribers tr", "configuration": "#changes ul",
}  # fmt: skip


@pytest.mark.parametrize("width, scheme", [(360, "light"), (1280, "dark")])
def test_everybody_can_use_it(gateway, far_end, axe, width, scheme):
    dead_letter(gateway, far_end)
    with Browser(width=width, height=800, scheme=scheme) as browser, gateway.connect() as subscriber:
        subscriber.subscribe()
        open_page(browser, gateway)
        for view, wanted in VIEWS.items():
            browser.driver.execute_script("location.hash = arguments[0]", view)
            browser.wait(lambda wanted=wanted: browser.all(wanted))
            check_findings(browser, axe, view)
        browser.driver.execute_script("location.hash = 'dead'")
        look_into(browser, "#dead a")
        check_findings(browser, axe, "an event")
