# SPDX-License-Identifier: Apache-2.0
"""A function of a library fails: the provider is told to come again, and nothing is believed or lost."""

import contextlib
import pathlib
import subprocess

import pytest

from gateway import SIGNATURE, Gateway, callback

pytestmark = pytest.mark.only_release  # a sanitizer would have to be preloaded first

SOURCE = pathlib.Path(__file__).parent / "failing.c"
# Bodies that take more memory than failing.c gives: one is large itself, of the other it is what jansson makes of it (an
# escape in a type is for jansson to read).
LARGE = {
    "body": callback(padding="x" * 80000),
    "document": callback(padding=[0] * 5000).replace(b"event_subscription", rb"event\u005fsubscription"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    library = folder / "failing.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", library, SOURCE], check=True)
    with Gateway(environment={"LD_PRELOAD": str(library), "FAILING": str(folder)}) as running:
        running.failing = folder
        yield running


@contextlib.contextmanager
def failing(gateway, function):
    file = gateway.failing / function
    file.touch()
    yield
    file.unlink()


def assert_unavailable(answer):
    assert answer.status == 503
    assert int(answer.headers["Retry-After"]) > 0


def test_a_signature_that_cannot_be_computed_is_neither_right_nor_wrong(gateway):
    body = callback()
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        with failing(gateway, "EVP_MAC_final"):
            assert_unavailable(gateway.post(body))
            assert_unavailable(gateway.post(body, headers={SIGNATURE: "x"}))
            gateway.wait_for_line(" warning callback outcome=unavailable reason=no_memory ")
        gateway.deliver_next(subscriber)
        gateway.deliver(body)
        subscriber.event()


@pytest.mark.parametrize("what", LARGE)
def test_a_body_that_there_is_no_memory_to_read_is_not_taken_for_malformed(gateway, what):
    body = LARGE[what]
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        with failing(gateway, "malloc"):
            assert_unavailable(gateway.post(body))
            gateway.deliver_next(subscriber)  # a small one takes less
        gateway.deliver(body)
        assert subscriber.receive_text().endswith(body.decode() + "}")
