"""`vcp doctor` on the lab's host, on a healthy tenant, and on one that somebody has damaged."""

import base64
import json
from datetime import UTC, datetime, timedelta

from vcp import certificates
from vcp.pki import SYSTEM

from .. import objects
from ..conftest import eventually
from . import seen
from .conftest import Tenant, Vcp

Levels = dict[str, tuple[str, str]]


def examine(vcp: Vcp, *name: str, expect: int = 0) -> Levels:
    """check -> level, what was found. Whatever is not ok says what it means and what to do."""
    found = json.loads(vcp.run("doctor", *name, "-o", "json", expect=expect).stdout)
    assert all(one["meaning"] and one["action"] for one in found if one["level"] != "ok"), found
    return {one["check"]: (one["level"], one["found"]) for one in found}


def test_a_host_in_health(vcp: Vcp) -> None:
    """The lab has all that a host should have."""
    found = examine(vcp)
    fine = ("version", "permissions", "storage", "service CIDR", "Pod Security", "pods", "DNS", "metrics API")
    for check in fine:
        assert found[check][0] == "ok", found
    assert found["NetworkPolicies"] == ("ok", "the host enforces them, in both directions")
    assert "latency" in found
    eventually("the probes are gone", lambda: not seen.probes(vcp.lab))


def test_a_tenant_in_health_damaged_and_repaired(vcp: Vcp, name: str) -> None:
    lab, tenant = vcp.lab, Tenant(vcp, name)
    vcp.run("create", name, "--distro", "k8s", "--ephemeral")
    healthy = examine(vcp, name)
    assert {healthy[check][0] for check in ("control plane", "certificates", "drift", "orphans")} == {"ok"}
    assert healthy["sync lag"][0] != "broken"

    tenant.kubectl("apply", "-f", "-", stdin=json.dumps(objects.pod("left")))
    tenant.kubectl("wait", "--for=condition=Ready", "pod/left", "--timeout=60s")
    lab.kubectl("-n", tenant.namespace, "scale", "deployment", "dns", "--replicas=2")
    lab.kubectl("-n", tenant.namespace, "delete", "networkpolicy", "vcp-deny")
    shorten(tenant)
    edited = examine(vcp, name, expect=7)
    assert edited["drift"][0] == "broken"
    assert f"NetworkPolicy vcp-deny in {tenant.namespace} is not there" in edited["drift"][1]
    assert f"Deployment dns in {tenant.namespace}: spec.replicas is 2, not 1" in edited["drift"][1]
    assert "Secret" not in edited["drift"][1]
    assert edited["certificates"][0] == "warning"
    assert edited["certificates"][1].startswith("dns.crt: the first ends in ")

    lab.kubectl("-n", tenant.namespace, "scale", "deployment", "syncer", "--replicas=0")
    eventually("the syncer is gone", lambda: not tenant.host_pods("syncer"))
    tenant.kubectl("delete", "pod", "left", "--grace-period=0", "--force")
    down = examine(vcp, name, expect=7)
    assert down["control plane"] == ("broken", "syncer is scaled to 0")
    assert down["sync lag"] == ("broken", "no pod of the syncer leads")
    assert down["orphans"][0] == "warning"
    assert "(for pods default/left)" in down["orphans"][1]

    vcp.run("create", name)
    eventually("the orphan is gone", lambda: not lab.get("-n", tenant.work, "pods")["items"])
    repaired = examine(vcp, name)
    assert {repaired[check][0] for check in ("control plane", "certificates", "drift", "orphans")} == {"ok"}


def shorten(tenant: Tenant) -> None:
    """Gives the tenant's DNS a certificate that ends in a minute."""
    stored = tenant.vcp.lab.get("-n", tenant.namespace, "secret", "pki-ca")["data"]
    ca = (base64.b64decode(stored[f"client-ca.{part}"]) for part in ("crt", "key"))
    signer, now = certificates.Pair(*ca), datetime.now(UTC)
    key, serial, life = SYSTEM.ec_key(), SYSTEM.serial(), timedelta(minutes=1)
    short = certificates.leaf(signer, key, serial, now, life, name="vcp:dns", client=True)
    data = {
        "dns.crt": base64.b64encode(short.certificate).decode(),
        "dns.key": base64.b64encode(short.key).decode(),
    }
    patch = json.dumps({"data": data})
    tenant.vcp.lab.kubectl("-n", tenant.namespace, "patch", "secret", "pki-dns", "--type=merge", "-p", patch)
