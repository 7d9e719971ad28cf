"""The names of host objects: computed from the tenant key alone, so any replica finds them without a store.

A joined name would be ambiguous (`a-x-b`/`c` and `a`/`b-x-c`), so a hash makes it unique and a stem keeps it
readable.
"""

import base64
import hashlib
import re
from functools import lru_cache

MAX_LENGTH = 63  # a DNS label, RFC 1123: what the strictest kinds (Service, StatefulSet pod) accept
_HASH_LENGTH = 16  # 80 bits: a pair that collides takes some 10^12 attempts
_EARLIER_LENGTH = 10  # 50 bits, of which a pair was found within a minute


def digest(*texts: str, length: int) -> str:
    """The beginning of the sha256 of the texts, joined by NUL, in the letters of a DNS label: 5 bits each."""
    whole = hashlib.sha256("\0".join(texts).encode()).digest()
    return base64.b32encode(whole).decode().lower()[:length]


@lru_cache(maxsize=4096)  # asked for several times in each event of a pod, and for what many pods refer to
def host_names(tenant: str, namespace: str, name: str) -> tuple[str, str]:
    """The host object's name for a tenant object, and the one of objects that were made before hashes had
    80 bits. Both are DNS labels of at most 63 characters.

    `namespace` is empty for cluster-scoped objects. The hash is sha256 over the three parts joined by NUL,
    which no Kubernetes name can hold.
    """
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not stem[:1].isalpha():  # a Service's name must start with a letter (RFC 1035)
        stem = f"x{stem}"
    suffix = digest(tenant, namespace, name, length=_HASH_LENGTH)
    return _joined(stem, suffix), _joined(stem, suffix[:_EARLIER_LENGTH])


def host_name(tenant: str, namespace: str, name: str) -> str:
    """The name that a host object gets which is made now."""
    return host_names(tenant, namespace, name)[0]


def _joined(stem: str, suffix: str) -> str:
    return f"{stem[: MAX_LENGTH - len(suffix) - 1].rstrip('-')}-{suffix}"
