"""Leases of coordination.k8s.io: one holder at a time. Whether it lives is told by its renewals alone.

Two machines' clocks differ, so times in a Lease are for people; whoever waits counts by their own clock from
when they saw the last renewal. The rules are those of client-go's leader election.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kube.apis import LEASES
from kube.objects import Obj


def new(namespace: str, name: str, labels: Mapping[str, str], spec: Obj) -> Obj:
    """A Lease to create; `spec` from `held`."""
    metadata = {"name": name, "namespace": namespace, "labels": dict(labels)}
    return {"apiVersion": LEASES.api_version, "kind": LEASES.kind, "metadata": metadata, "spec": spec}


def held(holder: str, seconds: float, now: datetime) -> Obj:
    """The spec of a Lease that is renewed now, and valid for so many seconds without another renewal."""
    return {"holderIdentity": holder, "leaseDurationSeconds": round(seconds), "renewTime": written(now)}


def written(now: datetime) -> str:
    """A MicroTime, in UTC."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holder(lease: Obj) -> str:
    """Who holds it; empty if it was released."""
    return (lease.get("spec") or {}).get("holderIdentity") or ""


class Renewals:
    """What was seen of another's renewals, by this process's own clock."""

    def __init__(self) -> None:
        self._seen: tuple[Any, float] = (None, float("-inf"))

    def silent_for(self, lease: Obj) -> float:
        """Seconds since the last renewal was first seen; 0 when this one is new."""
        now = asyncio.get_running_loop().time()
        mark = (holder(lease), (lease.get("spec") or {}).get("renewTime"))
        if mark != self._seen[0]:
            self._seen = (mark, now)
        return now - self._seen[1]
