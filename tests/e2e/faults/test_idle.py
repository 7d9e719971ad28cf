"""A settled system is quiet: no write, to either side, however long one waits."""

import secrets
import time
from collections.abc import Callable

import pytest

from ..conftest import SOAK, eventually
from ..objects import deployment, pod
from ..tenants.conftest import Tenant
from .conftest import agree, apply

pytestmark = pytest.mark.alone
IDLE_SECONDS = 300.0 if SOAK else 60.0


def host_versions(tenant: Tenant) -> dict[str, str]:
    """Which version each host pod of the tenant is at."""
    pods = tenant.vcp.lab.get("-n", tenant.work, "pods")["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["resourceVersion"] for pod in pods}


@pytest.mark.timeout(600)
def test_idle_minutes_cost_no_write(made: Callable[[], Tenant]) -> None:
    tenant = made()
    name = f"web-{secrets.token_hex(3)}"
    volume = {"volumes": [{"name": "c", "configMap": {"name": name, "optional": True}}]}
    mount = {"container": {"volumeMounts": [{"name": "c", "mountPath": "/c"}]}}
    apply(tenant, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
    apply(tenant, deployment(pod(name, **volume, **mount), replicas=4))
    refused = pod(f"{name}-refused", container={"securityContext": {"privileged": True}})
    apply(tenant, refused)
    tenant.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")
    eventually("both sides agree", lambda: agree(tenant))
    before, hosts = _steady(tenant), host_versions(tenant)
    time.sleep(IDLE_SECONDS)
    more = {labels: count - before.get(labels, 0) for labels, count in tenant.writes().items()}
    more = {labels: count for labels, count in more.items() if count}
    if host_versions(tenant) == hosts:
        assert more == {}
    else:  # the host itself was not quiet: a busy node's kubelet writes a status, which has to follow
        assert all('resource="pods"' in labels and "status" in labels for labels in more), more


def _steady(tenant: Tenant) -> dict[str, float]:
    """The counts once they have stood still for five seconds: Events come some seconds after their cause."""
    seen, since = tenant.writes(), time.monotonic()

    def still() -> bool:
        nonlocal seen, since
        now = tenant.writes()
        if now != seen:
            seen, since = now, time.monotonic()
        return time.monotonic() - since > 5

    eventually("quiet", still)
    return seen
