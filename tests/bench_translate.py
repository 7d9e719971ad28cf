"""What translation costs: time for a pod, memory for ten thousand. Run as `python tests/bench_translate.py`.

Nothing is asserted: machines differ, and a slow one is not an error.
"""

import gc
import importlib.util
import sys
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from syncer.core.objects import Key, Obj, key_of
from syncer.core.pods import metadata, references, spec, tokens
from tests.pod_scope import Objects, scope

CASE = Path(__file__).parent / "golden" / "pods" / "typical"
PODS = 10_000


def microseconds(function: Callable[[], Any]) -> float:
    timer = timeit.Timer(function)
    count, _ = timer.autorange()
    return min(timer.repeat(5, count)) / count * 1e6


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
    print(f"pod of {len(msgspec.json.encode(tenant))} bytes")
    for name, function in (
        ("host_pod", lambda: spec.host_pod(tenant, where)),
        ("host_labels", lambda: metadata.host_labels(tenant, where)),
        ("host_annotations", lambda: metadata.host_annotations(tenant, where)),
        ("references", lambda: references.references(tenant)),
        ("token_requests", lambda: tokens.token_requests(tenant)),
    ):
        print(f"  {name:<18}{microseconds(function):8.1f} µs")
    if importlib.util.find_spec("syncer.resources.pods"):
        settled(tenant, where)


def settled(tenant: Obj, where: Any) -> None:
    """The plan of a pod that needs nothing: bound, and its host pod as it was created."""
    pods = importlib.import_module("syncer.resources.pods")
    host = spec.host_pod(tenant, where)
    host["metadata"] |= {"uid": "host-uid", "resourceVersion": "1"}
    host["status"] = tenant["status"]
    resource = pods.Pods()
    where = replace(where, host=Objects([host]))
    key = key_of(tenant)
    print(f"  plan, settled     {microseconds(lambda: resource.plan(key, tenant, host, where)):8.1f} µs")
    print(f"  its actions: {resource.plan(key, tenant, host, where)}")


def memory(tenant: Obj, fields: dict[str, Any]) -> None:
    where = scope(*fields.pop("objects"), **fields)
    name = tenant["metadata"]["name"]
    bodies = {side: msgspec.json.encode(obj) for side, obj in sides(tenant, where).items()}
    gc.collect()
    before = resident()
    stores: dict[str, dict[Key, Obj]] = {"tenant": {}, "host": {}}
    for side, body in bodies.items():
        for number in range(PODS):
            pod = numbered(body, name, number)
            stores[side][key_of(pod)] = pod
    gc.collect()
    used = resident() - before
    each = used / PODS / 1024
    print(f"{PODS} pods on both sides as plain dicts: {used / 2**20:.0f} MiB, {each:.1f} KiB each")


def sides(tenant: Obj, where: Any) -> dict[str, Obj]:
    return {"tenant": tenant, "host": spec.host_pod(tenant, where) | {"status": tenant["status"]}}


def main() -> None:
    tenant = yaml.safe_load((CASE / "tenant.yaml").read_text())
    tenant = msgspec.json.decode(msgspec.json.encode(tenant))
    translation(tenant, yaml.safe_load((CASE / "scope.yaml").read_text()))
    memory(tenant, yaml.safe_load((CASE / "scope.yaml").read_text()))


if __name__ == "__main__":
    main()
