"""Whatever a tenant's pods ask for, the tenant ends when the host says so."""

import time

from ..objects import pod
from ..tenants.conftest import Tenant, Vcp
from ..workloads.conftest import Place


def test_a_pod_that_wants_ten_years_to_end_gets_half_a_minute(vcp: Vcp, name: str) -> None:
    """And ignores SIGTERM."""
    vcp.run("create", name, "--distro", "k8s", "--ephemeral")
    place = Place(Tenant(vcp, name), "wards")
    deaf = pod("deaf", "sh", "-c", "trap '' TERM; while true; do sleep 1; done")
    deaf["spec"]["terminationGracePeriodSeconds"] = 315_360_000
    place.apply(deaf)
    place.wait("--for=condition=Ready", "pod/deaf")
    started = time.monotonic()
    vcp.run("delete", name, "--yes")
    assert time.monotonic() - started < 90
    assert not [one for one in vcp.lab.get("namespaces")["items"] if name in one["metadata"]["name"]]
