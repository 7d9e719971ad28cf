"""`kubectl top` in a tenant, from what the lab's metrics-server measures on the host."""

import json
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from ..conftest import LabUser, eventually
from ..objects import deployment, pod
from ..tenants.conftest import Tenant
from .conftest import Obj, Place

API = "/apis/metrics.k8s.io/v1beta1"
REGISTRATION = ("apiservice", "v1beta1.metrics.k8s.io")
BUSY = ("sh", "-c", "while :; do :; done")
LITTLE = {"requests": {"cpu": "20m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}}
MEASURED = 60.0  # seconds; a new pod is measured within two rounds, of ten seconds each


@pytest.fixture(scope="module")
def busy(working: Tenant) -> Iterator[Place]:
    """A busy Deployment, and a pod of two containers; measured while other tests run."""
    place = Place(working, f"e2e-{secrets.token_hex(4)}")
    two = pod("two", container={"resources": LITTLE})
    two["spec"]["containers"].append({**two["spec"]["containers"][0], "name": "side", "command": list(BUSY)})
    place.apply(deployment(pod("busy", *BUSY, container={"resources": LITTLE})), two)
    yield place
    working.kubectl("delete", "namespace", place.namespace, "--wait=false")


def raw(place: Place, path: str) -> Any:
    return json.loads(place.kubectl("get", "--raw", f"{API}/{path}").stdout)


def usages(found: Obj) -> dict[str, Any]:
    return {one["name"]: one["usage"] for one in found["containers"]}


def measured(place: Place, *names: str) -> dict[str, Obj]:
    """The tenant's PodMetrics of a place by pod, once those of `names` are there."""

    def all_of_them() -> dict[str, Obj]:
        items = raw(place, f"namespaces/{place.namespace}/pods")["items"]
        found = {one["metadata"]["name"]: one for one in items}
        return found if set(names) <= set(found) else {}

    made: dict[str, Obj] = eventually(f"metrics of {names}", all_of_them, MEASURED)
    return made


def of_host(place: Place) -> dict[str, Obj]:
    """The host's PodMetrics by its own names."""
    text = place.lab.kubectl("get", "--raw", f"{API}/namespaces/{place.tenant.work}/pods")
    return {one["metadata"]["name"]: one for one in json.loads(text)["items"]}


def test_the_figures_are_the_hosts(busy: Place) -> None:
    measured(busy, "two")
    host_name = busy.on_host()["two"]["metadata"]["name"]

    def equal() -> bool:
        ours, theirs = measured(busy, "two")["two"], of_host(busy)[host_name]
        same = ours["timestamp"] == theirs["timestamp"]  # else there was a round in between
        return same and usages(ours) == usages(theirs) and ours["window"] == theirs["window"]

    eventually("the host's figures", equal, 30)
    assert measured(busy, "two")["two"]["metadata"]["labels"] == {"app": "two"}
    top = busy.kubectl("top", "pod", "two", "--no-headers").stdout.split()
    assert top[0] == "two"
    assert int(top[1].removesuffix("m")) > 50
    containers = busy.kubectl("top", "pod", "two", "--containers", "--no-headers").stdout
    assert sorted(line.split()[1] for line in containers.splitlines()) == ["main", "side"]
    assert busy.kubectl("top", "pod", "-l", "app=two", "--no-headers").stdout.split()[0] == "two"
    others = ("top", "pod", "-l", "app!=two", "--no-headers")
    eventually(
        "the other pod's", lambda: busy.kubectl(*others, check=False).stdout.startswith("busy-"), MEASURED
    )
    named = ("--field-selector", "metadata.name=two")
    assert busy.kubectl("top", "pod", *named, "--no-headers").stdout.split()[0] == "two"
    everywhere = busy.kubectl("top", "pod", "-A", "--no-headers").stdout.splitlines()
    assert [busy.namespace, "two"] in [line.split()[:2] for line in everywhere]
    table = busy.kubectl("get", "podmetrics").stdout.splitlines()
    assert table[0].split() == ["NAME", "CPU", "MEMORY", "WINDOW"]


def test_a_node_shows_what_the_tenant_uses_of_it(busy: Place) -> None:
    measured(busy, "two")
    node = (busy.pod("two") or {})["spec"]["nodeName"]
    top = busy.kubectl("top", "node", node, "--no-headers").stdout.split()
    whole = busy.lab.kubectl("top", "node", node, "--no-headers").split()
    assert int(top[1].removesuffix("m")) > 50
    # A pseudo node has no capacity to show percentages of.
    assert int(top[2].removesuffix("Mi")) < int(whole[3].removesuffix("Mi")) / 2, "others' use is not told"


def test_neighbours_do_not_see_each_others_use(busy: Place, neighbour: Tenant) -> None:
    there = Place(neighbour, busy.namespace)
    there.apply(pod("theirs", *BUSY, container={"resources": LITTLE}))
    measured(there, "theirs")
    assert [one["metadata"]["name"] for one in raw(there, "pods")["items"]] == ["theirs"]
    assert "theirs" not in busy.kubectl("top", "pod", "-A").stdout
    assert busy.kubectl("top", "pod", "theirs", check=False).returncode == 1
    node = (there.pod("theirs") or {})["spec"]["nodeName"]
    own = there.kubectl("top", "node", node, "--no-headers").stdout.split()
    assert int(own[1].removesuffix("m")) <= 120, "one pod that may use 100m"


def test_who_may_view_pods_may_see_what_they_use_and_nobody_else(busy: Place) -> None:
    other = f"{busy.namespace}-other"
    busy.kubectl("create", "namespace", other)
    busy.kubectl("create", "rolebinding", "views", "--clusterrole=view", "--user=jane")
    measured(busy, "two")
    jane = ("--as=jane", "--no-headers")
    eventually("the aggregated role", lambda: not busy.kubectl("top", "pod", *jane, check=False).returncode)
    for refused in (
        ("top", "pod", "-n", other, "--as=jane"),
        ("top", "pod", "-A", "--as=jane"),
        ("get", "--raw", f"{API}/nodes", "--as=jane"),
        ("top", "pod", "--as=joe"),
    ):
        answer = busy.kubectl(*refused, check=False)
        assert answer.returncode == 1
        assert "Forbidden" in answer.stderr, refused
    busy.kubectl("delete", "namespace", other, "--wait=false")


def test_the_registration_comes_back_and_another_is_the_tenants_own(busy: Place) -> None:
    theirs = {"spec": {"service": {"namespace": "default", "name": "adapter", "port": 443}}}
    busy.kubectl("patch", *REGISTRATION, "--type=merge", "-p", json.dumps(theirs))
    unavailable = "--for=condition=Available=False"
    busy.wait(unavailable, "/".join(REGISTRATION))
    assert busy.get(*REGISTRATION)["spec"]["service"]["name"] == "adapter"
    busy.kubectl("delete", *REGISTRATION)
    busy.wait("--for=create", "/".join(REGISTRATION))
    busy.wait("--for=condition=Available", "/".join(REGISTRATION))
    assert busy.get(*REGISTRATION)["spec"]["service"]["name"] == "vcp-metrics"


@pytest.fixture
def no_metrics(lab: LabUser) -> Iterator[None]:
    """The host as if nobody had ever installed a metrics API."""
    kept = lab.get(*REGISTRATION)
    lab.kubectl("delete", *REGISTRATION)
    yield
    bare = {field: kept[field] for field in ("apiVersion", "kind", "spec")}
    lab.run("kubectl", "apply", "-f", "-", stdin=json.dumps(bare | {"metadata": {"name": REGISTRATION[1]}}))
    lab.kubectl("wait", "--for=condition=Available", "/".join(REGISTRATION), "--timeout=60s")


@pytest.mark.usefixtures("no_metrics")
def test_a_host_without_metrics_says_so_and_holds_nothing_up(busy: Place) -> None:
    def told() -> bool:
        answer = busy.kubectl("top", "pod", check=False)
        return "the host cluster has no metrics API" in answer.stderr and answer.returncode == 1

    eventually("clear words", told, 20)
    assert "the host cluster has no metrics API" in busy.kubectl("top", "node", check=False).stderr
    assert "metrics.k8s.io/v1beta1" in busy.kubectl("api-resources").stdout
    busy.wait("--for=condition=Available", "/".join(REGISTRATION))
    other = f"{busy.namespace}-gone"
    busy.kubectl("create", "namespace", other)
    busy.kubectl("delete", "namespace", other, "--timeout=20s")


def test_a_tenant_may_do_without(neighbour: Tenant) -> None:
    lab = neighbour.vcp.lab
    neighbour.kubectl("wait", "--for=create", "/".join(REGISTRATION), "--timeout=30s")
    neighbour.vcp.run("create", neighbour.name, "--set", "sync.metrics=false")

    def gone() -> bool:
        kinds = ("service/vcp-metrics", "endpointslice/vcp-metrics", "/".join(REGISTRATION))
        found = neighbour.kubectl("-n", "kube-system", "get", *kinds, "--ignore-not-found", "-o", "name")
        return not found.stdout

    eventually("nothing of it", gone)
    assert "Metrics API not available" in neighbour.kubectl("top", "pod", check=False).stderr
    rules = lab.get("-n", neighbour.work, "role", "vcp-syncer")["rules"]
    assert not [rule for rule in rules if "metrics.k8s.io" in rule["apiGroups"]]
