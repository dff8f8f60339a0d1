"""A message board over HTTP: GET / lists, POST / adds a line, GET /health answers "ok"."""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MESSAGES = Path(os.environ["DATA"], "messages")
LONGEST = 200  # bytes of a message


class Board(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self):
        """List the last messages, or say that we are well."""
        if self.path == "/health":
            self._answer(200, "ok\n")
        elif self.path == "/":
            self._answer(200, "".join(MESSAGES.read_text().splitlines(keepends=True)[-20:]))
        else:
            self._answer(404, "not here\n")

    def do_POST(self):
        """Add a message."""
        length = min(int(self.headers.get("Content-Length", 0)), LONGEST)
        text = " ".join(self.rfile.read(length).decode(errors="replace").split())
        with MESSAGES.open("a") as file:
            file.write(text + "\n")
        print("message:", text)
        self._answer(201, "thanks\n")

    def _answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        """Say nothing of each request; messages are in the log as they come."""


def notify(text):
    """sd_notify(3)."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.sendto(text.encode(), "\0" + address[1:] if address[0] == "@" else address)


def main():
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ["PORT"])
    with ThreadingHTTPServer(("127.0.0.1", port), Board) as server:
        notify(f"READY=1\nSTATUS=listening on 127.0.0.1:{port}")
        print("listening on port", port)
        server.serve_forever()


main()
