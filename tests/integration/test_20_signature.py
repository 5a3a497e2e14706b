# SPDX-License-Identifier: Apache-2.0
"""Who may call back: only those who know the secret, however they write the header."""

import base64
import hashlib
import hmac
import json
import pathlib
import re

import pytest

from gateway import SECRET, SIGNATURE, Gateway, callback, sign

VECTORS = json.loads((pathlib.Path(__file__).parent.parent / "vectors" / "signatures.json").read_text())["vectors"]
# Shorter secrets are refused by the configuration; tests/unit/test_signature.c has all of them.
MIN_SECRET = 16
USABLE = [vector for vector in VECTORS if len(vector["secret"]) >= MIN_SECRET]

OLD_SECRET = "CRN_canary-the-secret-before-it-0123456789"
NEW_SECRET = "CRN_canary-the-secret-behind-it-0123456789"
STRANGER = "A" * 43 + "="


@pytest.fixture(scope="module")
def gateway():
    running = Gateway({"sources": {"cronofy": {"duplicate_window": "0"}}})
    running.config["sources"]["cronofy"]["secrets"].append(running.secret_file("old", OLD_SECRET))
    with running:
        yield running


@pytest.fixture(scope="module")
def vector_gateway():
    """A source for each secret of the vectors."""
    running = Gateway()
    for i, secret in enumerate(sorted({vector["secret"] for vector in USABLE})):
        running.config["sources"][f"s{i}"] = {
            "scheme": "cronofy",
            "path": f"/callbacks/{hashlib.sha256(secret.encode()).hexdigest()}",
            "secrets": [running.secret_file(f"s{i}", secret)],
        }
    with running:
        yield running


@pytest.mark.parametrize("vector", USABLE, ids=[vector["name"] for vector in USABLE])
def test_vectors(vector_gateway, vector):
    path = f"/callbacks/{hashlib.sha256(vector['secret'].encode()).hexdigest()}"
    answer = vector_gateway.post(vector["body"].encode(), path=path, headers={SIGNATURE: vector["header"]})
    assert answer.status == (200 if vector["valid"] else 401)


def lists(body):
    ours = sign(body)
    return [
        ours,
        sign(body, OLD_SECRET),
        sign(body, SECRET, OLD_SECRET),
        sign(body, OLD_SECRET, "somebody else's"),
        f"  {ours}\t",
        f"{STRANGER},{ours}",
        f"{STRANGER} ,\t{ours} , {STRANGER}",
        f",,{ours},,",
        ",".join([STRANGER] * 7 + [ours]),
    ]


@pytest.mark.parametrize("index", range(9))
def test_lists_with_ours_in_any_place(gateway, index):
    body = callback()
    gateway.deliver(body, headers={SIGNATURE: lists(body)[index]})


@pytest.mark.parametrize("name", [SIGNATURE, SIGNATURE.lower(), SIGNATURE.upper()])
def test_the_name_of_the_header_in_any_case(gateway, name):
    body = callback()
    gateway.deliver(body, headers={SIGNATURE: None, name: sign(body)})


@pytest.mark.parametrize("place", [0, 1, 2])
def test_several_header_lines_are_one_list(gateway, place):
    body = callback()
    values = [STRANGER, STRANGER]
    values.insert(place, sign(body))
    lines = "".join(f"{SIGNATURE}: {value}\r\n" for value in values)
    with gateway.raw() as connection:
        connection.send(
            f"POST /callbacks/cronofy HTTP/1.1\r\nHost: g\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body
        )
        assert connection.read_answer().status == 200


def wrong_values(body):
    digest = hmac.new(SECRET.encode(), body, hashlib.sha256).digest()
    right = base64.b64encode(digest).decode()
    return {
        "absent": None,
        "empty": "",
        "commas": ",, ,",
        "a stranger's": STRANGER,
        "cut": right[:-1],
        "without padding": right.rstrip("="),
        "too much padding": right + "=",
        "hex": digest.hex(),
        "base64 of hex": base64.b64encode(digest.hex().encode()).decode(),
        "quoted": f'"{right}"',
        "with a prefix": f"sha256={right}",
        "swapped case": right.swapcase(),
        "separated by semicolons": f"{right};{right}",
        "of another body": sign(body + b" "),
        "with another secret": sign(body, SECRET + "x"),
        "without the prefix of the secret": sign(body, SECRET.removeprefix("CRN_")),
        "nine elements": ",".join([STRANGER] * 8 + [right]),
        "too long": STRANGER + "," * 1024 + right,
        "sha1": base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha1).digest()).decode(),
        "sha512": base64.b64encode(hmac.new(SECRET.encode(), body, hashlib.sha512).digest()).decode(),
    }


@pytest.mark.parametrize("name", wrong_values(b""))
def test_wrong_signatures_are_refused_and_leave_nothing(gateway, name):
    body = callback()
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        answer = gateway.post(body, headers={SIGNATURE: wrong_values(body)[name]})
        assert answer.status == 401
        assert answer.json() == gateway.post(body, headers={SIGNATURE: STRANGER}).json()
        gateway.deliver_next(subscriber)


def test_the_url_safe_alphabet_is_refused(gateway):
    for _ in range(100):
        body = callback()
        value = sign(body)
        if "+" in value or "/" in value:
            urlsafe = value.replace("+", "-").replace("/", "_")
            assert gateway.post(body, headers={SIGNATURE: urlsafe}).status == 401
            return
    raise AssertionError("a hundred digests without + or /")


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body + b"\n",
        lambda body: body.replace(b": ", b":"),
        lambda body: b"\xef\xbb\xbf" + body,
        lambda body: body.replace(b"Board", b"Bored"),
        lambda body: json.dumps(json.loads(body), indent=1).encode(),
        lambda body: json.dumps(json.loads(body), indent=1).replace("\n", "\r\n").encode(),
        lambda body: body[:-1],
        lambda body: b"",
    ],
)
def test_changed_bodies_are_refused(gateway, change):
    body = callback()
    assert gateway.post(change(body), headers={SIGNATURE: sign(body)}).status == 401


def test_only_the_body_is_signed(gateway):
    """So the query may be anything that has no tags in it; a wrong signature of tags is another matter."""
    body = callback()
    assert gateway.post(body, path="/callbacks/cronofy?").status == 200


def test_a_signature_without_a_callback_is_ignored(gateway):
    assert gateway.request("GET", "/events", headers={SIGNATURE: STRANGER}).status == 200
    gateway.connect(headers={SIGNATURE: STRANGER}).close()


def test_a_removed_secret_is_refused():
    """Rotation: the new one is added, then the old one goes."""
    with Gateway() as gateway:
        secrets = gateway.config["sources"]["cronofy"]["secrets"]
        secrets.append(gateway.secret_file("new", NEW_SECRET))
        gateway.restart()
        gateway.deliver(callback(), secrets=[SECRET])
        gateway.deliver(callback(), secrets=[NEW_SECRET])
        del secrets[0]
        gateway.restart()
        assert gateway.post(callback(), secrets=[SECRET]).status == 401
        gateway.deliver(callback(), secrets=[NEW_SECRET])


def test_a_captured_callback_sent_again_is_counted_and_pushed_once():
    """The provider signs no date, so it is authentic."""
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        body = callback()
        for _ in range(5):
            gateway.deliver(body)
        assert gateway.metric("callbacks_total", outcome="stored") == 1
        assert gateway.metric("callbacks_total", outcome="duplicate") == 4
        assert subscriber.event()["callback"] == json.loads(body)
        gateway.deliver_next(subscriber)


def test_a_flood_of_bad_signatures_is_a_trickle_in_the_log():
    """A line a reason, so that none hides another; the provider's callbacks pass; all are counted."""
    with Gateway({"admin": {"address": "127.0.0.1:0"}}) as gateway, gateway.raw() as flood:
        for _ in range(200):
            body = callback()
            for line in (f"{SIGNATURE}: {STRANGER}\r\n", f"{SIGNATURE}: {',' * 2000}\r\n", ""):
                head = f"POST /callbacks/cronofy HTTP/1.1\r\nHost: g\r\nContent-Length: {len(body)}\r\n{line}\r\n"
                flood.send(head.encode() + body)
                assert flood.read_answer().status == 401
            gateway.deliver(callback())
        assert gateway.metric("callbacks_total", outcome="refused", source="cronofy") == 600
        gateway.stop()
        reasons = re.findall(r" warning callback outcome=refused reason=(\w+) ", gateway.log())
        assert sorted(reasons) == ["signature_mismatch", "signature_missing", "signature_too_many"]


@pytest.mark.parametrize(
    "tags, status",
    [
        ("user=42", 401),
        ("user=42&sig=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 401),
        ("user=42&sig=", 401),
    ],
)
def test_tags_need_their_own_signature(gateway, tags, status):
    assert gateway.post(callback(), path="/callbacks/cronofy?" + tags).status == status


def test_unsigned_tags_may_be_allowed_by_name():
    with Gateway({"sources": {"cronofy": {"unsigned_tags": ["user"]}}}) as gateway, gateway.connect() as subscriber:
        subscriber.subscribe()
        gateway.deliver(callback(), path="/callbacks/cronofy?user=4%202")
        assert subscriber.event()["tags"] == {"user": "4 2"}
        assert gateway.post(callback(), path="/callbacks/cronofy?user=42&team=7").status == 401


def test_signed_tags_are_told_to_subscribers(gateway):
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        path = gateway.callback_path(user="42", calendar_id="cal_1/2&3")
        gateway.deliver(callback(), path=path)
        assert subscriber.event()["tags"] == {"user": "42", "calendar_id": "cal_1/2&3"}
        assert gateway.post(callback(), path=path.replace("42", "43")).status == 401
        assert gateway.post(callback(), path=path + "&more=1").status == 401


def test_an_empty_secret_is_refused(tmp_path):
    gateway = Gateway(folder=tmp_path)
    path = tmp_path / "empty"
    path.touch(mode=0o600)
    gateway.config["sources"]["cronofy"]["secrets"] = [{"file": str(path)}]
    assert "belfry.yaml:" in gateway.start_refused()
