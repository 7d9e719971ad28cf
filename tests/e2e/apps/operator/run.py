"""Makes the sites that are asked for, and answers the API server's questions about them.

POST /convert, /validate, /mutate
GET  /counts  how often each was asked
"""

import collections
import http.server
import json
import os
import signal
import socket
import socketserver
import ssl
import threading
import time

import hooks
import sites
from api import APPLY, MERGE, NAMESPACE, call

SITES = f"/apis/{hooks.GROUP}/v1/namespaces/{NAMESPACE}/sites"
PATIENCE = 1  # seconds, from one look at everything to the next
asked = collections.Counter()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer(asked)

    def do_POST(self):
        hook = self.path.split("?")[0].strip("/")
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        request = review.pop("request")
        decide = {"convert": hooks.convert, "validate": hooks.validate, "mutate": hooks.mutate}[hook]
        asked[hook] += 1
        self.answer({**review, "response": {"uid": request["uid"], **decide(request)}})

    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def serve():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/serving/tls.crt", "/serving/tls.key")
    server = Server(("", 8443), Handler)
    # The handshake is the handler thread's: a client that is slow at it keeps nobody waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()


def reconcile(site, image):
    for path, wanted in sites.objects(site, image):
        made = call("PATCH", f"{path % NAMESPACE}?fieldManager=operator&force=true", wanted, APPLY)
    ready = made["status"].get("readyReplicas", 0)
    if site.get("status", {}).get("ready") != ready:
        call("PATCH", f"{SITES}/{site['metadata']['name']}/status", {"status": {"ready": ready}}, MERGE)


def run():
    own = call("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{socket.gethostname()}")
    image = own["spec"]["containers"][0]["image"]
    while True:
        try:
            found = call("GET", SITES)
            for site in found["items"]:
                reconcile({**site, "apiVersion": found["apiVersion"]}, image)
        except OSError as error:  # a conflict, or an API server that is away
            print(f"again: {error}", flush=True)
        time.sleep(PATIENCE)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=serve, daemon=True).start()
    run()
