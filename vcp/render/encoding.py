"""Secrets' data to and from base64, and the checksums that make pods follow what they mount."""

import base64
import hashlib
from collections.abc import Iterable, Mapping

import msgspec

from kube.objects import Obj

CHECKSUM = "vcp.dev/checksum"
REDACTED = "UkVEQUNURUQ="  # "REDACTED": still a valid manifest


def secret_data(files: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


def secret_files(secrets: Iterable[Obj]) -> dict[str, bytes]:
    """The files of all given Secrets, as `vcp.pki.renew` wants them; of two of one name the first wins."""
    files: dict[str, bytes] = {}
    for secret in secrets:
        for name, text in (secret.get("data") or {}).items():
            files.setdefault(name, base64.b64decode(text))
    return files


def checksum(pod: Obj, sources: Iterable[Obj]) -> str:
    """Of the Secrets and ConfigMaps among `sources` that the pod mounts."""
    mounted = set()
    for volume in pod.get("volumes", []):
        mounted.add(("Secret", volume.get("secret", {}).get("secretName")))
        mounted.add(("ConfigMap", volume.get("configMap", {}).get("name")))
    data = {
        f"{source['kind']}/{source['metadata']['name']}": source["data"]
        for source in sources
        if (source["kind"], source["metadata"]["name"]) in mounted
    }
    return hashlib.sha256(msgspec.json.encode(data, order="deterministic")).hexdigest()


def redact(objects: Iterable[Obj]) -> list[Obj]:
    """The objects, with nothing of any Secret but its keys; for eyes and logs."""
    return [
        {**obj, "data": dict.fromkeys(obj.get("data", {}), REDACTED)} if obj["kind"] == "Secret" else obj
        for obj in objects
    ]
