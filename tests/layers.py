#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Who may include whom in core/ and plugins/.

A folder is a layer. It may include itself and the layers above it, and of the libraries only those that the
tables below give it, so that a library can be replaced by changing one folder. Of libwebsockets only what carries
bytes may be used. Exit status 1 and one line for each #include, or word, that breaks a rule.
"""

import fnmatch
import pathlib
import re
import sys

# From the top down. A layer may use what stands before it.
LAYERS = ["base", "wire", "auth", "config", "store", "hub", "handlers", "web", "net", "daemon"]

USES = {layer: set(LAYERS[: i + 1]) for i, layer in enumerate(LAYERS)}
# A program beside the daemon: it speaks to it over the wire, reads its journal, and knows nothing else of its inside.
USES["cli"] = {"base", "wire", "auth", "config", "store", "cli"}
# One that writes the manual from the tables of both, while they are built.
USES["manual"] = USES["cli"] | {"manual"}
# Another: it runs strangers' code, so nothing of the daemon is in it.
USES["host"] = {"base", "wire", "host"}

# The libraries, and the folders or files of core/ that may see them.
FOREIGN = {
    r"openssl/.*": ["wire/digest.c", "auth/*", "net/transport.c"],
    r"jansson\.h": ["wire/*", "auth/*", "config/description.c", "config/expressions.c", "daemon/main.c", "cli/*", "host/*"],
    r"jose/.*": ["auth/*"],
    r"yaml\.h": ["config/yaml.c"],
    r"sqlite3\.h": ["store/*"],
    r"uv\.h": ["handlers/*", "net/*", "daemon/*"],
    r"libwebsockets\.h": ["net/transport.c"],
    r"curl/.*": ["cli/*", "daemon/*", "host/outgoing.c"],
    r"jq\.h": ["host/template.c"],
    r"seccomp\.h": ["host/sandbox.c"],
    r"dlfcn\.h": ["host/plugin.c"],
    r"belfry/plugin\.h": ["host/*"],
    r"ut(hash|list|array)\.h": ["*"],
}

# The C library and the kernel: for everybody.
SYSTEM = re.compile(
    r"(assert|ctype|dirent|elf|endian|errno|fcntl|fnmatch|getopt|glob|grp|inttypes|limits|link|math|netdb|poll|pthread|pwd|"
    r"sched|semaphore|setjmp|signal|spawn|std(arg|atomic|bool|def|int|io|lib|noreturn|align)|string|strings|syslog|"
    r"sysexits|termios|threads|time|unistd)\.h|(sys|netinet|arpa|linux|net)/[a-z0-9_]+\.h"
)

# What comes with Belfry sees of it what strangers see, and the libraries that are its own.
PLUGINS = {
    r"belfry/plugin\.h": ["*"],
    r"curl/.*": ["email/*"],
    r"openssl/.*": ["forward/*", "retry_profile/*"],
    r"jansson\.h": ["retry_profile/*", "slack/*", "testing/*"],
}

# What of libwebsockets is used: nothing that reads a request, frames a message or keeps what waits (core/README.md), nor
# its limits, some of which do nothing, and one of which makes every look-up a linear scan (fd_limit_per_thread).
LIBWEBSOCKETS = {
    "lws_adopt_descriptor_vhost", "lws_callback_on_writable", "lws_callback_reasons", "lws_context",
    "lws_context_creation_info", "lws_context_destroy", "lws_context_user", "lws_create_context", "lws_create_vhost",
    "lws_get_context", "lws_get_opaque_user_data", "lws_get_ssl", "lws_protocols", "lws_rx_flow_control", "lws_set_log_level",
    "lws_set_opaque_user_data", "lws_set_timeout", "lws_sock_file_fd_type", "lws_vhost",
}  # fmt: skip
UNUSED = re.compile(r"\b(lws_\w+|lejp_\w+|\w*ip_limit\w*|fd_limit_per_thread|extensions|LWS_\w*LISTEN_SHARE)\b")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>]+)>|"([^"]+)"|(.+))', re.MULTILINE)


def judge_foreign(name, header):
    """What is wrong with <header> in the file `name` of core/, or None."""
    if SYSTEM.fullmatch(header):
        return None
    for pattern, places in FOREIGN.items():
        if re.fullmatch(pattern, header):
            if any(fnmatch.fnmatch(name, place) for place in places):
                return None
            return f"<{header}> may be included only in {', '.join(places)} of core/"
    return f"<{header}> is in no table of tests/layers.py"


def judge_own(name, header):
    """What is wrong with "header" in the file `name` of core/, or None."""
    layer, target = name.split("/")[0], header.split("/")[0]
    if layer not in USES:
        return f"{layer}/ is no layer; tests/layers.py has the list"
    if "/" not in header or target not in USES:
        return f'"{header}" must be named from core/ on, as in "base/span.h"'
    if target not in USES[layer]:
        return f"{layer}/ may not include {target}/: it may use {', '.join(sorted(USES[layer] - {layer})) or 'nothing'}"
    return None


def judge_words(text):
    """What of libwebsockets is not to be used, as (line, sentence)."""
    for match in UNUSED.finditer(text):
        if match[1] not in LIBWEBSOCKETS:
            yield text.count("\n", 0, match.start()) + 1, f"{match[1]} of libwebsockets is not used here"


def judge_plugin(name, text):
    """The same for the file `name` of plugins/: only its own folder, and in tests the fake host."""
    for match in INCLUDE.finditer(text):
        foreign, own, other = match.groups()
        is_test = "/test_" in name or name.startswith("testing/")
        if foreign:
            places = next((places for pattern, places in PLUGINS.items() if re.fullmatch(pattern, foreign)), [])
            is_good = SYSTEM.fullmatch(foreign) or any(fnmatch.fnmatch(name, place) for place in places)
        else:
            is_good = own and ("/" not in own or (is_test and own == "testing/fake_host.h"))
        if not is_good:
            line = text.count("\n", 0, match.start()) + 1
            yield line, f"{foreign or own or other} is nothing that this plugin may see"


def judge(name, text):
    """Every complaint about the file `name` (relative to core/) as (line, sentence)."""
    if "#include <libwebsockets.h>" in text:
        yield from judge_words(text)
    for match in INCLUDE.finditer(text):
        foreign, own, other = match.groups()
        if foreign:
            complaint = judge_foreign(name, foreign)
        elif own:
            complaint = judge_own(name, own)
        else:
            complaint = f"an #include that is computed ({other.strip()}) cannot be checked"
        if complaint:
            yield text.count("\n", 0, match.start()) + 1, complaint


def test_itself():
    """A check that finds nothing must first show that it can."""
    good = [
        ("wire/event.c", '#include "base/span.h"\n#include "wire/event.h"\n#include <jansson.h>\n#include <errno.h>'),
        ("wire/digest.c", "#include <openssl/evp.h>"),
        ("net/reactor.c", '#include "hub/hub.h"\n#include <uv.h>\n#include <sys/socket.h>'),
        ("cli/belfry.c", '#include "config/config.h"\n#include <curl/curl.h>'),
        ("hub/hub.c", "#include <uthash.h>"),
        ("net/transport.c", "#include <libwebsockets.h>\nstruct lws_vhost *v = lws_create_vhost(c, &info);"),
        ("hub/ring.c", "ring.extensions = 0;"),
        ("host/template.c", '#include "wire/packet.h"\n#include <belfry/plugin.h>\n#include <jq.h>'),
    ]
    bad = [
        ("base/span.c", '#include "wire/event.h"'),
        ("wire/event.c", "#include <openssl/evp.h>"),
        ("wire/event.c", '# include "net/reactor.h"'),
        ("hub/hub.c", "#include <uv.h>"),
        ("config/schema.c", "#include <yaml.h>"),
        ("net/reactor.c", "#include <sqlite3.h>"),
        ("cli/belfry.c", '#include "hub/hub.h"'),
        ("daemon/main.c", '#include "cli/belfry.h"'),
        ("wire/event.c", '#include "event.h"'),
        ("wire/event.c", '#include "../net/reactor.h"'),
        ("base/log.c", "#include <glib.h>"),
        ("base/log.c", "#include HEADER"),
        ("host/serve.c", '#include "config/config.h"'),
        ("daemon/main.c", "#include <dlfcn.h>"),
        ("handlers/supervisor.c", "#include <belfry/plugin.h>"),
        ("oddities/x.c", '#include "base/span.h"'),
        ("net/transport.c", "lws_write(wsi, data, n, LWS_WRITE_RAW);\n#include <libwebsockets.h>"),
        ("net/transport.c", "info.fd_limit_per_thread = 7;\n#include <libwebsockets.h>"),
    ]
    for name, text in good:
        assert not list(judge(name, text)), (name, text, list(judge(name, text)))
    for name, text in bad:
        assert len(list(judge(name, "\n" + text))) == 1, (name, text)
        assert next(judge(name, "\n" + text))[0] == 2
    assert not list(judge_plugin("slack/slack.c", "#include <belfry/plugin.h>\n#include <jansson.h>\n#include <time.h>"))
    assert not list(judge_plugin("slack/test_slack.c", '#include "testing/fake_host.h"\n#include "unit.h"'))
    for header in ('"base/span.h"', "<curl/curl.h>", '"testing/fake_host.h"', '"../../core/base/span.h"', "HEADER"):
        assert len(list(judge_plugin("slack/slack.c", f"#include {header}"))) == 1, header


def main():
    test_itself()
    root = pathlib.Path(__file__).resolve().parent.parent
    n_files = n_complaints = 0
    for folder, judge_file in ((root / "core", judge), (root / "plugins", judge_plugin)):
        files = sorted(folder.rglob("*.[ch]"))
        assert files, folder
        n_files += len(files)
        for path in files:
            name = path.relative_to(folder).as_posix()
            for line, complaint in judge_file(name, path.read_text(encoding="utf-8")):
                print(f"{folder.name}/{name}:{line}: {complaint}", file=sys.stderr)
                n_complaints += 1
    print(f"layers: {n_files} files, {n_complaints} broken rules")
    return 1 if n_complaints else 0


if __name__ == "__main__":
    sys.exit(main())
