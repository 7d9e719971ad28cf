"""Asks a URL over and over, each time on a new connection, and tells what came of it.

load.py URL WORKERS

GET / on port 8080: {"answers": {TEXT: count}, "failures": [TEXT, ...]}
"""

import collections
import http.server
import json
import socketserver
import sys
import threading
import time
import urllib.request

PAUSE = 0.05  # seconds, between two requests of a worker
PATIENCE = 15  # seconds; a lost packet is not a lost request

answers, failures = collections.Counter(), []
lock = threading.Lock()


def work(url):
    while True:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                text = response.read().decode()
            with lock:
                answers[text] += 1
        except OSError as error:
            with lock:
                failures.append(f"{time.strftime('%H:%M:%S')} {error!r}")
        time.sleep(PAUSE)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with lock:
            data = json.dumps({"answers": answers, "failures": failures}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    url, workers = sys.argv[1], int(sys.argv[2])
    # Only what is up can be lost: it starts to count with the first answer.
    while True:
        try:
            urllib.request.urlopen(url, timeout=PATIENCE).close()
            break
        except OSError:
            time.sleep(0.2)
    for _ in range(workers):
        threading.Thread(target=work, args=(url,), daemon=True).start()
    Server(("", 8080), Handler).serve_forever()
