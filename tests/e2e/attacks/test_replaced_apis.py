"""A tenant's administrator has a server of their own answer for an API of Kubernetes itself."""

import json

from ..conftest import eventually
from ..objects import pod
from ..tenants.conftest import Tenant, Vcp
from ..workloads.conftest import Place


def test_the_syncer_believes_no_other_server(vcp: Vcp, name: str) -> None:
    """It writes nothing and says why, until the tenant's API server answers for all of it again."""
    vcp.run("create", name, "--distro", "k8s", "--ephemeral")
    tenant = Tenant(vcp, name)
    place = Place(tenant, "throne")
    spec = {
        "group": "discovery.k8s.io",
        "version": "v1",
        "groupPriorityMinimum": 17000,
        "versionPriority": 15,
        "insecureSkipTLSVerify": True,
        "service": {"namespace": place.namespace, "name": "liar", "port": 443},
    }
    body = {"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": None}}, "spec": spec}
    tenant.kubectl("patch", "apiservice", "v1.discovery.k8s.io", "--type=merge", "-p", json.dumps(body))
    eventually("the reason", lambda: "another server answer for discovery.k8s.io/v1" in status(tenant))
    place.apply(pod("asked"))
    eventually("it is still waiting", lambda: "writes nothing" in status(tenant))
    assert place.on_host() == {}

    tenant.kubectl("delete", "apiservice", "v1.discovery.k8s.io")
    place.wait("--for=condition=Ready", "pod/asked", seconds=120)
    eventually("no reason any more", lambda: "writes nothing" not in status(tenant))


def status(tenant: Tenant) -> str:
    return tenant.vcp.run("status", tenant.name).stdout
