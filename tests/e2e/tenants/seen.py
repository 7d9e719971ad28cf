"""What stands on the host, in a form that two moments can be compared by."""

import functools
import json
from typing import Any

from ..conftest import LabUser

METRICS = "metrics.k8s.io"
Versions = dict[tuple[str, str, str], str]


@functools.cache
def kinds(lab: LabUser) -> str:
    """Every namespaced kind that can be listed; Events and figures come and go by themselves."""
    names = lab.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").split()
    return ",".join(name for name in names if not name.startswith("events") and METRICS not in name)


def objects(lab: LabUser, namespace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lab.get("-n", namespace, kinds(lab))["items"]
    return found


def versions(lab: LabUser, *namespaces: str) -> Versions:
    """The resourceVersion of every object of the namespaces, and theirs, but not of leases: their holders
    renew them all the time."""
    found = [obj for namespace in namespaces for obj in objects(lab, namespace) if obj["kind"] != "Lease"]
    found += [lab.get("namespace", namespace) for namespace in namespaces]
    return {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj["metadata"][
            "resourceVersion"
        ]
        for obj in found
    }


def namespaces(lab: LabUser) -> set[str]:
    return {item["metadata"]["name"] for item in lab.get("namespaces")["items"]}


def runs(lab: LabUser) -> set[str]:
    """The namespaces of throwaway tenants that a `vcp run` has made."""
    return {name for name in namespaces(lab) if name.startswith("vcp-run-")}


def probes(lab: LabUser) -> set[str]:
    """The namespaces that `vcp doctor` makes to try the host."""
    return {name for name in namespaces(lab) if name.startswith("vcp-doctor-")}


def traces(lab: LabUser, name: str) -> set[str]:
    """Every object on the host that names a tenant, as kind/namespace/name; Events fade by themselves."""
    plurals = lab.kubectl("api-resources", "--verbs=list", "-o", "name").split()
    kept = [
        one for one in plurals if not one.startswith(("events", "componentstatuses")) and METRICS not in one
    ]
    items: list[dict[str, Any]] = lab.get(",".join(kept), "-A")["items"]
    found = [obj for obj in items if name in json.dumps(obj)]
    return {f"{o['kind']}/{o['metadata'].get('namespace', '')}/{o['metadata']['name']}" for o in found}
