# SPDX-License-Identifier: Apache-2.0
"""A bound on every test, so that a gateway that hangs fails one test and not the whole run."""

import pathlib
import signal
import sys

import pytest

sys.path.append(str(pathlib.Path(__file__).resolve().parent.parent))  # where simulator/ is

from gateway import SECRET  # noqa: E402
from plugins import build  # noqa: E402
from simulator import Simulator  # noqa: E402
from webclient import Site  # noqa: E402

SECONDS = 90


def pytest_configure(config):
    config.addinivalue_line("markers", "no_tsan: ThreadSanitizer would see nothing in it that it does not see elsewhere")
    config.addinivalue_line("markers", "release: also run with the release build")
    config.addinivalue_line("markers", "only_release: needs the speed of what is shipped")
    config.addinivalue_line("filterwarnings", "error::pytest.PytestUnhandledThreadExceptionWarning")
    config.addinivalue_line("markers", "bound(seconds): may take longer than the others")


@pytest.fixture(autouse=True)
def _bound(request):
    mark = request.node.get_closest_marker("bound")
    seconds = mark.args[0] if mark else SECONDS

    def give_up(*_):
        raise TimeoutError(f"the test took longer than {seconds} s")

    signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    yield
    signal.alarm(0)


@pytest.fixture(name="cronofy")
def _cronofy(gateway):
    """The provider, which calls the module's gateway back."""
    host, port = gateway.address("sources")
    with Simulator([SECRET], {"https://gateway.example.com": f"http://{host}:{port}"}) as running:
        running.callbacks.answer_timeout = 120
        yield running


@pytest.fixture(name="site")
def _site(tmp_path):
    with Site(tmp_path) as running:
        yield running


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory):
    """For plugins: nobody else may write to it."""
    made = tmp_path_factory.mktemp("plugins")
    made.chmod(0o755)
    return made


@pytest.fixture(name="zoo", scope="module")
def _zoo(folder):
    return build(folder, "zoo.c")
