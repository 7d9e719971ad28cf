"""Replaces a tenant's authorities while clients stay connected: the old and the new one overlap.

What is under way stands in the key material itself. `X.crt` holds every certificate that is believed, first
the one that signs; `X-next.crt` and `X-next.key` are an authority that is believed already and is to sign
from the next step on. Each step takes all files of a tenant and gives them anew.
Why so: docs/decisions/0025-rotating-authorities.md.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from vcp import certificates, pki
from vcp.certificates import Source
from vcp.pki import SYSTEM, PkiRequest

Files = Mapping[str, bytes]


def announced(
    files: Files, names: Iterable[str], request: PkiRequest, now: datetime, source: Source = SYSTEM
) -> dict[str, bytes]:
    """Each named authority has a successor, which is believed."""
    changed = dict(files)
    for name in names:
        if f"{name}-next.key" in files:
            continue
        pair = pki.new_authority(name, request, now, source)
        changed[f"{name}-next.crt"], changed[f"{name}-next.key"] = pair
        changed[f"{name}.crt"] = files[f"{name}.crt"] + pair.certificate
    return changed


def switched(files: Files, names: Iterable[str]) -> dict[str, bytes]:
    """Each announced successor signs; its predecessors are believed still."""
    changed = dict(files)
    for name in names:
        key = changed.pop(f"{name}-next.key", None)
        certificate = changed.pop(f"{name}-next.crt", None)
        if key and certificate:
            others = [one for one in certificates.split(files[f"{name}.crt"]) if one != certificate]
            changed[f"{name}.crt"], changed[f"{name}.key"] = certificate + b"".join(others), key
    return changed


def finished(files: Files, names: Iterable[str]) -> dict[str, bytes]:
    """Only the authority that signs is believed, unless a successor is announced."""
    changed = dict(files)
    for name in names:
        if f"{name}-next.key" not in files:
            changed[f"{name}.crt"] = certificates.split(files[f"{name}.crt"])[0]
    return changed
