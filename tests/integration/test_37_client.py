# SPDX-License-Identifier: Apache-2.0
"""belfry.js: the file and its package, where pages get it, and what it does, in Node."""

import json
import shutil
import subprocess
import tarfile
import threading

import pytest

from clients import PATIENCE
from gateway import Gateway, callback
from webclient import CLIENT, ROOT, Node, Site, deliver, ids

pytestmark = pytest.mark.no_tsan

WEB = ROOT / "core" / "web"
ORIGIN = "https://app.example.com"


@pytest.fixture(scope="module")
def gateway():
    with Gateway({"subscribers": {"outcomes": True}}) as running:
        yield running


@pytest.fixture
def fresh():
    with Gateway() as running:
        yield running


# The file


@pytest.mark.parametrize("name", ["filters", "client"])
def test_its_own_tests(name):
    subprocess.run(["node", "--test", str(CLIENT / f"{name}.test.mjs")], timeout=PATIENCE * 3, check=True)


def test_its_types_are_right(tmp_path):
    """What developers write is accepted, and what they get wrong is not (the lines with @ts-expect-error)."""
    modules = tmp_path / "node_modules" / "@belfry"
    modules.mkdir(parents=True)
    (modules / "client").symlink_to(WEB)
    shutil.copy(CLIENT / "consumer.ts", tmp_path)
    done = subprocess.run(
        ["tsc", "--noEmit", "--strict", "--target", "es2020", "--module", "es2020", "--lib", "es2020,dom",
         "--moduleResolution", "node", "--preserveSymlinks", "consumer.ts"],
        cwd=tmp_path, timeout=PATIENCE * 3, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_the_package_says_what_is_in_it():
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    version = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8").split("project(belfry VERSION ")[1].split()[0]
    assert package["version"] == version
    assert package["files"] == ["belfry.js", "belfry.d.ts"]
    assert {package["main"], package["types"]} == {"./belfry.js", "./belfry.d.ts"}
    assert (WEB / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()


def test_npm_packs_the_client_alone(tmp_path):
    subprocess.run(
        ["npm", "pack", "--silent", "--offline", "--cache", str(tmp_path / "cache"),
         "--pack-destination", str(tmp_path)],
        cwd=WEB, timeout=PATIENCE * 3, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as archive:
        names = sorted(archive.getnames())
    assert names == [f"package/{name}" for name in ("LICENSE", "README.md", "belfry.d.ts", "belfry.js", "package.json")]


# Where pages get it


def test_it_is_served(gateway):
    answer = gateway.request("GET", "/belfry.js")
    assert (answer.status, answer.body) == (200, (WEB / "belfry.js").read_bytes())
    assert answer.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"


def test_who_has_it_is_told_so(gateway):
    etag = gateway.request("GET", "/belfry.js").headers["ETag"]
    for known in (etag, f'"other", {etag}'):
        answer = gateway.request("GET", "/belfry.js", headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", etag)
        assert "Content-Length" not in answer.headers
    for known in ('"other"', etag.strip('"'), ""):
        assert gateway.request("GET", "/belfry.js", headers={"If-None-Match": known}).status == 200


def test_pages_that_may_subscribe_may_load_it():
    with Gateway({"subscribers": {"origins": [ORIGIN]}}) as gateway:
        answer = gateway.request("GET", "/belfry.js", headers={"Origin": ORIGIN})
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, ORIGIN)
        assert gateway.request("GET", "/belfry.js", headers={"Origin": "https://evil.example.com"}).status == 403
        assert gateway.request("GET", "/belfry.js", headers={"Host": "evil.example.com"}).status == 421


def test_it_is_where_subscribers_are():
    listen = [{"address": "127.0.0.1:0", "serves": [one]} for one in ("sources", "subscribers")]
    with Gateway({"listen": listen}) as gateway:
        assert gateway.request("GET", "/belfry.js", serves="subscribers").status == 200
        assert gateway.request("GET", "/belfry.js", serves="sources").status == 404
        assert gateway.request("POST", "/belfry.js", b"").headers["Allow"] == "GET, HEAD"


# In Node


def test_events_arrive(gateway):
    with Node(gateway.url(scheme="http"), {"filter": {"tags": {"user": "42"}}}) as node:
        node.subscribed()
        deliver(gateway, "another's", user="43")
        deliver(gateway, "one", user="42")
        message = node.message()
        assert message == {"name": "s", **gateway.events("?last=1")["events"][0]}
        assert node.notices("state") == [{"notice": "state", "state": state} for state in ("connecting", "live")]


def test_each_event_goes_to_those_who_want_it(gateway):
    with Node(gateway.url(scheme="http")) as node:
        for name, user in (("a", "1"), ("b", "2"), ("all", None)):
            node.subscribe(name, {"tags": {"user": user}} if user else {}).subscribed(name)
        deliver(gateway, "first", user="1")
        assert sorted(node.next()["name"] for _ in range(2)) == ["a", "all"]
        deliver(gateway, "second", user="2")
        assert sorted(node.next()["name"] for _ in range(2)) == ["all", "b"]
        node.order("unsubscribe", name="all")
        node.order("unsubscribe", name="a")
        node.subscribe("late", {"tags": {"user": "3"}}).subscribed("late")
        deliver(gateway, "third", user="1")
        deliver(gateway, "fourth", user="3")
        assert ids([node.message("late")]) == ["fourth"]


def test_each_begins_where_it_wants(fresh):
    deliver(fresh, "one", "two", "three")
    after = fresh.events()["events"][0]["position"]
    with Node(fresh.url(scheme="http"), {"name": "live"}) as node:
        node.until(name="live", subscribed=True)
        for name, wish, expected in (
            ("last", {"last": 2}, ["two", "three"]),
            ("after", {"after": after}, ["two", "three"]),
            ("earliest", {"after": "earliest"}, ["one", "two", "three"]),
        ):
            node.subscribe(name, **wish)
            assert ids(node.message(name) for _ in expected) == expected
        deliver(fresh, "four")
        assert sorted(node.next()["name"] for _ in range(4)) == ["after", "earliest", "last", "live"]


def test_a_position_can_be_kept(fresh):
    with Node(fresh.url(scheme="http"), {}) as node:
        node.subscribed()
        deliver(fresh, "one")
        position = node.message()["position"]
        node.order("position", name="s")
        node.until(name="s", at=position)
    deliver(fresh, "two")
    with Node(fresh.url(scheme="http"), {"after": position}) as node:
        assert ids([node.message()]) == ["two"]


def test_pages_and_what_comes_meanwhile_make_one_row(fresh):
    """More than pages of history, while events arrive all the time."""
    n = 350
    deliver(fresh, *[f"old-{i}" for i in range(n)])
    new = [f"new-{i}" for i in range(n)]
    writer = threading.Thread(target=deliver, args=(fresh, *new))
    with Node(fresh.url(scheme="http")) as node:
        writer.start()
        node.subscribe(after="earliest")
        assert ids(node.message() for _ in range(2 * n)) == [f"old-{i}" for i in range(n)] + new
        writer.join()


def test_a_slow_reader_loses_nothing(fresh):
    """It waits for its reader with more than is held in memory (1,000), and goes on in the journal."""
    n = 2300
    with Node(fresh.url(scheme="http"), {"reads": True}) as node:
        node.subscribed()
        deliver(fresh, *[str(i) for i in range(n)])
        node.order("read", n=n)
        assert ids(node.message() for _ in range(n)) == [str(i) for i in range(n)]
        node.order("unsubscribe", name="s")
        node.until(name="s", ended=True)


def test_outcomes_are_for_those_who_ask(gateway):
    """Whether there are any is test_46_outcomes.py's: here, that asking is heard and not asking is as well."""
    with Node(gateway.url(scheme="http"), {"name": "a", "outcomes": True}, {"name": "b"}) as node:
        node.until(name="b", subscribed=True)
    with Gateway() as without, Node(without.url(scheme="http"), {"name": "a", "outcomes": True}, {"name": "b"}) as node:
        said = node.until(name="b", subscribed=True)
        (error,) = [value for value in said if value.get("notice") == "error"]
        assert error["code"] == "forbidden" and "outcomes" in error["reason"]
        assert not any(value.get("name") == "a" for value in said)


def test_what_is_forbidden_ends_alone():
    with Gateway(tokens=True) as gateway, Site(CLIENT, lambda: gateway.token([{"tags": {"user": "42"}}])) as site:
        with Node(gateway.url(scheme="http"), token_url=f"{site.origin}/token") as node:
            node.subscribe("mine", {"tags": {"user": "42"}})
            node.subscribe("yours", {"tags": {"user": "43"}}, reads=True)
            said = node.until(name="mine", subscribed=True)
            assert {"name": "yours", "ended": "forbidden"} in said
            deliver(gateway, "one", user="42")
            assert ids([node.message("mine")]) == ["one"]


def test_a_token_that_was_never_good_is_the_end():
    with Gateway(tokens=True) as gateway, Site(CLIENT, lambda: gateway.token(secret="x" * 40)) as site:
        with Node(gateway.url(scheme="http"), {"reads": True}, token_url=f"{site.origin}/token") as node:
            said = node.until(name="s", ended="unauthorized")
            assert {"notice": "state", "state": "closed"} in said
            assert site.n_tokens == 1
        with Node(gateway.url(scheme="http"), {"reads": True}) as node:
            node.until(name="s", ended="unauthorized")


def test_what_is_lost_is_told(fresh):
    with Node(fresh.url(scheme="http")) as node:
        node.subscribe("s").subscribed()
        deliver(fresh, "one")
        before = node.message()["position"]
        fresh.config["listen"][0]["address"] = fresh.listener("subscribers")["address"]
        fresh.stop()
        for path in fresh.folder.glob("journal.db*"):
            path.unlink()
        fresh.start()
        gap = node.until(notice="gap")[-1]
        assert gap["after"] == before and gap["resumedAt"].endswith("-0")
        deliver(fresh, "two")
        assert ids([node.message()]) == ["two"]
        (restart, *_) = node.notices("disconnect")
        assert (restart["code"], restart["reconnect"]) == (1012, True)
