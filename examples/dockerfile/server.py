import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open("greeting.txt", "rb") as f:
    greeting = f.read()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(greeting)))
        self.end_headers()
        self.wfile.write(greeting)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
port = int(os.environ["PORT"])
print(f"listening on {port}")
ThreadingHTTPServer(("", port), Handler).serve_forever()
