"""Answers its version; ends when it is told to, once all that it was asked is answered."""

import http.server
import os
import signal
import socketserver
import threading
import time


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(0.02)  # some work
        data = os.environ["VERSION"].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    """Not http.server's: that one looks its own name up, which may take seconds."""

    allow_reuse_address = True
    daemon_threads = False  # closing the server waits for them
    request_queue_size = 128


if __name__ == "__main__":
    with Server(("", 8080), Handler) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        server.serve_forever()
