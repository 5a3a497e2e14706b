# SPDX-License-Identifier: Apache-2.0
"""The booking page in a browser: a meeting's card goes from "creating" to its link, whatever happens on the way."""

import http.client

import pytest

from browser import Browser
from clients import PATIENCE
from example import Example, book

pytestmark = pytest.mark.no_tsan


@pytest.fixture
def example(tmp_path):
    with Example(tmp_path) as running:
        yield running


@pytest.fixture
def browser():
    with Browser() as running:
        yield running


def wait_for_status(browser, text):
    browser.wait_for_text(".meeting .status", text)


def test_a_conference_is_made(example, browser):
    example.open(browser)
    book(browser, "Board meeting", "zoom")
    wait_for_status(browser, "Creating the conference…")
    example.cronofy.clock.advance(1)
    wait_for_status(browser, "Your video conference is ready.")
    assert browser.one(".meeting a").get_attribute("href").startswith("https://")


def test_another_provider_is_tried_and_a_page_opened_later_knows(example, browser):
    example.open(browser)
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


def ask(example, method, path, **headers):
    connection = http.client.HTTPConnection(example.url.removeprefix("http://"), timeout=PATIENCE)
    connection.request(method, path, body=b"{}" if method == "POST" else None, headers=headers)
    answer = connection.getresponse()
    connection.close()
    assert "Access-Control-Allow-Origin" not in answer.headers
    return answer.status


def test_nobody_else_books(example):
    """Another site's page cannot post JSON without asking, and is not answered when it asks."""
    assert ask(example, "POST", "/bookings", **{"Content-Type": "text/plain"}) == 404
    assert ask(example, "OPTIONS", "/bookings", Origin="https://evil.example.com") == 501
    assert ask(example, "GET", "/token", Host="evil.example.com") == 421
    assert ask(example, "GET", "/token") == 200
    assert list(example.cronofy.events) == []
