import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

line = "x" * 99
rate = int(os.environ.get("RATE", str(1 << 20)))
written = 0


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{written} lines\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def flood():
    global written
    began = time.monotonic()
    while True:
        while written * 100 < (time.monotonic() - began) * rate:
            written += 1
            print(f"{written} {line}"[:99], flush=True)
        time.sleep(0.01)


threading.Thread(target=flood, daemon=True).start()
ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler).serve_forever()
