"""Greets over HTTP with words from a package that it depends on."""

import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import greeting


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path.startswith("/env/"):
            text = os.environ.get(self.path.removeprefix("/env/"), "")
        else:
            text = f"{greeting.hello('Python')} on {socket.gethostname()}"
        body = (text + "\n").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
port = int(os.environ.get("PORT", "8080"))
print(f"listening on {port}")
ThreadingHTTPServer(("", port), Handler).serve_forever()
