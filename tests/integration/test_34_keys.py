# SPDX-License-Identifier: Apache-2.0
"""Keys that the gateway fetches: tokens signed with them pass, and sessions end when their key is gone."""

import http.server
import json
import threading

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import Gateway


class KeySet:
    """A JWK set served on loopback; `keys` may be changed, `status` may become an error."""

    def __init__(self, keys):
        self.keys, self.status = keys, 200
        self.asked = threading.Semaphore(0)
        key_set = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps({"keys": [key_set.jwk(key) for key in key_set.keys]}).encode()
                self.send_response(key_set.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                key_set.asked.release()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks.json"

    @staticmethod
    def jwk(key):
        kid, private = key
        public = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(private.public_key()))
        return {**public, "kid": kid, "use": "sig"}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def make_key(kid):
    return kid, ec.generate_private_key(ec.SECP256R1())


def gateway_for(key_set, **tokens):
    gateway = Gateway(tokens=True)
    gateway.config["subscribers"]["tokens"] = {"jwks_url": key_set.url, **tokens}
    return gateway


def token_of(gateway, key):
    kid, private = key
    return gateway.token(secret=private, algorithm="ES256", headers={"kid": kid})


def test_fetched_keys_let_in():
    key, stranger = make_key("one"), make_key("one")
    with KeySet([key]) as key_set, gateway_for(key_set) as gateway:
        gateway.wait_for_line("token keys fetched")
        with gateway.connect(welcome=False) as subscriber:
            subscriber.authorize(token_of(gateway, key))
        with gateway.connect(welcome=False) as subscriber:
            subscriber.send({"type": "auth", "token": token_of(gateway, stranger)})
            assert subscriber.wait_closed()[1] == 4501


def test_a_session_ends_with_its_key():
    old, new = make_key("old"), make_key("new")
    with KeySet([old]) as key_set, gateway_for(key_set, jwks_refresh="5s") as gateway:
        gateway.wait_for_line("token keys fetched")
        with gateway.connect(welcome=False) as leaving:
            leaving.authorize(token_of(gateway, old))
            key_set.keys = [new]
            messages, code = leaving.wait_closed()
            assert (messages[-1]["type"], messages[-1]["reconnect"], code) == ("disconnect", False, 4501)
        with gateway.connect(welcome=False) as staying:
            staying.authorize(token_of(gateway, new))


def test_a_key_set_that_cannot_be_fetched_changes_nothing():
    key = make_key("one")
    with KeySet([key]) as key_set, gateway_for(key_set, jwks_refresh="5s") as gateway:
        gateway.wait_for_line("token keys fetched")
        with gateway.connect(welcome=False) as subscriber:
            subscriber.authorize(token_of(gateway, key))
            key_set.status = 500
            gateway.wait_for_line("cannot fetch the token keys")
            subscriber.expect_nothing()


def test_without_a_key_set_nobody_is_let_in():
    with KeySet([]) as key_set, gateway_for(key_set) as gateway:
        gateway.wait_for_line("the fetched token keys are no use|cannot fetch the token keys")
        with gateway.connect(welcome=False) as subscriber:
            subscriber.send({"type": "auth", "token": token_of(gateway, make_key("one"))})
            assert subscriber.wait_closed()[1] == 4501
