"""Service account tokens: which ones a pod asks for, and the Secret that carries them on the host.

The host's kubelet would put the host's tokens where a pod expects its own, so each `serviceAccountToken`
source becomes an item of one Secret per pod, which the syncer fills and renews.
"""

import re
from collections.abc import Iterator

from kube.objects import Obj
from syncer.core import names
from syncer.core.actions import TokenRequest

_SECONDS = 3600  # the API server's default for projected tokens
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_MAX_KEY = 253


def secret_name(host_pod_name: str) -> str:
    """The per-pod Secret. The dot keeps it apart from translated names, which are DNS labels."""
    return f"{host_pod_name}.tokens"


def file_key(volume: str, path: str) -> str:
    """The key of the Secret for a token at `path` of a volume: unique in the pod.

    A volume's name is a DNS label, so the first dot ends it. Paths hold what no key may (slashes, above all);
    those are hashed.
    """
    key = f"{volume}.{path}"
    if _KEY.fullmatch(path) and len(key) <= _MAX_KEY:
        return key
    return f"{volume}.{names.digest(path, length=20)}"


def token_requests(pod: Obj) -> tuple[TokenRequest, ...]:
    """One request for each `serviceAccountToken` source of the tenant pod, in the order of its volumes."""
    return tuple(_requests(pod))


def _requests(pod: Obj) -> Iterator[TokenRequest]:
    for volume in pod["spec"].get("volumes") or ():
        for source in (volume.get("projected") or {}).get("sources") or ():
            if token := source.get("serviceAccountToken"):
                yield TokenRequest(
                    file_key(volume["name"], token["path"]),
                    token.get("audience", ""),
                    token.get("expirationSeconds") or _SECONDS,
                )
