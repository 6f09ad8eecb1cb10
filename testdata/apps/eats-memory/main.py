import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

eaten = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{len(eaten) * 16} MiB\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def eat():
    while True:
        time.sleep(0.1)
        eaten.append(b"x" * (16 << 20))
        print(f"{len(eaten) * 16} MiB", flush=True)


threading.Thread(target=eat, daemon=True).start()
ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
