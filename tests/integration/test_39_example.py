# SPDX-License-Identifier: Apache-2.0
"""The booking page in a browser: a meeting's card goes from "creating" to its link, whatever happens on the way."""

import http.client

import pytest

from browser import Browser
from clients import PATIENCE
from example import Example

pytestmark = pytest.mark.no_tsan


@pytest.fixture
def example(tmp_path):
    with Example(tmp_path) as running:
        yield running


@pytest.fixture
def browser():
    with Browser() as running:
        yield running


def open_page(browser, example):
    browser.open(f"{example.url}/")
    browser.wait_for_text("#connection", "Live")


def book(browser, title, video):
    browser.type("#title", title)
    browser.click(f"label:has([value={video}])")
    browser.click("#booking button")
    browser.wait(lambda: title in browser.texts(".meeting h3"))


def wait_for_status(browser, text):
    browser.wait_for_text(".meeting .status", text)


def test_a_conference_is_made(example, browser):
    open_page(browser, example)
    book(browser, "Board meeting", "zoom")
    wait_for_status(browser, "Creating the conference…")
    example.cronofy.clock.advance(1)
    wait_for_status(browser, "Your video conference is ready.")
    assert browser.one(".meeting a").get_attribute("href").startswith("https://")


def test_another_provider_is_tried_and_a_page_opened_later_knows(example, browser):
    open_page(browser, example)
    book(browser, "Quarterly review", "teams")
    wait_for_status(browser, "Creating the conference…")
    example.cronofy.clock.advance(1)
    wait_for_status(browser, "We are trying another provider…")
    assert not browser.all(".meeting a")
    example.await_version(2)
    example.cronofy.clock.advance(1)
    wait_for_status(browser, "Your video conference is ready.")
    told = [
        "conferencing_failing: profile_missing",
        "next-profile: tried pro_zoom after pro_gone: accepted",
        "conferencing_assigned",
        "next-profile: the event has its conference: what was tried is forgotten",
    ]
    browser.wait(lambda: browser.texts(".meeting details span") == told)
    browser.driver.refresh()
    wait_for_status(browser, "Your video conference is ready.")
    browser.wait(lambda: browser.texts(".meeting details span") == told)


def test_nobody_else_books(example):
    """Another site's page cannot post JSON without asking, and is not answered when it asks."""
    host, port = example.url.removeprefix("http://").split(":")
    for method, content_type in (("POST", "text/plain"), ("OPTIONS", "application/json")):
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        connection.request(method, "/bookings", body=b"{}", headers={"Content-Type": content_type})
        answer = connection.getresponse()
        assert answer.status in (404, 501) and "Access-Control-Allow-Origin" not in answer.headers
        connection.close()
    assert list(example.cronofy.events) == []
