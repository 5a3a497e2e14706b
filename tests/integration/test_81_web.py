# SPDX-License-Identifier: Apache-2.0
"""What core/web/README.md shows front-end developers: each block behind <!-- run: WHAT --> is run as it stands, but for
the gateway's address."""

import json
import os
import re
import signal
import subprocess

import pytest

from browser import Browser
from clients import PATIENCE
from gateway import TOKEN_SECRET, Gateway
from webclient import ROOT, deliver

pytestmark = pytest.mark.no_tsan

BLOCK = re.compile(r"^<!-- run: (\w+) -->\n+```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = "://gateway.example.com"


def blocks(what):
    text = (ROOT / "core" / "web" / "README.md").read_text(encoding="utf-8")
    return {language: code for kind, language, code in BLOCK.findall(text) if kind == what}


def at(gateway, code):
    """The code as if this were its gateway."""
    address = gateway.listener("subscribers")["address"]
    assert SHOWN in code
    return code.replace(f"https{SHOWN}", f"http://{address}").replace(f"wss{SHOWN}", f"ws://{address}")


@pytest.fixture
def gateway(site):
    with Gateway({"subscribers": {"origins": [site.origin], "outcomes": True}}, tokens=True) as running:
        site.make_token = lambda: issue("python", site.folder)
        yield running


# How the code that issues tokens is called, by language: the file, what comes behind, the command.
CALLS = {
    "js": ("backend.mjs", 'process.stdout.write(issueToken("42"));\n', ["node"]),
    "python": ("backend.py", 'print(issue_token("42"), end="")\n', ["/usr/bin/python3"]),
    "php": ("backend.php", 'echo issueToken("42");\n', ["php"]),
}


def issue(language, folder):
    name, call, command = CALLS[language]
    (folder / "token-secret").write_text(f"{TOKEN_SECRET}\n", encoding="utf-8")
    (folder / name).write_text(blocks("token")[language] + call, encoding="utf-8")
    done = subprocess.run([*command, name], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert done.stderr == ""
    return done.stdout


def test_tokens_are_issued_in_these_languages():
    assert set(blocks("token")) == set(CALLS)


@pytest.mark.parametrize("language", CALLS)
def test_tokens_of_ones_own_backend(gateway, language, tmp_path):
    token = issue(language, tmp_path)
    gateway.canaries.add(token)
    with gateway.connect(welcome=False) as subscriber:
        assert 3590 < subscriber.authorize(token).welcome["expires_in"] <= 3600
        subscriber.subscribe({"tags": {"user": "42"}}, outcomes=True)
        subscriber.send({"type": "subscribe", "id": "s2", "filter": {"tags": {"user": "43"}}})
        assert subscriber.expect("error")["code"] == "forbidden"


def test_the_page(gateway, site):
    page = f'<!doctype html>\n<meta charset="utf-8">\n{at(gateway, blocks("page")["html"])}'
    (site.folder / "index.html").write_text(page, encoding="utf-8")
    with Browser() as browser:
        browser.open(f"{site.origin}/")
        assert browser.text("#meeting") == "Creating the conference…"
        deliver(gateway, "one", user="42")
        browser.wait_for_text("#meeting", "Board meeting: there is a problem")
        browser.driver.refresh()
        browser.wait_for_text("#meeting", "Board meeting: there is a problem")


def test_in_node(tmp_path):
    with Gateway() as gateway:
        deliver(gateway, "one", "two", user="42")
        program = f"""
            import {{ Belfry }} from {json.dumps(str(ROOT / "core" / "web" / "belfry.js"))};
            const belfry = new Belfry({json.dumps(gateway.url(scheme="http"))});
            const savedPosition = {json.dumps(gateway.events()["events"][0]["position"])};
            const handle = async ({{ callback }}) => {{ console.log(callback.event.event_id); belfry.close(); }};
            {blocks("node")["js"]}"""
        (tmp_path / "reader.mjs").write_text(program, encoding="utf-8")
        command = ["node", "reader.mjs"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=True)
        assert (done.stdout, done.stderr) == ("two\n", "")


def test_one_line_and_a_ticket(gateway, site):
    page = f"""<!doctype html>
<title>one line</title>
<script type="module">
const show = message => document.title += " " + message.type;
{at(gateway, blocks("ticket")["js"])}
</script>
"""
    (site.folder / "index.html").write_text(page, encoding="utf-8")
    with Browser() as browser:
        browser.open(f"{site.origin}/")
        browser.wait(lambda: browser.driver.title == "one line welcome subscribed")
        deliver(gateway, "one", user="42")
        browser.wait(lambda: browser.driver.title == "one line welcome subscribed event")


def test_curl(gateway, tmp_path):
    deliver(gateway, "one", user="42")
    script = at(gateway, blocks("curl")["sh"])
    environment = {**os.environ, "TOKEN": issue("python", tmp_path)}
    with subprocess.Popen(["bash", "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as curl:
        data = next(json.loads(line[6:]) for line in curl.stdout if line.startswith('data: {"type":"event"'))
        assert data["callback"]["event"]["event_id"] == "one"
        curl.send_signal(signal.SIGTERM)
