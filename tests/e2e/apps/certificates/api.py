"""The API of the cluster that a pod runs in, as the pod's service account."""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = (ACCOUNT / "namespace").read_text()
MERGE, JSON, APPLY = (
    f"application/{kind}" for kind in ("merge-patch+json", "json-patch+json", "apply-patch+yaml")
)
_BASE = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
_TRUST = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))


def call(method, path, body=None, kind="application/json"):
    """The answer to a request; raises urllib.error.HTTPError."""
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": kind}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(_BASE + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10, context=_TRUST) as response:
        return json.load(response)
