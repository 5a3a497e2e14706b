# SPDX-License-Identifier: Apache-2.0
"""Slack and a mailbox, for demonstrations: python3 tests/simulator/people.py

The first line that it prints says where they are, each further one what somebody got. It serves until its standard input
ends.
"""

import asyncio
import email
import email.policy
import http.server
import json
import sys
import threading


def show(who, text):
    print(f"{who}: {' '.join(text.split())}", flush=True)


class Slack(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
        links = [element["url"] for block in message["blocks"] for element in block.get("elements", [])]
        show("Slack", " ".join([message["text"], *links]))

    def log_message(self, format, *arguments):
        pass


async def take_mail(reader, writer):
    """As much of SMTP as a mail needs."""

    async def say(line):
        writer.write(line + b"\r\n")
        await writer.drain()

    await say(b"220 mailbox")
    while line := (await reader.readline()).strip():
        if line.upper() == b"DATA":
            await say(b"354 go on")
            show_mail(await reader.readuntil(b"\r\n.\r\n"))
        await say(b"221 bye" if line.upper() == b"QUIT" else b"250 ok")
    writer.close()


def show_mail(data):
    message = email.message_from_bytes(data.removesuffix(b".\r\n"), policy=email.policy.default)
    show(f"mail to {message['To']}", f"{message['Subject']}. {message.get_content()}")


def main():
    slack = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slack)
    threading.Thread(target=slack.serve_forever, daemon=True).start()
    loop = asyncio.new_event_loop()
    mailbox = loop.run_until_complete(asyncio.start_server(take_mail, "127.0.0.1", 0))
    threading.Thread(target=loop.run_forever, daemon=True).start()
    urls = {
        "slack": f"http://127.0.0.1:{slack.server_port}/services/T000/B000/demonstration",
        "mail": f"smtp://127.0.0.1:{mailbox.sockets[0].getsockname()[1]}",
    }
    print(json.dumps(urls), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
