# SPDX-License-Identifier: Apache-2.0
"""The administrator's side: who may do what there, and what it says (core/net/admin.md)."""

import contextlib
import http.client
import json
import re
import ssl
import stat

import pytest

from clients import PATIENCE, EventStream
from gateway import Gateway, callback
from handling import Recorder, handlers, is_settled, settle, told, wait_until
from test_70_tls import make_certificate

ADMIN = {"admin": {"address": "127.0.0.1:0"}}

VIEWER = "canary-viewer-token-0123456789abcdef"
OPERATOR = "canary-operator-token-0123456789abcdef"

ASKED = ["/status", "/events", "/deliveries", "/handlers", "/subscribers", "/metrics"]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def ask(gateway, path, **headers):
    answer = gateway.request("GET", path, headers=headers, serves="admin")
    assert answer.status == 200, answer
    return answer.json()


def guarded(changes=None):
    gateway = Gateway({**ADMIN, **(changes or {})})
    tokens = {
        "alice": ("viewer", VIEWER),
        "bob": ("operator", OPERATOR),
    }
    gateway.config["admin"]["tokens"] = [
        {"name": name, "role": role, "token": gateway.secret_file(name, token)} for name, (role, token) in tokens.items()
    ]
    return gateway


# Who may do what


def test_roles():
    """A viewer may read, an operator everything, others nothing; and what was done is in the log with a name."""
    with guarded() as gateway:

        def status(method, path, token=None):
            headers = bearer(token) if token else {}
            return gateway.request(method, path, headers=headers, serves="admin").status

        for path in ASKED:
            assert [status("GET", path, token) for token in (None, "x" * 20, VIEWER, OPERATOR)] == [401, 401, 200, 200]
        assert [status("POST", "/replay?dead", token) for token in (None, "x" * 20, VIEWER)] == [401, 401, 403]
        gateway.stop()
        assert " operator name=" not in gateway.log()
        gateway.start()
        assert status("POST", "/replay?dead", OPERATOR) == 200
        gateway.wait_for_line(r" info operator name=bob method=POST path=/replay query=dead peer=127\.0\.0\.1:")
        assert status("GET", "/healthz") == status("GET", "/readyz") == 200
        for scheme in ("Basic", "bearer  "):  # the name's case is nothing, blanks are none of it
            answer = gateway.request("GET", "/status", headers={"Authorization": f"{scheme} {VIEWER}"}, serves="admin")
            assert answer.status == (401 if scheme == "Basic" else 200)
        answer = gateway.request("GET", "/metrics", headers=bearer(VIEWER), serves="admin").body.decode()
        assert 'belfry_admin_refused_total{reason="token"} 1' in answer
        assert 'belfry_admin_refused_total{reason="role"} 0' in answer


def test_guessing_gets_slow():
    """A hundred wrong tokens are answered at once, the next have to wait, and a good one never does."""
    with guarded() as gateway, gateway.raw("admin") as guesser, gateway.raw("admin") as late:
        for i in range(100):
            guesser.send(f"GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {i:064}\r\n\r\n".encode())
            assert guesser.read_answer().status == 401
        late.send(b"GET /status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer nothing\r\n\r\n" * 2)
        gateway.wait_for_line("bad tokens come too fast")
        assert ask(gateway, "/status", **bearer(VIEWER))["you"] == {"name": "alice", "role": "viewer"}


@pytest.mark.parametrize("method, path", [("GET", "/deliveries"), ("GET", "/metrics"), ("POST", "/replay?dead")])
def test_pages_of_elsewhere_get_nothing(method, path):
    with Gateway({"admin": {"address": "127.0.0.1:0", "server_names": ["gateway.example.com"]}}) as gateway:

        def status(path=path, method=method, **headers):
            return gateway.request(method, path, headers=headers, serves="admin").status

        own = gateway.listener("admin")["address"]
        assert status() == status(Host="localhost:1") == status(Host="Gateway.example.com:99") == 200
        assert status(Origin=f"http://{own}") == 200
        assert status(Host="gateway.example.com", Origin="https://gateway.example.com") == 200
        assert status(Host="rebound.example.com") == 421
        assert status(Host="rebound.example.com", Origin="http://rebound.example.com") == 421
        for origin in ("http://127.0.0.1:1", "http://evil.example.com", "null"):
            assert status(Origin=origin) == 403
        assert status("/healthz", "GET", Host="anything", Origin="http://evil.example.com") == 200
        refused = gateway.metrics()["belfry_admin_refused_total"]
        assert {labels["reason"]: value for _, labels, value in refused.samples} == {
            "host": 2, "origin": 3, "token": 0, "role": 0,
        }  # fmt: skip


@pytest.mark.parametrize("access, mode", [("owner", 0o600), ("group", 0o660)])
def test_the_socket(tmp_path, access, mode):
    """Whoever may open it may do everything, whatever the request says of itself."""
    path = tmp_path / "admin.sock"
    gateway = guarded()
    gateway.config["admin"].update(socket=str(path), socket_access=access)
    with gateway:
        assert stat.S_IMODE(path.stat().st_mode) == mode
        headers = {"Host": "anything", "Origin": "http://evil.example.com"}
        answer = gateway.request("GET", "/status", headers=headers, unix=path)
        assert answer.json()["you"] == {"name": "socket", "role": "operator"}
        assert gateway.request("POST", "/replay?dead", unix=path).json() == {"replayed": 0}
        gateway.wait_for_line(" info operator name=socket method=POST path=/replay query=dead peer=unix")
        assert gateway.request("GET", "/status", serves="admin").status == 401
        gateway.stop()
        del gateway.config["admin"]["address"]
        gateway.start()  # the old one, which nobody listens on, is no obstacle
        assert gateway.request("GET", "/healthz", unix=path).status == 200


def test_tls():
    gateway = Gateway(ADMIN)
    gateway.config["admin"]["tls"] = make_certificate(gateway.folder)
    with gateway:
        assert gateway.listener("admin")["tls"] == "yes"
        context = ssl.create_default_context(cafile=gateway.config["admin"]["tls"]["certificate"])
        with contextlib.closing(http.client.HTTPSConnection(*gateway.address("admin"), context=context)) as connection:
            connection.timeout = PATIENCE
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"ready\n")
        del gateway.listeners[:]  # the harness speaks no TLS


# The command line


def test_the_command_line(tmp_path):
    """By the socket, where no token is needed; without one by the address, with the first operator's token."""
    gateway = guarded(handlers())
    gateway.config["admin"]["socket"] = str(tmp_path / "admin.sock")
    with gateway, gateway.connect() as subscriber:
        subscriber.subscribe({"tags": {"user": "42"}})
        settle(gateway, told("reject", event_id="one"), b"{")

        def said(*words, **options):
            return gateway.belfry(*words, **options).stdout.decode()

        assert said("status").startswith("ok: belfry ") and "subscribers  1 live, 0 behind" in said("status")
        events = said("events").splitlines()
        assert " malformed " in events[0] and "premature_end" in events[0]
        assert " callback " in events[1] and events[1].endswith("  conferencing_assigned  one")
        assert said("events", "--kind", "malformed", "--limit", "5").splitlines() == events[:1]
        assert json.loads(said("events", "--event-id", "one", "--json"))["events"][0]["event_id"] == "one"
        whole = said("events", events[1].split()[0])
        assert '"event_id":"one"' in whole and "told to reject" in whole
        assert re.match(r"it  +idle +owed 0 +done 0 +retried 0 +dead 1 ", said("handlers"))
        assert f"{subscriber.welcome['session']}  websocket  live" in said("subscribers", "--state", "live")
        assert said("subscribers", "--state", "idle") == ""
        assert said("events", "--limit", "0", expect_exit=2) == ""
        url = f"http://{gateway.listener('admin')['address']}/status"
        gateway.belfry("status", "--url", url, expect_exit=2)  # 401: it knows of no token there
        (tmp_path / "token").write_text(VIEWER + "\n")
        (tmp_path / "token").chmod(0o600)
        assert said("status", "--url", url, "--token-file", str(tmp_path / "token")).startswith("ok: ")
        assert said("drain") == "the gateway is stopping\n"
        gateway.join()


# What it does


def post(gateway, path, body=None, **headers):
    return gateway.request("POST", path, json.dumps(body) if body is not None else None, headers, serves="admin")


def test_a_callback_can_be_sent():
    """Signed with the source's own secret, and taken in as every other."""
    with Gateway(ADMIN) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        answer = post(gateway, "/send", {"source": "cronofy", "sample": "conferencing_assigned", "tags": {"user": "42"}})
        event = subscriber.event()
        assert answer.json() == {"outcome": "stored", "position": event["position"]}
        assert event["interactions"] == [{"type": "conferencing_assigned"}] and event["tags"] == {"user": "42"}
        body = {"body": callback(event_id="one").decode()}
        answers = [post(gateway, "/send", body).json() for _ in range(2)]
        assert [answer["outcome"] for answer in answers] == ["stored", "duplicate"]
        assert subscriber.event()["position"] == answers[0]["position"] == answers[1]["position"]
        assert post(gateway, "/send", {"body": "{"}).json()["outcome"] == "malformed"
        assert gateway.metric("callbacks_total") == 4
        for wrong in (
            {"sample": "none"}, {"sample": "change", "body": "{}"}, {}, [], {"source": "x", "sample": "change"},
            {"sample": "change", "tags": {"user": 42}}, {"sample": "change", "tags": {"a b": "c"}},
            {"sample": "change", "else": 1}, {"sample": 1},
        ):  # fmt: skip
            answer = post(gateway, "/send", wrong)
            assert (answer.status, answer.json()["error"]) == (400, "malformed"), wrong
        assert post(gateway, "/send", {"body": "x" * 300000}).status == 413
        assert gateway.metric("callbacks_total", reason="too_large") == 1


def test_it_can_be_told_to_stop():
    with Gateway(ADMIN) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        assert post(gateway, "/drain").json() == {"draining": True}
        assert subscriber.wait_closed()[1] == 1012
        gateway.wait_for_line(" info operator name=address method=POST path=/drain ")
        gateway.join()


# What it says


def test_the_configuration_in_force():
    """As it would be written, without secrets (which the harness looks for in every answer)."""
    changes = {**handlers(options={"url": "http://127.0.0.1:1/canary-option-secret"}, allow=["inner"]), "reactors": 2}
    gateway = guarded(changes)
    gateway.canaries.add("canary-option-secret")
    with gateway:
        said = ask(gateway, "/configuration", **bearer(VIEWER))
        config = said["configuration"]
        source = config["sources"]["cronofy"]
        assert source["secrets"] == [{"secret": f"file {gateway.folder}/cronofy"}]
        assert (source["scheme"], source["duplicate_window"], source["max_body"]) == ("cronofy", "10m", "256KiB")
        assert config["listen"][0]["address"] == "127.0.0.1:0"
        assert config["listen"][0]["serves"] == ["sources", "subscribers"]
        assert config["admin"]["tokens"][0] == {
            "name": "alice", "role": "viewer", "token": {"secret": f"file {gateway.folder}/alice"},
        }  # fmt: skip
        assert config["handlers"]["it"]["allow"] == ["inner"] and "options" not in config["handlers"]["it"]
        assert config["interactions"]["*"][0]["handler"] == "it" and config["reactors"] == 2
        assert config["subscribers"]["anonymous"] is True and said["loaded_at"][:2] == "20"


def test_the_last_hours():
    changes = {**handlers(), **ADMIN, "reactors": 2, "limits": {"queue": "8MiB"}}
    with Gateway(changes) as gateway, contextlib.ExitStack() as stack:
        empty = ask(gateway, "/history?span=600&step=600")
        assert empty["callbacks"]["stored"] == [0] and empty["durable_p99_ms"] == [None] and empty["subscribers"] == [0]
        for _ in range(3):
            stack.enter_context(gateway.connect()).subscribe()
        body = told(event_id="one")
        for each in (body, body, told("reject", event_id="two"), b"{"):
            gateway.deliver(each)
        gateway.post(callback(), secrets=("CRN_another-secret-0123456789abcdef0123",))
        wait_until(lambda: is_settled(gateway))

        def total(series):
            return {name: sum(numbers) for name, numbers in series.items()}

        said = ask(gateway, "/history?span=120&step=10")
        assert said["step"] == 10 and len(said["subscribers"]) == 12 and said["until"][:2] == "20"
        assert total(said["callbacks"]) == {
            "stored": 2, "duplicate": 1, "malformed": 1, "refused": 1, "abandoned": 0, "unavailable": 0,
        }  # fmt: skip
        assert total(said["deliveries"]) == {"done": 1, "retry": 0, "dead": 1}
        assert said["subscribers"][-1] == 3 and sum(said["answers_5xx"]) == 0
        assert 0 < max(p99 or 0 for p99 in said["durable_p99_ms"]) <= 5000
        whole = ask(gateway, "/history")
        assert whole["step"] == 60 and len(whole["subscribers"]) <= 360 and total(whole["callbacks"])["stored"] == 2
        for query in ("step=15", "step=0", "span=21601", "other=1"):
            assert gateway.request("GET", f"/history?{query}", serves="admin").status == 400, query


def test_status():
    with Gateway(ADMIN) as gateway, gateway.connect() as subscriber, gateway.stream():
        subscriber.subscribe()
        gateway.deliver_next(subscriber)
        status = wait_until(lambda: (said := ask(gateway, "/status"))["subscribers"]["live"] == 2 and said)
        epoch = status["journal"]["epoch"]
        assert (status["state"], status["problems"], status["handlers"]) == ("ok", [], 0)
        assert status["configuration"]["loaded_at"] <= status["started_at"][:-5] + "~"
        assert (status["journal"]["head"], status["journal"]["oldest"]) == (f"{epoch}-1", f"{epoch}-1")
        assert status["journal"]["events"] == 1 and status["journal"]["writable"] is True
        assert status["queue"] == {"callbacks": 0, "bytes": 0}
        assert status["subscribers"] == {"lag": 0, "live": 2, "behind": 0, "idle": 0, "websocket": 1, "stream": 1}
        assert status["connections"]["open"] >= 2
        assert status["you"] == {"name": "address", "role": "operator"}
        gateway.journal.rename(gateway.folder / "moved.db")
        assert gateway.post(callback()).status == 503
        status = ask(gateway, "/status")
        assert status["state"] == "degraded" and status["problems"][0].startswith("the journal cannot be written: ")
        (gateway.folder / "moved.db").rename(gateway.journal)


def test_who_is_subscribed():
    with Gateway({**ADMIN, "reactors": 2}, tokens=True) as gateway, contextlib.ExitStack() as stack:
        token = gateway.token(({"tags": {"user": ["42"]}},))
        for _ in range(3):
            subscriber = stack.enter_context(gateway.connect(welcome=False)).authorize(token)
            subscriber.subscribe({"tags": {"user": "42"}})
        stack.enter_context(gateway.connect(welcome=False)).authorize(token)
        stream = stack.enter_context(gateway.stream("?tags.user=42", headers=bearer(token)))
        assert stream.status == 200
        said = wait_until(lambda: (said := ask(gateway, "/subscribers"))["matching"] == 5 and said)
        one = next(entry for entry in said["subscribers"] if entry["session"] == subscriber.welcome["session"])
        assert re.fullmatch(r"127\.0\.0\.1:\d+", one.pop("peer")) and one.pop("since")[:2] == "20"
        assert one.pop("position").endswith("-0") and one.pop("session")
        assert one == {
            "transport": "websocket", "state": "live", "subject": "user-42", "lag": 0,
            "filters": [{"tags": {"user": ["42"]}}],
        }  # fmt: skip
        for query, n in {"transport=stream": 1, "state=idle": 1, "state=live": 4, "lag=1": 0}.items():
            said = ask(gateway, f"/subscribers?{query}")
            assert (said["matching"], len(said["subscribers"])) == (n, n), query
        said = ask(gateway, "/subscribers?limit=2&state=live")
        assert (said["matching"], len(said["subscribers"])) == (4, 2)


def test_what_the_journal_keeps():
    """Newest first, page by page; what subscribers never see included."""
    with Gateway(ADMIN) as gateway:
        path = gateway.callback_path(user="42")
        for i in range(5):
            gateway.deliver(callback("odd" if i % 2 else "even", event_id=f"evt-{i}"), path=path)
        gateway.deliver(b'{"event":')
        gateway.deliver(callback("even", event_id="evt-6"))
        page, seen = {"before": None}, []
        while "before" in page:
            before = f"&before={page['before']}" if page["before"] else ""
            page = ask(gateway, f"/events?limit=3{before}")
            seen += page["events"]
        assert [event["kind"] for event in seen] == ["callback", "malformed"] + ["callback"] * 5
        assert [event["event_id"] for event in seen if "event_id" in event] == [f"evt-{i}" for i in (6, 4, 3, 2, 1, 0)]
        assert (seen[1]["malformed"], seen[1]["text"], seen[1]["bytes"]) == ("premature_end", '{"event":', 9)
        assert seen[2]["callback"]["event"]["event_id"] == "evt-4" and seen[2]["tags"] == {"user": "42"}
        assert seen[2]["interactions"] == [{"type": "even"}]

        def ids(query):
            return [event["event_id"] for event in ask(gateway, f"/events?{query}")["events"]]

        assert ids("interactions=odd") == ["evt-3", "evt-1"]
        assert ids("tags.user=42&interactions=even&limit=1") == ["evt-4"]
        assert [event["kind"] for event in ask(gateway, "/events?kind=malformed")["events"]] == ["malformed"]
        assert ids(f"position={seen[2]['position']}") == ["evt-4"]
        for query in ("limit=0", "before=x", "position=other-1", "kind=odd", "after=earliest", "nonsense=1"):
            assert gateway.request("GET", f"/events?{query}", serves="admin").status == 400, query


def test_an_event_and_what_became_of_it():
    with Gateway({**handlers(), **ADMIN}) as gateway:
        settle(gateway, told("retry", "reject", event_id="one"))
        position = ask(gateway, "/events?limit=1")["events"][0]["position"]
        said = ask(gateway, f"/events?position={position}")
        assert [event["event_id"] for event in said["events"]] == ["one"]
        (delivery,) = said["deliveries"]
        assert (delivery["handler"], delivery["state"], delivery["attempts"]) == ("it", "dead", 2)
        attempts = [(attempt["outcome"], attempt["reason"]) for attempt in delivery["all"]]
        assert attempts == [("retry", "told to retry"), ("reject", "told to reject")]
        assert delivery["last"] == delivery["all"][1]
        assert "all" not in ask(gateway, "/deliveries")["deliveries"][0]


def test_everything_can_be_watched():
    """With all rights, also where subscribers need a token; outcomes included."""
    changes = {**handlers(), **ADMIN, "subscribers": {"outcomes": True}}
    with Gateway(changes, tokens=True) as gateway:
        url = f"http://{gateway.listener('admin')['address']}/watch"
        with EventStream(url + "?after=earliest") as stream:
            assert stream.status == 200
            stream.expect("welcome")
            stream.expect("subscribed")
            gateway.deliver(told(event_id="one"))
            assert stream.expect("event")["callback"]["event"]["event_id"] == "one"
            assert stream.expect("outcome")["state"] == "done"
        with EventStream(url + "?interactions=other&last=1") as stream:
            stream.expect("welcome")
            stream.expect("subscribed")
            gateway.deliver(told(event_id="two"))
            gateway.deliver(told(interaction="other", event_id="three"))
            assert stream.expect("event")["callback"]["event"]["event_id"] == "three"
        assert gateway.request("GET", "/watch?after=x", serves="admin").status == 400


def test_handlers_are_told_of():
    with Recorder() as recorder, Gateway({**handlers(**recorder.options()), **ADMIN}) as gateway:
        settle(gateway, told("retry"), told("reject"), told("crash"))
        (it,) = ask(gateway, "/handlers")["handlers"]
        assert re.fullmatch(r"/.*/obedient\.so", it.pop("plugin")) and it.pop("version")
        assert 0 < it.pop("mean_ms") and 0 < it.pop("p99_ms") <= 5000
        assert it.pop("processes") == 1 and it.pop("retried") == 2
        assert it == {
            "name": "it", "interactions": ["*"], "state": "idle", "workers": 1, "owed": 0, "in_hand": 0, "done": 2,
            "dead": 1, "crashed": 1,
        }  # fmt: skip
        assert ask(gateway, "/status")["state"] == "ok"


def test_what_is_owed_is_counted():
    """From one start to the next, by a plugin that cannot start; which is seen, and no reason to be restarted."""
    with Gateway({**handlers(options={"refuse": True}), **ADMIN}) as gateway:
        for i in range(3):
            gateway.deliver(told())
        assert gateway.metric("deliveries_owed", handler="it") == 3
        wait_until(lambda: gateway.metric("handler_failing", handler="it") == 1)
        assert ask(gateway, "/handlers")["handlers"][0]["state"] == "failing"
        status = ask(gateway, "/status")
        assert status["state"] == "degraded"
        assert status["problems"] == ["the process of handler it ends by itself, again and again"]
        assert gateway.request("GET", "/healthz", serves="admin").status == 200
        assert gateway.request("GET", "/readyz", serves="admin").status == 200
        gateway.restart()
        assert gateway.metric("deliveries_owed", handler="it") == 3
        gateway.stop()
        del gateway.config["handlers"]["it"]["options"]
        gateway.start()
        wait_until(lambda: is_settled(gateway))
        assert gateway.metric("deliveries_owed") == gateway.metric("handler_failing") == 0


def test_a_pause_is_told():
    changes = handlers(breaker={"failures": 3, "pause": "1h"}, retry={"initial": "100ms", "max_attempts": 100})
    with Gateway({**changes, **ADMIN}) as gateway:
        gateway.deliver(told(otherwise="retry"))
        gateway.wait_for_line("handler pauses")
        it = wait_until(lambda: (it := ask(gateway, "/handlers")["handlers"][0])["state"] == "paused" and it)
        assert it["owed"] == 1 and it["paused_until"][:2] == "20"
        assert ask(gateway, "/status")["problems"] == ["handler it pauses: nothing but failures"]
