# SPDX-License-Identifier: Apache-2.0
"""A function of a library fails: the provider is told to come again, and nothing is believed or lost."""

import contextlib
import pathlib
import subprocess

import pytest

from gateway import SIGNATURE, Gateway, callback

pytestmark = pytest.mark.only_release  # a sanitizer would have to be preloaded first

SOURCE = pathlib.Path(__file__).parent / "failing.c"
# Reading it takes more memory than failing.c gives, but it comes in at once and so is not copied.
LARGE = "x" * 15000


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


def test_a_body_that_there_is_no_memory_to_read_is_not_taken_for_malformed(gateway):
    body = callback(padding=LARGE)
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        with failing(gateway, "malloc"):
            assert_unavailable(gateway.post(body))
        gateway.deliver_next(subscriber)
        gateway.deliver(body)
        assert subscriber.receive_text().endswith(body.decode() + "}")
