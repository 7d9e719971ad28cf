"""One of several members that elect a leader as Raft does (section 5.2 of its paper) and do nothing else.

member.py SERVICE COUNT

GET  /       what this member knows: name, full name, addresses of all, term, leader
GET  /ready  200 once it knows a leader
POST /vote   {term, name} -> {term, granted}
POST /lead   {term, name} -> {term}: the leader of a term says that it is there
"""

import concurrent.futures
import http.server
import json
import os
import random
import signal
import socket
import socketserver
import sys
import threading
import time
import urllib.request

PORT = 8080
BEAT, PATIENCE = 0.3, (1.5, 3.0)  # seconds between words of a leader, and without them until one stands


class Member:
    def __init__(self, service, count):
        self.name = socket.gethostname()
        self.service = service
        stem = self.name.rpartition("-")[0]
        self.peers = [f"{stem}-{n}" for n in range(count) if f"{stem}-{n}" != self.name]
        self.majority = count // 2 + 1
        self.term, self.voted, self.leader = 0, "", ""
        # A vote is not kept over a restart, so a new member lets every term pass that it may have voted in.
        self.silent_until = time.monotonic() + max(PATIENCE)
        self.deadline = self.silent_until + random.uniform(*PATIENCE)
        self.lock = threading.Lock()
        self.pool = concurrent.futures.ThreadPoolExecutor(count)

    def known(self):
        found = socket.getaddrinfo(self.service, PORT, socket.AF_INET, socket.SOCK_STREAM)
        with self.lock:
            return {
                "name": self.name,
                "full": socket.getfqdn(),
                "addresses": sorted({one[4][0] for one in found}),
                "term": self.term,
                "leader": self.leader,
            }

    def hear(self, term):
        """Everybody follows the highest term that it hears of."""
        if term > self.term:
            self.term, self.voted, self.leader = term, "", ""

    def wait_again(self):
        self.deadline = time.monotonic() + random.uniform(*PATIENCE)

    def vote(self, term, name):
        with self.lock:
            if time.monotonic() < self.silent_until:
                return {"term": self.term, "granted": False}
            self.hear(term)
            granted = term == self.term and self.voted in ("", name)
            if granted:
                self.voted = name
                self.wait_again()
            return {"term": self.term, "granted": granted}

    def lead(self, term, name):
        with self.lock:
            self.hear(term)
            if term == self.term:
                self.leader = name
                self.wait_again()
            return {"term": self.term}

    def ask(self, path, term):
        """The answers of those peers that can be reached, by the names which the Service gives them."""
        body = json.dumps({"term": term, "name": self.name}).encode()

        def one(peer):
            url = f"http://{peer}.{self.service}:{PORT}{path}"
            try:
                with urllib.request.urlopen(url, body, timeout=1) as response:
                    return json.load(response)
            except OSError:
                return None

        answers = [answer for answer in self.pool.map(one, self.peers) if answer is not None]
        with self.lock:
            for answer in answers:
                self.hear(answer["term"])
        return answers

    def run(self):
        last = time.monotonic()
        while True:
            with self.lock:
                term, leads = self.term, self.leader == self.name
                stands = not leads and time.monotonic() > self.deadline
                if stands:
                    self.term = term = self.term + 1
                    self.voted, self.leader = self.name, ""
                    self.wait_again()
            if leads:
                if len(self.ask("/lead", term)) + 1 >= self.majority:
                    last = time.monotonic()
                elif time.monotonic() - last > max(PATIENCE):  # cut off: the others have another one
                    with self.lock:
                        self.leader = ""
                time.sleep(BEAT)
            elif stands:
                granted = sum(answer["granted"] for answer in self.ask("/vote", term))
                with self.lock:
                    if granted + 1 >= self.majority and term == self.term:
                        self.leader, last = self.name, time.monotonic()
            else:
                time.sleep(0.05)


def handler(member):
    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self, code, body):
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            if self.path == "/ready":
                self.answer(200 if member.leader else 503, {})
            else:
                self.answer(200, member.known())

        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            take = {"/vote": member.vote, "/lead": member.lead}[self.path]
            self.answer(200, take(asked["term"], asked["name"]))

        def log_message(self, *_):
            pass

    return Handler


class Server(socketserver.ThreadingTCPServer):
    """Not http.server's: that one looks its own name up, which may take seconds."""

    allow_reuse_address = daemon_threads = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a pod ignores it otherwise
    me = Member(sys.argv[1], int(sys.argv[2]))
    threading.Thread(target=Server(("", PORT), handler(me)).serve_forever, daemon=True).start()
    me.run()
