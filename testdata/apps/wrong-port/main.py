from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()


print("listening on 9999", flush=True)
ThreadingHTTPServer(("", 9999), Handler).serve_forever()
