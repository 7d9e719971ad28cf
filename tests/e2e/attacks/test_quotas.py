"""What a tenant may take of the host, and what it costs to ask for more."""

import time

import pytest

from ..conftest import eventually
from ..objects import deployment, pod, service
from ..tenants.conftest import Tenant, Vcp
from ..workloads.conftest import Place


@pytest.fixture
def tiered(vcp: Vcp, name: str) -> Place:
    """A namespace in a tenant that was made without a word about quotas, but for few pods."""
    said = vcp.run("create", name, "--distro", "k8s", "--ephemeral", "--set", "quota.pods=3").stderr
    assert "Quota on the host, tier medium: pods 3, requests.cpu 16, " in said
    return Place(Tenant(vcp, name), "crowded")


def test_pods_over_quota_wait_together_and_run_when_there_is_room(tiered: Place) -> None:
    tenant = tiered.tenant
    tiered.apply(
        deployment(pod("many"), replicas=40),
        service("outside", type="LoadBalancer"),
        service("node", type="NodePort"),
    )
    eventually("three run", lambda: running(tiered) == 3)
    eventually("an Event", lambda: "exceeded quota" in tiered.kubectl("get", "events").stdout)
    for name in ("outside", "node"):
        told = eventually("an Event of the Service", lambda name=name: tiered.events(name))
        assert any("exceeded quota" in text and "services.nodeports" in text for text in told), told
    assert not [one for one in tenant.vcp.lab.get("-n", tenant.work, "services")["items"] if is_open(one)]

    before, began = refused(tenant), time.monotonic()
    eventually("half a minute", lambda: time.monotonic() - began > 30, seconds=40)
    assert refused(tenant) - before <= 25  # the last first tries among them; each for itself asked 100 times

    (host,) = [one for one in tiered.on_host().values() if one["status"].get("phase") == "Running"][:1]
    (main,) = host["spec"]["containers"]
    assert main["resources"]["requests"] == {"cpu": "10m", "memory": "32Mi"}
    assert "limits" not in main["resources"]

    tenant.vcp.run("create", tenant.name, "--set", "quota.pods=50")
    eventually("all run", lambda: running(tiered) == 40, seconds=120)


def running(place: Place) -> int:
    return sum(one["status"].get("phase") == "Running" for one in place.get("pods")["items"])


def refused(tenant: Tenant) -> float:
    """How many host pods were refused."""
    return sum(
        count
        for labels, count in tenant.writes().items()
        if 'code="403"' in labels and 'resource="pods"' in labels and 'side="host"' in labels
    )


def is_open(service: dict[str, object]) -> bool:
    spec = service["spec"]
    return isinstance(spec, dict) and spec.get("type") in {"NodePort", "LoadBalancer"}
