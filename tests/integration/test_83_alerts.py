# SPDX-License-Identifier: Apache-2.0
"""Alert rules, by Prometheus' own tool: each is silent while all is well, fires when its time has come, and not before."""

import pathlib
import re
import subprocess

import pytest
import yaml

pytestmark = pytest.mark.no_tsan

ROOT = pathlib.Path(__file__).resolve().parents[2]
RULES = ROOT / "packaging" / "prometheus" / "belfry.rules.yml"
DAY = 86400
GIB = 1 << 30


def series(name, **labels):
    wanted = {"instance": "g:8081", "job": "belfry", **labels}
    return name + "{" + ",".join(f'{key}="{value}"' for key, value in wanted.items()) + "}"


def callbacks(outcome, reason=""):
    return series("belfry_callbacks_total", outcome=outcome, reason=reason, source="cronofy")


def attempts(outcome):
    return series("belfry_deliveries_total", handler="it", outcome=outcome)


BUCKETS = {bound: series("belfry_callback_durable_seconds_bucket", le=bound) for bound in ("0.01", "2.5", "+Inf")}

# A gateway at work for fifteen hours, a value a minute.
WELL = {
    series("belfry_build_info", version="1"): "1x900",
    callbacks("stored"): "0+10x900",
    callbacks("refused", "signature_mismatch"): "0x900",
    callbacks("malformed", "not_json"): "0x900",
    callbacks("unavailable", "journal_not_writable"): "0x900",
    **{bucket: "0+10x900" for bucket in BUCKETS.values()},
    series("belfry_journal_writable"): "1x900",
    series("belfry_journal_damaged_total"): "0x900",
    series("belfry_deliveries_damaged_total"): "0x900",
    series("belfry_journal_held"): "0x900",
    series("belfry_journal_disk_free_bytes"): f"{100 * GIB}x900",
    series("belfry_certificate_expires_timestamp_seconds"): f"{60 * DAY}x900",
    series("belfry_handler_paused", handler="it"): "0x900",
    series("belfry_handler_failing", handler="it"): "0x900",
    series("belfry_admin_refused_total", reason="token"): "0x900",
    series("belfry_deliveries_owed", handler="it"): "3x900",
    attempts("done"): "0+10x900",
    attempts("retry"): "0+1x900",
    attempts("dead"): "0x900",
    series("belfry_handler_crashes_total", handler="it"): "0x900",
    series("belfry_subscriber_lag_events"): "7x900",
    series("process_open_fds"): "100x900",
    series("process_max_fds"): "1000x900",
    series("process_start_time_seconds"): "0x900",
}

# For each alert: what is otherwise, from half an hour on; when it does not fire yet (None: at once), and when it does.
ILL = {
    "BelfryIsNotSeen": ({series("belfry_build_info", version="1"): "1x30 _x840"}, "35m", "45m"),
    "BelfryCallbacksWillBeLost": (
        {
            callbacks("stored"): "0+10x30 300x840",
            callbacks("refused", "signature_mismatch"): "0x30 0+1x840",
        }, "11h30m", "13h",
    ),
    "BelfryCallbacksAreRefused": ({callbacks("refused", "signature_mismatch"): "0x30 0+1x840"}, "38m", "45m"),
    "BelfryCallbacksAreNotTaken": ({callbacks("unavailable", "journal_not_writable"): "0x30 0+1x840"}, "34m", "40m"),
    "BelfryCallbacksAreMalformed": ({callbacks("malformed", "not_json"): "0x30 1x840"}, None, "35m"),
    "BelfryJournalIsNotWritable": ({series("belfry_journal_writable"): "1x30 0x840"}, "31m", "33m"),
    "BelfryJournalIsSlow": ({BUCKETS["0.01"]: "0+10x30 300x840"}, "39m", "50m"),
    "BelfryJournalIsDamaged": ({series("belfry_deliveries_damaged_total"): "0x30 1x840"}, None, "35m"),
    "BelfryJournalIsHeld": ({series("belfry_journal_held"): "0x30 1x840"}, "1h30m", "1h32m"),
    "BelfryDiskIsFilling": (
        {series("belfry_journal_disk_free_bytes"): f"{100 * GIB}x30 {100 * GIB}-{GIB // 4}x300"}, "40m", "3h30m",
    ),
    "BelfryCertificateExpires": ({series("belfry_certificate_expires_timestamp_seconds"): f"{14 * DAY + 1800}x900"},
                                 None, "31m"),  # fmt: skip
    "BelfryHandlerIsPaused": ({series("belfry_handler_paused", handler="it"): "0x30 1x840"}, "45m", "47m"),
    "BelfryDeadLetters": ({attempts("dead"): "0x30 1x840"}, None, "35m"),
    "BelfryDeliveriesStandStill": ({attempts("done"): "0+10x30 300x840"}, "1h28m", "1h33m"),
    "BelfryDeliveriesPileUp": ({series("belfry_deliveries_owed", handler="it"): "3x30 2000+5x840"}, "1h28m", "1h33m"),
    "BelfryHandlerFails": ({series("belfry_handler_failing", handler="it"): "0x30 1x840"}, "40m", "42m"),
    "BelfryHandlerCrashes": ({series("belfry_handler_crashes_total", handler="it"): "0x30 0+1x840"}, None, "38m"),
    "BelfryAdminTokensAreRefused": ({series("belfry_admin_refused_total", reason="token"): "0x30 1x840"}, None, "35m"),
    "BelfrySubscribersAreBehind": ({series("belfry_subscriber_lag_events"): "7x30 20000x840"}, "35m", "37m"),
    "BelfryDescriptorsRunOut": ({series("process_open_fds"): "100x30 950x840"}, "35m", "37m"),
    "BelfryRestarts": ({series("process_start_time_seconds"): "0x30 1800+60x10 2400x830"}, None, "36m"),
}  # fmt: skip
# What goes with another one, for it is the same trouble.
TOGETHER = {"BelfryCallbacksWillBeLost": {"BelfryCallbacksAreRefused"}}


def is_firing(at, alerts):
    return {
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": at,
        "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1} for alert in sorted(alerts)],
    }


def case(name, changes, *questions):
    values = [{"series": each, "values": value} for each, value in {**WELL, **changes}.items()]
    return {"name": name, "interval": "1m", "input_series": values, "promql_expr_test": list(questions)}


def cases():
    yield case("well", {}, *(is_firing(at, ()) for at in ("5m", "1h", "3h")))
    for alert, (changes, before, at) in ILL.items():
        others = TOGETHER.get(alert, set())
        yield case(alert, changes, is_firing("29m", ()), *([is_firing(before, others)] if before else []),
                   is_firing(at, {alert, *others}))  # fmt: skip


def promtool(*arguments):
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=80, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_are_rules():
    promtool("check", "rules", RULES)


def test_each_fires_when_it_must(tmp_path):
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert [rule["alert"] for rule in rules] == list(ILL)
    test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": list(cases())}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test), encoding="utf-8")
    promtool("test", "rules", tmp_path / "test.yml")


def test_rules_ask_for_what_there_is():
    """Their metrics are those that are counted."""
    table = (ROOT / "core" / "net" / "metrics.md").read_text(encoding="utf-8")
    known = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    asked = set(re.findall(r"\b(?:belfry|process)_\w+", RULES.read_text(encoding="utf-8")))
    assert len(asked) > 15
    assert {re.sub(r"_(?:bucket|sum|count)$", "", name) for name in asked} - known == set()
