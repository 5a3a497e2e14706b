# SPDX-License-Identifier: Apache-2.0
"""The plugins that come with Belfry, as they are built and confined as they will be, against what they talk to."""

import base64
import datetime
import email.utils
import hashlib
import hmac
import json
import pathlib
import subprocess

import pytest

from bodies import ASSIGNED
from gateway import SECRET, Gateway
from plugins import DONE, LATER, NOT_SO, REFUSED, ROOT, belfry_plugin, shipped
from standins import HttpStandIn, MailServer, Slack, Tokens, make_certificate, parsed

pytestmark = [pytest.mark.release, pytest.mark.no_tsan]
NAMES = ["email", "exec", "forward", "retry_profile", "slack"]
BELLS = "\U0001f514" * 5000
# Each has something that a chat, a mail or a shell could take for its own.
HOSTILE = {
    "CR LF": "a\r\nBcc: victim@example.com\r\n\r\nbody",
    "bells": BELLS,
    "mention": "<!channel> <@U1> <http://evil.example|text> & ` *bold*",
    "encoded word": "=?UTF-8?Q?=0D=0ABcc:_victim@example.com?=",
    "controls": "\x00\x1b]0;owned\x07\u202e\u2028\uffff",
    "shell": "$(reboot) `reboot` ; reboot 'x\" %n%s%99999d",
    "dots": "a\n.\nb\n..\n",
    "marks": "a" + "\u0300\u0301" * 500,
    "blank": " \n\t ",
    "folded": "x " * 400,
}


def yaml(value):
    """JSON is YAML, all on one line."""
    return json.dumps(value, ensure_ascii=False)


def run(name, options, body, *arguments, cwd):
    """belfry plugin test: the status, and what it said last."""
    path = cwd / "event.json"
    path.write_bytes(body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode())
    words = [word for option, value in options.items() for word in ("--option", f"{option}={yaml(value)}")]
    said = belfry_plugin("test", shipped(name), *words, *arguments, "--allow", "inner", path, cwd=cwd)
    assert "canary" not in "\n".join(said.out + said.err), said
    return said.status, (said.out or said.err)[-1]


def event(summary="Board meeting", **more):
    interactions = [{"type": "conferencing_failing", "subtype": "profile_missing"}]
    return {
        "notification": {"type": "event_subscription", "interactions": interactions},
        "event": {"event_id": "e1", "summary": summary, "start": "2099-04-27T15:30:00Z", **more},
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_has_the_table_of_options(name):
    table = "\n".join(belfry_plugin("describe", shipped(name), "--markdown").out)
    assert table in (ROOT / "plugins" / name / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_a_plugin_exports_nothing_else(name):
    done = subprocess.run(["nm", "-D", "--defined-only", shipped(name)], capture_output=True, text=True, check=True)
    exported = {line.split()[-1] for line in done.stdout.splitlines()}
    assert {symbol for symbol in exported if not symbol.startswith(("__asan", "__ubsan", "__odr", "_"))} == {
        "belfry_plugin"
    }


# slack


def post(slack, body, tmp_path, *arguments, **options):
    (tmp_path / "webhook").write_text(slack.webhook)
    (tmp_path / "webhook").chmod(0o600)
    wanted = {"title": "{{ .event.summary }}", "text": "{{ .event.summary }} has no link", **options}
    return run("slack", wanted, body, "--secret", f"webhook_url={tmp_path / 'webhook'}", *arguments, cwd=tmp_path)


def test_slack_gets_a_message(tmp_path):
    with Slack() as slack:
        fields = {"Begins": "{{ .event.start }}", "Nothing": '{{ .event.nothing // "" }}'}
        link = '{{ .event.conferencing.join_url // "" }}'
        body = event(conferencing={"join_url": "https://zoom.us/1?a=1&b=2"})
        assert post(slack, body, tmp_path, fields=fields, link=link, link_label="Join") == (DONE, "done")
        (message,) = slack.messages
        assert [block["type"] for block in message["blocks"]] == ["header", "section", "section", "actions"]
        assert message["blocks"][2]["fields"] == [{"type": "plain_text", "text": "Begins\n2099-04-27T15:30:00Z"}]
        assert message["blocks"][3]["elements"][0]["url"] == "https://zoom.us/1?a=1&b=2"
        assert slack.requests[0].headers["Content-Type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("kind", HOSTILE)
def test_slack_takes_every_summary_and_nobody_is_rung(kind, tmp_path):
    with Slack() as slack:
        body = event(HOSTILE[kind])
        fields = {"Summary": "{{ .event.summary }}"}
        assert post(slack, body, tmp_path, fields=fields, link="{{ .event.summary }}")[0] == DONE
        assert slack.rings() == []
        assert len(slack.messages) == 1
        assert not any(block["type"] == "actions" for block in slack.messages[0]["blocks"])


@pytest.mark.parametrize(
    "status, word, outcome",
    [
        (400, "invalid_payload", NOT_SO), (403, "action_prohibited", NOT_SO), (404, "no_service", NOT_SO),
        (410, "channel_is_archived", NOT_SO), (500, "rollup_error", LATER), (503, "", LATER),
    ],
)  # fmt: skip
def test_slacks_errors(status, word, outcome, tmp_path):
    with Slack(trouble=(status, word)) as slack:
        code, said = post(slack, event(), tmp_path)
        assert code == outcome and f"answered {status}" in said and word in said


def test_slack_says_when(tmp_path):
    with Slack(is_limited=True) as slack:
        slack.trouble = (429, "rate_limited")
        code, said = post(slack, event(), tmp_path)
        assert (code, said) == (LATER, "retry, not before 30000 ms from now: answered 429: rate_limited")


def test_a_template_that_fails_posts_nothing(tmp_path):
    with Slack() as slack:
        assert post(slack, event(), tmp_path, text="{{ .event.nothing }}")[0] == NOT_SO
        assert slack.requests == []


def test_an_inner_address_must_be_allowed(tmp_path):
    """For all that posts: the host refuses it."""
    with Slack() as slack:
        (tmp_path / "webhook").write_text(slack.webhook)
        (tmp_path / "webhook").chmod(0o600)
        said = belfry_plugin("test", shipped("slack"), "--option", "text=x", "--secret",
                             f"webhook_url={tmp_path / 'webhook'}", cwd=tmp_path)  # fmt: skip
        assert said.status == NOT_SO and slack.requests == []
        assert "canary" not in "\n".join(said.out + said.err)


# email


@pytest.fixture(name="certificate", scope="module")
def _certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("mail"))


def mail(server, body, tmp_path, *arguments, **options):
    wanted = {
        "server": server.url, "from": "belfry@example.com", "to": ["on-call@example.com"],
        "subject": "No conference for {{ .event.summary }}", "text": "{{ .event.summary }} has no link.\n", **options,
    }  # fmt: skip
    return run("email", wanted, body, *arguments, cwd=tmp_path)


def secret(tmp_path, content="canary-password"):
    path = tmp_path / "password"
    path.write_text(content)
    path.chmod(0o600)
    return ("--secret", f"password={path}")


def test_a_mail_by_starttls_and_auth(certificate, tmp_path):
    with MailServer(certificate, {"belfry": "canary-password"}) as server:
        ca = certificate[0].read_text()
        options = {
            "user": "belfry", "ca": ca, "reply_to": "team@example.com", "from_name": "Größe",
            "to": ["on-call@example.com", "{{ $tags.mail }}"],
        }  # fmt: skip
        words = secret(tmp_path)
        assert mail(server, event(), tmp_path, *words, **options)[0] == NOT_SO  # there is no such tag
        words += ("--tag", "mail=b@example.com")
        said = mail(server, event(), tmp_path, *words, **options)
        assert said == (DONE, "done: accepted for 2 recipients")
        assert server.logins == [(("belfry", "canary-password"), True)]
        (envelope,) = server.mails
        assert envelope.mail_from == "belfry@example.com"
        assert envelope.rcpt_tos == ["on-call@example.com", "b@example.com"]
        message = parsed(envelope)
        assert message["Subject"] == "No conference for Board meeting"
        assert message["From"] == "Größe <belfry@example.com>"
        assert message["To"] == "on-call@example.com, b@example.com"
        assert message["Reply-To"] == "team@example.com"
        assert message["Auto-Submitted"] == "auto-generated"
        assert message["Message-ID"].endswith(".belfry@example.com>")
        age = datetime.datetime.now(datetime.timezone.utc) - email.utils.parsedate_to_datetime(message["Date"])
        assert abs(age) < datetime.timedelta(minutes=10)
        assert message.get_content() == "Board meeting has no link.\n"


def plain_server(tmp_path):
    """Without TLS: for what is about the mail itself."""
    return MailServer(), {"tls": "none"}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_subject_is_one_header(kind, tmp_path):
    server, options = plain_server(tmp_path)
    with server:
        assert mail(server, event(HOSTILE[kind]), tmp_path, subject="{{ .event.summary }}", **options)[0] == DONE
        (envelope,) = server.mails
        assert envelope.rcpt_tos == ["on-call@example.com"]
        message = parsed(envelope)
        shown = "".join(" " if ord(c) < 32 or ord(c) == 127 else c for c in HOSTILE[kind])
        shown = shown if len(shown) <= 200 else shown[:200] + "\u2026"
        assert message["Subject"] == shown
        # lines in the text end as the mail's do; all else is as it was
        assert message.get_payload(decode=True).decode() == HOSTILE[kind] + " has no link.\n"


def test_the_same_mail_has_the_same_id(tmp_path):
    server, options = plain_server(tmp_path)
    with server:
        for _ in range(2):
            assert mail(server, event(), tmp_path, **options)[0] == DONE
        first, second = (parsed(envelope)["Message-ID"] for envelope in server.mails)
        assert first == second


def test_without_starttls_nothing_is_sent(tmp_path):
    with MailServer() as server:
        code, said = mail(server, event(), tmp_path, *secret(tmp_path), user="belfry")
        assert code == LATER and "offers no STARTTLS" in said
        assert server.mails == [] and server.logins == []
        assert mail(server, event(), tmp_path, tls="optional")[0] == DONE


def test_a_certificate_that_is_not_trusted(certificate, tmp_path):
    with MailServer(certificate) as server:
        code, said = mail(server, event(), tmp_path)
        assert code == LATER and "certificate" in said
        assert server.mails == []


def test_a_wrong_password(certificate, tmp_path):
    with MailServer(certificate, {"belfry": "right"}) as server:
        ca = certificate[0].read_text()
        code, said = mail(server, event(), tmp_path, *secret(tmp_path), user="belfry", ca=ca)
        assert (code, said) == (NOT_SO, "reject: refused: 535 5.7.8 Authentication credentials invalid")


@pytest.mark.parametrize("answer, outcome", [("451 busy", LATER), ("554 no", NOT_SO)])
def test_the_mail_servers_word(answer, outcome, tmp_path):
    server, options = plain_server(tmp_path)
    with server:
        server.answer = answer
        code, said = mail(server, event(), tmp_path, **options)
        assert code == outcome and answer in said


def test_some_recipients_are_refused(tmp_path):
    server, options = plain_server(tmp_path)
    with server:
        server.refused = {"b@example.com": "550 no such user"}
        code, said = mail(server, event(), tmp_path, to=["a@example.com", "b@example.com"], **options)
        assert code == DONE and "accepted for 1 of 2 recipients; b@example.com was refused: 550 no such user" in said
        assert server.mails[0].rcpt_tos == ["a@example.com"]
        server.refused["a@example.com"] = "450 busy"
        assert mail(server, event(), tmp_path, to=["a@example.com"], **options)[0] == LATER


def test_a_recipient_from_an_event_is_an_address(tmp_path):
    server, options = plain_server(tmp_path)
    with server:
        for text in ["a@example.com>\r\nRCPT TO:<victim@example.com", "<a@b>", "a b@c", "", "a@b\x00"]:
            assert mail(server, event(text), tmp_path, to=["{{ .event.summary }}"], **options)[0] == NOT_SO
        assert server.mails == []


# forward


def test_forwarded_callbacks_are_signed(tmp_path):
    keys = [bytes(range(24)), bytes(range(64))]
    secrets = ["whsec_" + base64.b64encode(key).decode() for key in keys]
    with HttpStandIn() as receiver:
        options = {"url": receiver.url + "/hook", "secrets": secrets, "headers": {"X-Tenant": "a"}}
        assert run("forward", options, ASSIGNED, "--tag", "user=4 2", cwd=tmp_path) == (DONE, "done: answered 200")
        (request,) = receiver.requests
        assert request.path == "/hook" and request.body == ASSIGNED
        assert request.headers["X-Tenant"] == "a" and request.headers["belfry-tags"] == "user=4%202"
        message = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + ASSIGNED
        wanted = ["v1," + base64.b64encode(hmac.digest(key, message, hashlib.sha256)).decode() for key in keys]
        assert request.headers["webhook-signature"].split(" ") == wanted
        sent = datetime.datetime.fromtimestamp(int(request.headers["webhook-timestamp"]))
        assert abs(datetime.datetime.now() - sent) < datetime.timedelta(minutes=10)


def test_a_secret_that_is_none_is_refused(tmp_path):
    options = {"url": "https://x.example", "secrets": ["canary"]}
    code, said = run("forward", options, ASSIGNED, cwd=tmp_path)
    assert code == REFUSED and "entry 1 is not whsec_" in said


# exec


def execute(tmp_path, *arguments, body=ASSIGNED, allow=("--allow", "exec"), program="/bin/sh"):
    return run("exec", {"program": program, "arguments": list(arguments)}, body, *allow, cwd=tmp_path)


def test_a_program_is_run(tmp_path):
    script = 'cat >got; echo "$BELFRY_INTERACTION $BELFRY_TAG_user"; exit 75'
    assert execute(tmp_path, "-c", f"cd {tmp_path}; {script}", allow=("--allow", "exec", "--tag", "user=42")) == (
        LATER,
        "retry: exit status 75: conferencing_assigned 42",
    )
    assert (tmp_path / "got").read_bytes() == ASSIGNED


def test_a_program_must_be_allowed(tmp_path):
    assert execute(tmp_path, "-c", "exit 0", allow=())[0] != DONE


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind != "controls"])
def test_what_an_event_says_is_one_argument(kind, tmp_path):
    script = f'printf %s "$1" >{tmp_path}/got; test $# = 1'
    code, _ = execute(tmp_path, "-c", script, "sh", "{{ .event.summary }}", body=event(HOSTILE[kind]))
    assert code == DONE and (tmp_path / "got").read_bytes().decode() == HOSTILE[kind]


def test_a_program_that_hangs_is_killed_with_all_that_it_has_started(tmp_path):
    script = f"echo $$ >{tmp_path}/pids; (sleep 1000 & echo $! >>{tmp_path}/pids) & sleep 1000"
    allow = ("--allow", "exec", "--timeout", "2s")
    assert execute(tmp_path, "-c", script, allow=allow) == (LATER, "retry: took too long, and was killed")
    pids = (tmp_path / "pids").read_text().split()
    assert len(pids) == 2 and not any(pathlib.Path(f"/proc/{pid}").exists() for pid in pids)


# retry_profile


@pytest.fixture(name="gateway", scope="module")
def _gateway(tmp_path_factory):
    """With a source for the URIs that `belfry plugin test` makes."""
    path = tmp_path_factory.mktemp("source") / "secret"
    path.touch(mode=0o600)
    path.write_text(SECRET)
    unsigned = ["retry", "profile_id", "user", "account"]
    source = {"scheme": "cronofy", "secrets": [{"file": str(path)}], "unsigned_tags": unsigned}
    with Gateway({"sources": {"test": source}}) as running:
        yield running


def create(gateway, cronofy, tmp_path, event_id, profile="pro_a", **more):
    """An event at the provider, by belfry upsert."""
    (tmp_path / "token").write_text(cronofy.account.access_token)
    path = tmp_path / "new.json"
    path.write_text(json.dumps({
        "event_id": event_id, "summary": "Board meeting",
        "start": "2099-04-27T15:30:00Z", "end": "2099-04-27T17:00:00Z", "conferencing": {"profile_id": profile}, **more,
    }))  # fmt: skip
    gateway.belfry("upsert", "--source", "cronofy", "--api", cronofy.url, "--calendar", cronofy.calendar.calendar_id,
                   "--token-file", str(tmp_path / "token"), "--file", str(path), "--tag", "user=42",
                   "--tag", f"profile_id={profile}")  # fmt: skip


def retry(cronofy, told, tmp_path, *arguments, **options):
    """The plugin, with an event as a subscriber sees it."""
    tags = [word for name, value in told["tags"].items() for word in ("--tag", f"{name}={value}")]
    wanted = {"api_url": cronofy.url, "profiles": ["pro_a", "pro_b", "pro_c"], **options}
    return run("retry_profile", wanted, told["callback"], *tags, *arguments, cwd=tmp_path)


def test_the_diagram_with_a_retry(gateway, cronofy, tmp_path):
    """failing, the next profile, failing again, the one after it, assigned; what the event had is still there."""
    cronofy.add_profile(cronofy.account, "pro_c")
    more = {
        "description": "Größe", "location": {"description": "Tower"},
        "attendees": {"invite": [{"email": "a@example.com", "display_name": "A"}]},
    }  # fmt: skip
    with gateway.connect() as subscriber, Tokens(cronofy.account) as tokens:
        subscriber.subscribe()
        create(gateway, cronofy, tmp_path, "diagram", **more)
        cronofy.clock.advance(1)
        told = subscriber.event()
        assert told["interactions"] == [{"type": "conferencing_failing", "subtype": "profile_missing"}]
        url = {"token_url": tokens.url}
        assert retry(cronofy, told, tmp_path, **url) == (DONE, "done: tried pro_b after pro_a: accepted")
        cronofy.clock.advance(1)
        told = subscriber.event()
        assert told["tags"] == {"user": "42", "retry": "1", "profile_id": "pro_b"}
        assert told["interactions"] == [{"type": "conferencing_failing", "subtype": "profile_missing"}]
        # state is forgotten between two runs of `belfry plugin test`: the tag says what was tried last
        options = {**url, "profiles": ["pro_b", "pro_c"]}
        assert retry(cronofy, told, tmp_path, **options) == (DONE, "done: tried pro_c after pro_b: accepted")
        cronofy.clock.advance(1)
        told = subscriber.event()
        assert told["interactions"] == [{"type": "conferencing_assigned"}]
        assert told["tags"] == {"user": "42", "retry": "2", "profile_id": "pro_c"}
    written = cronofy.calendar.written["diagram"]
    assert written["conferencing"]["provider_name"] == "zoom"
    assert {name: written[name] for name in more} == more


def test_a_link_that_never_came(gateway, cronofy, tmp_path):
    cronofy.calendar.provider.gives_links = False
    cronofy.add_profile(cronofy.account, "pro_b")
    with gateway.connect() as subscriber, Tokens(cronofy.account) as tokens:
        subscriber.subscribe()
        create(gateway, cronofy, tmp_path, "linkless", "integrated")
        cronofy.clock.advance(600)
        told = subscriber.event()
        assert told["interactions"] == [{"type": "conferencing_failing", "subtype": "missing_meeting_url"}]
        options = {"token_url": tokens.url, "profiles": ["integrated", "pro_b"]}
        assert retry(cronofy, told, tmp_path, **options) == (DONE, "done: tried pro_b after integrated: accepted")
        cronofy.clock.advance(1)
        assert subscriber.event()["interactions"] == [{"type": "conferencing_assigned"}]


def failing(gateway, cronofy, tmp_path, event_id):
    """An event as a subscriber sees it fail."""
    with gateway.connect() as subscriber:
        subscriber.subscribe()
        create(gateway, cronofy, tmp_path, event_id)
        cronofy.clock.advance(1)
        return subscriber.event()


def test_tokens_are_refreshed_and_renewed(gateway, cronofy, tmp_path):
    told = failing(gateway, cronofy, tmp_path, "tokens")
    (tmp_path / "refresh").write_text(cronofy.account.refresh_token)
    (tmp_path / "client").write_text(SECRET)
    for name in ("refresh", "client"):
        (tmp_path / name).chmod(0o600)
    options = {"accounts": {"acc_1": {"file": str(tmp_path / "refresh")}}, "client_id": "client"}
    client = ("--secret", f"client_secret={tmp_path / 'client'}")
    cronofy.account.expire()
    assert retry(cronofy, told, tmp_path, *client, **options)[0] == DONE
    # its rotated token was kept in the state that is forgotten here, so the configured one is worth nothing
    code, said = retry(cronofy, told, tmp_path, *client, **options)
    assert code == NOT_SO and "invalid_grant" in said
    with Tokens(cronofy.account) as tokens:
        cronofy.account.expire()
        assert retry(cronofy, told, tmp_path, token_url=tokens.url)[0] == DONE
        assert [json.loads(request.body)["renew"] for request in tokens.requests] == [False, True]


@pytest.mark.parametrize(
    "path, status, outcome",
    [
        ("/v1/events", 402, NOT_SO), ("/v1/events", 403, NOT_SO), ("/v1/events", 423, LATER),
        ("/v1/events", 429, LATER), ("/v1/events", 500, LATER), ("/v1/calendars/.*", 404, NOT_SO), ("/v1/calendars/.*", 429, LATER),
        ("/v1/calendars/.*", 503, LATER), ("/v1/events", 0, LATER),
    ],
)  # fmt: skip
def test_what_cronofy_refuses(gateway, cronofy, tmp_path, path, status, outcome):
    told = failing(gateway, cronofy, tmp_path, f"refused-{path}-{status}".replace("/", "").replace(".*", ""))
    with Tokens(cronofy.account) as tokens:
        cronofy.server.fail(path, status, headers={"Retry-After": "7"} if status == 429 else {})
        code, said = retry(cronofy, told, tmp_path, token_url=tokens.url)
        assert code == outcome
        assert ("not before 7000 ms" in said) == (status == 429)
        assert retry(cronofy, told, tmp_path, token_url=tokens.url)[0] == DONE


def test_an_event_is_found_on_a_later_page_and_no_token_goes_elsewhere(gateway, cronofy, tmp_path):
    fields = {"summary": "x", "start": "2099-04-27T15:30:00Z", "end": "2099-04-27T15:30:00Z"}
    for i in range(5):
        cronofy.upsert(cronofy.account, cronofy.calendar.calendar_id, {"event_id": f"before-{i}", **fields})
    cronofy.server.page_size = 2
    told = failing(gateway, cronofy, tmp_path, "paged")
    with Tokens(cronofy.account) as tokens, HttpStandIn() as elsewhere:
        assert retry(cronofy, told, tmp_path, token_url=tokens.url)[0] == DONE
        cronofy.server.next_page_origin = elsewhere.url
        code, said = retry(cronofy, told, tmp_path, token_url=tokens.url)
        assert (code, said) == (NOT_SO, "reject: Cronofy's next page is on another host")
        assert elsewhere.requests == []


def test_an_event_that_was_deleted_stays_deleted(gateway, cronofy, tmp_path):
    told = failing(gateway, cronofy, tmp_path, "deleted")
    cronofy.events.clear()
    with Tokens(cronofy.account) as tokens:
        code, said = retry(cronofy, told, tmp_path, token_url=tokens.url)
        assert code == NOT_SO and "in no calendar" in said
    assert cronofy.events == {}


def test_an_event_that_got_its_conference_meanwhile(gateway, cronofy, tmp_path):
    told = failing(gateway, cronofy, tmp_path, "recovered")
    cronofy.add_profile(cronofy.account, "pro_x")
    create(gateway, cronofy, tmp_path, "recovered", "pro_x")
    cronofy.clock.advance(1)
    with Tokens(cronofy.account) as tokens:
        code, said = retry(cronofy, told, tmp_path, token_url=tokens.url)
        assert (code, said) == (DONE, "done: superseded: the event has got its conference")


def test_an_event_in_two_calendars(gateway, cronofy, tmp_path):
    told = failing(gateway, cronofy, tmp_path, "twofold")
    first = cronofy.calendar
    cronofy.calendar = cronofy.add_calendar(cronofy.account, "a+b@example.com")
    create(gateway, cronofy, tmp_path, "twofold")
    with Tokens(cronofy.account) as tokens:
        code, said = retry(cronofy, told, tmp_path, token_url=tokens.url)
        assert code == NOT_SO and "several calendars" in said
        tag = ("--tag", "calendar_id=a+b@example.com")
        assert retry(cronofy, told, tmp_path, *tag, token_url=tokens.url)[0] == DONE
    assert cronofy.events[first.calendar_id, "twofold"].version == 1
    assert cronofy.events["a+b@example.com", "twofold"].version == 2
