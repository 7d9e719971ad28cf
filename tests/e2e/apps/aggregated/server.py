"""An aggregated API server of one resource: `greetings`, which greet whoever asks.

It believes the user headers of a request only from who shows the certificate that the cluster names in the
ConfigMap `extension-apiserver-authentication`.
"""

import http.server
import json
import os
import signal
import socketserver
import ssl

from api import call

GROUP, VERSION = "greetings.example.com", "v1"
TRUST = call("GET", "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication")["data"]
USER, *_ = json.loads(TRUST["requestheader-username-headers"])
NAMES = json.loads(TRUST["requestheader-allowed-names"])

RESOURCE = {
    "name": "greetings",
    "singularName": "greeting",
    "kind": "Greeting",
    "namespaced": True,
    "verbs": ["get", "list"],
}
GROUP_VERSION = {"groupVersion": f"{GROUP}/{VERSION}", "version": VERSION}
DISCOVERY = {
    f"/apis/{GROUP}": {
        "apiVersion": "v1",
        "kind": "APIGroup",
        "name": GROUP,
        "versions": [GROUP_VERSION],
        "preferredVersion": GROUP_VERSION,
    },
    f"/apis/{GROUP}/{VERSION}": {
        "apiVersion": "v1",
        "kind": "APIResourceList",
        "groupVersion": f"{GROUP}/{VERSION}",
        "resources": [RESOURCE],
    },
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        path = self.path.split("?")[0].rstrip("/")
        if path == "/healthz":
            self.answer(200, {})
        elif (user := self.user()) is None:
            self.answer(401, failure(401, "Unauthorized"))
        elif path in DISCOVERY:
            self.answer(200, DISCOVERY[path])
        elif path.startswith(f"/apis/{GROUP}/{VERSION}/namespaces/"):
            self.answer(200, greetings(path.split("/")[5:], user))
        else:
            self.answer(404, failure(404, "NotFound"))

    def user(self):
        """Who asks, if the cluster's own API server says so."""
        certificate = self.connection.getpeercert() or {}
        subject = dict(pair for part in certificate.get("subject", ()) for pair in part)
        return self.headers[USER] if subject.get("commonName") in NAMES else None

    def answer(self, code, body):
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def failure(code, reason):
    words = {"status": "Failure", "code": code, "reason": reason, "message": reason}
    return {"apiVersion": "v1", "kind": "Status", "metadata": {}, **words}


def greetings(path, user):
    """One greeting, or a list of the only one; `path` is NAMESPACE, `greetings`, perhaps NAME."""
    namespace, _, *named = path
    one = {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": "Greeting",
        "metadata": {"name": named[0] if named else "hello", "namespace": namespace},
        "text": f"Hello {user}",
    }
    return (
        one
        if named
        else {"apiVersion": f"{GROUP}/{VERSION}", "kind": "GreetingList", "metadata": {}, "items": [one]}
    )


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/serving/tls.crt", "/serving/tls.key")
    context.load_verify_locations(cadata=TRUST["requestheader-client-ca-file"])
    context.verify_mode = ssl.CERT_OPTIONAL
    server = Server(("", 8443), Handler)
    # The handshake is the handler thread's: a client that is slow at it keeps nobody waiting.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
