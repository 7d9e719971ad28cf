"""What translation costs: time for a pod, memory for ten thousand. Run as `python tests/bench_translate.py`.

Nothing is asserted: machines differ, and a slow one is not an error.
"""

import copy
import gc
import importlib.util
import os
import sys
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from syncer.core import marks
from syncer.core.actions import RENEW
from syncer.core.objects import Key, Obj, key_of, uid_of
from syncer.core.pods import metadata, references, spec, tokens
from syncer.core.scope import Scope
from tests.pod_scope import Objects, scope

CASE = Path(__file__).parent / "golden" / "pods" / "typical"
PODS = 10_000


def show(name: str, function: Callable[[], Any]) -> None:
    """The best of many short runs of CPU time: what others do on the machine disturbs these least."""
    timer = timeit.Timer(function, timer=time.process_time)
    best = min(timer.repeat(60, 50)) / 50 * 1e6
    print(f"  {name:<18}{best:8.1f} µs")


def resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def numbered(body: bytes, name: str, number: int) -> Obj:
    """The pod as one answer of the API server would decode: its own dicts and strings."""
    pod: Obj = msgspec.json.decode(body.replace(name.encode(), f"{name}-{number}".encode()))
    return pod


def translation(tenant: Obj, fields: dict[str, Any]) -> None:
    where = scope(*fields.pop("objects"), **fields)
    print(f"pod of {len(msgspec.json.encode(tenant))} bytes; load of the machine {os.getloadavg()[0]:.1f}")
    show("copy.deepcopy", lambda: copy.deepcopy(tenant))
    show("host_pod", lambda: spec.host_pod(tenant, where))
    show("host_labels", lambda: metadata.host_labels(tenant, where))
    show("host_annotations", lambda: metadata.host_annotations(tenant, where))
    show("references", lambda: references.references(tenant))
    show("token_requests", lambda: tokens.token_requests(tenant))
    if importlib.util.find_spec("syncer.resources.pods"):
        settled(tenant, where)


def settled(tenant: Obj, where: Scope) -> None:
    """The plan of a pod that needs nothing: both pods bound, its tokens fresh."""
    resource = importlib.import_module("syncer.resources.pods").Pods()
    bound = tenant | {"spec": tenant["spec"] | {"nodeName": "node-1"}}
    host = spec.host_pod(tenant, where)
    host["metadata"] |= {"uid": "host-uid", "resourceVersion": "1"}
    host["spec"]["nodeName"] = "node-1"
    host["status"] = tenant["status"]
    metadata_of_tokens = {
        "name": tokens.secret_name(host["metadata"]["name"]),
        "namespace": where.namespace,
        "uid": "secret-uid",
        "annotations": marks.annotations(key_of(tenant), uid_of(tenant)) | {RENEW: "9999999999"},
    }
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata_of_tokens}
    where, key = replace(where, host=Objects([host, secret])), key_of(tenant)
    show("plan, settled", lambda: resource.plan(key, bound, host, where))
    left = [type(action).__name__ for action in resource.plan(key, bound, host, where)]
    print(f"  actions of that plan: {', '.join(left) or 'none'}")


def memory(tenant: Obj, fields: dict[str, Any]) -> None:
    where = scope(*fields.pop("objects"), **fields)
    name = tenant["metadata"]["name"]
    host = spec.host_pod(tenant, where)
    host["metadata"]["resourceVersion"] = "1"
    host["status"] = tenant["status"]
    bodies = [msgspec.json.encode(tenant), msgspec.json.encode(host)]
    gc.collect()
    before = resident()
    stores = [store() for _ in bodies]
    for put, body in zip(stores, bodies, strict=True):
        for number in range(PODS):
            put(numbered(body, name, number))
    gc.collect()
    used = resident() - before
    each = used / PODS / 1024
    print(f"{PODS} pods on both sides: {used / 2**20:.0f} MiB, {each:.1f} KiB each")


def store() -> Callable[[Obj], Any]:
    """How the syncer keeps pods, if it is there; else a dict."""
    if importlib.util.find_spec("syncer.runtime.store"):
        put: Callable[[Obj], Any] = importlib.import_module("syncer.runtime.store").Store().put
        return put
    objects: dict[Key, Obj] = {}
    return lambda obj: objects.setdefault(key_of(obj), obj)


def main() -> None:
    tenant = yaml.safe_load((CASE / "tenant.yaml").read_text())
    tenant = msgspec.json.decode(msgspec.json.encode(tenant))
    translation(tenant, yaml.safe_load((CASE / "scope.yaml").read_text()))
    memory(tenant, yaml.safe_load((CASE / "scope.yaml").read_text()))


if __name__ == "__main__":
    main()
