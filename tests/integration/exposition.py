# SPDX-License-Identifier: Apache-2.0
"""Prometheus text format 0.0.4, read as strictly as its description allows
(prometheus.io/docs/instrumenting/exposition_formats, and what `promtool check metrics` says of names)."""

import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (\S+)")
TYPES = ("counter", "gauge", "histogram")


class Family:
    def __init__(self, name, help_text, kind):
        self.name, self.help, self.kind = name, help_text, kind
        self.samples = []  # (name, labels, value), in order

    def sum(self, part="", **labels):
        """Of the samples that have these labels; part: "_count" of a histogram."""
        return int(sum(v for name, has, v in self.samples if name == self.name + part and labels.items() <= has.items()))

    def labels(self):
        return sorted({name for _, labels, _ in self.samples for name in labels if name != "le"})


def parse(text):
    """The families by name. Every line must be what it may be, in its place."""
    assert text.endswith("\n") and "\n\n" not in text and "\r" not in text
    lines = text[:-1].split("\n")
    families, at = {}, 0
    while at < len(lines):
        help_line = re.fullmatch(rf"# HELP ({NAME}) (.+)", lines[at])
        type_line = re.fullmatch(rf"# TYPE ({NAME}) ({'|'.join(TYPES)})", lines[at + 1])
        assert help_line and type_line and help_line[1] == type_line[1], lines[at : at + 2]
        family = Family(help_line[1], help_line[2], type_line[2])
        assert family.name not in families, f"{family.name} stands twice"
        families[family.name] = family
        at += 2
        while at < len(lines) and not lines[at].startswith("#"):
            family.samples.append(parse_sample(lines[at]))
            at += 1
        check(family)
    return families


def parse_sample(line):
    match = SAMPLE.fullmatch(line)
    assert match, f"no sample: {line!r}"
    pairs = re.findall(LABEL, match[2] or "")
    labels = {name: re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], value) for name, value in pairs}
    assert len(labels) == len(pairs), f"a label twice: {line!r}"
    value = match[match.lastindex]
    assert re.fullmatch(r"\+Inf|\d+(\.\d+)?(e[+-]\d+)?", value), f"no number: {line!r}"
    return match[1], labels, float(value)


def check(family):
    assert family.samples, f"{family.name} has no samples"
    keys = [(name, tuple(sorted(labels.items()))) for name, labels, _ in family.samples]
    assert len(set(keys)) == len(keys), f"{family.name} has a sample twice"
    assert len({tuple(sorted(set(labels) - {"le"})) for _, labels, _ in family.samples}) == 1, family.name
    assert (family.kind == "counter") == family.name.endswith("_total"), family.name
    if family.kind == "histogram":
        check_histogram(family)
    else:
        assert {name for name, _, _ in family.samples} == {family.name}
        assert all("le" not in labels for _, labels, _ in family.samples)


def check_histogram(family):
    assert family.name.endswith("_seconds")
    *buckets, (sum_name, _, total), (count_name, _, count) = family.samples
    assert (sum_name, count_name) == (f"{family.name}_sum", f"{family.name}_count")
    assert {name for name, _, _ in buckets} == {f"{family.name}_bucket"}
    bounds = [float(labels["le"]) for _, labels, _ in buckets]
    assert bounds == sorted(bounds) and bounds[-1] == math.inf and buckets[-1][1]["le"] == "+Inf"
    values = [value for _, _, value in buckets]
    assert values == sorted(values) and values[-1] == count
    assert total >= 0
