"""Services of a tenant on a real host: addresses, names, types, ways to create them."""

import itertools
import json
import secrets
from typing import Any

from ..conftest import eventually
from ..objects import deployment, pod, service, web
from .conftest import Obj, Place

ALLOTTED = ("clusterIP", "clusterIPs", "healthCheckNodePort")


def host_services(place: Place) -> dict[str, Obj]:
    """The host's Services of a place by their names in the tenant."""
    marks = f"vcp.dev/tenant={place.tenant.name},vcp.dev/namespace={place.namespace}"
    found = place.lab.get("-n", place.tenant.work, "services", "-l", marks)["items"]
    return {one["metadata"]["annotations"]["vcp.dev/name"]: one for one in found}


def allotted(one: Obj) -> Any:
    spec = one["spec"]
    ports = [port.get("nodePort") for port in spec.get("ports", ())]
    return spec.get("type"), ports, [spec.get(field) for field in ALLOTTED]


def is_equal(place: Place, name: str) -> bool:
    """Whether the host has what the tenant sees."""
    host = host_services(place).get(name)
    stored = host is not None and "vcp.dev/uid" in host["metadata"]["annotations"]
    return stored and allotted(host or {}) == allotted(place.get("service", name))


def dig(place: Place, name: str, kind: str = "A") -> set[str]:
    return set(place.run("client", "dig", "+short", "+search", kind, name).split("\n")) - {""}


def fetched(place: Place, url: str) -> str:
    """What a pod of the tenant gets; empty while there is no answer."""
    return place.run("client", "sh", "-c", f"curl -sm3 {url} || true")


def slice_of(name: str, *addresses: str, port: int = 8080) -> Obj:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-by-hand", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def without_selector(name: str) -> Obj:
    made = service(name)
    del made["spec"]["selector"]
    return made


def host_addresses(place: Place, name: str) -> set[str]:
    """Where the host sends the traffic of a tenant's Service."""
    host = host_services(place)[name]["metadata"]["name"]
    label = f"kubernetes.io/service-name={host}"
    slices = place.lab.get("-n", place.tenant.work, "endpointslices", "-l", label)["items"]
    found = (one for each in slices for one in each.get("endpoints") or ())
    return {address for one in found for address in one["addresses"]}


def test_every_type_is_reached_by_its_name(place: Place) -> None:
    ns = place.namespace
    place.apply(
        pod("client"),
        deployment(web("web"), replicas=2),
        service("web"),
        service("node", selector={"app": "web"}, type="NodePort"),
        service("balanced", selector={"app": "web"}, type="LoadBalancer", externalTrafficPolicy="Local"),
        service("pods", selector={"app": "web"}, clusterIP="None"),
        {**service("world"), "spec": {"type": "ExternalName", "externalName": "www.example.com"}},
    )
    place.wait("--for=condition=Ready", "pod/client")
    place.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    for name in ("web", "node", "balanced", "pods"):
        eventually(f"{name} is equal on both sides", lambda name=name: is_equal(place, name))
    assert "world" not in host_services(place)
    for name in ("web", f"node.{ns}", f"balanced.{ns}.svc", f"web.{ns}.svc.cluster.local"):
        answer = eventually(name, lambda name=name: fetched(place, f"http://{name}/hostname"))
        assert answer.startswith("web-")
    by_api = f"/api/v1/namespaces/{ns}/services/web:80/proxy/hostname"
    assert place.kubectl("get", "--raw", by_api).stdout.startswith("web-")
    place.tenant.let_nodes_in()
    node_port = place.get("service", "node")["spec"]["ports"][0]["nodePort"]
    node = place.on_host()["client"]["status"]["hostIP"]
    by_port = ("curl", "-sm5", f"http://{node}:{node_port}/hostname")
    answer = eventually("the node port", lambda: place.lab.run(*by_port, check=False).stdout)
    assert answer.startswith("web-")

    address = place.get("service", "web")["spec"]["clusterIP"]
    pods = {one["status"]["podIP"] for name, one in place.on_host().items() if name != "client"}
    assert dig(place, "web") == {address}
    eventually("headless names", lambda: dig(place, "pods") == pods)
    assert dig(place, address_name(address), "PTR") == {f"web.{ns}.svc.cluster.local."}
    assert dig(place, f"_http._tcp.web.{ns}.svc.cluster.local", "SRV") == {
        f"0 100 80 web.{ns}.svc.cluster.local."
    }
    assert len(dig(place, f"_http._tcp.pods.{ns}.svc.cluster.local", "SRV")) == 2
    assert "www.example.com." in dig(place, f"world.{ns}.svc.cluster.local", "CNAME")


def address_name(address: str) -> str:
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def test_the_api_is_reached_as_in_any_cluster(place: Place) -> None:
    place.kubectl(
        "create", "rolebinding", "views", "--clusterrole=view", f"--serviceaccount={place.namespace}:default"
    )
    place.apply(pod("client"))
    place.wait("--for=condition=Ready", "pod/client")
    api = place.lab.get("-n", place.tenant.namespace, "service", "api")["spec"]["clusterIP"]
    assert place.get("-n", "default", "service", "kubernetes")["spec"]["clusterIP"] == api
    slices = place.get("-n", "default", "endpointslices", "kubernetes")
    assert slices["endpoints"][0]["addresses"] == [api]
    (legacy,) = place.get("-n", "default", "endpoints", "kubernetes")["subsets"]
    assert ([one["ip"] for one in legacy["addresses"]], legacy["ports"]) == ([api], slices["ports"])
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    url = f"https://kubernetes.default.svc/api/v1/namespaces/{place.namespace}/pods"
    call = f'curl -sm5 --cacert {account}/ca.crt -H "Authorization: Bearer $(cat {account}/token)" {url}'
    answer = json.loads(place.run("client", "sh", "-c", call))
    assert [one["metadata"]["name"] for one in answer["items"]] == ["client"]
    dns = place.lab.get("-n", place.tenant.namespace, "service", "dns")["spec"]["clusterIP"]
    assert place.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIP"] == dns
    assert dig(place, "kube-dns.kube-system") == {dns}
    assert place.tenant.namespace not in str(host_services(place))


def test_what_every_tenant_has_comes_back(place: Place) -> None:
    def address(namespace: str, name: str) -> str:
        found = place.kubectl("-n", namespace, "get", "service", name, "-o", "json", check=False).stdout
        return str(json.loads(found)["spec"].get("clusterIP")) if found else ""

    fixed = (("default", "kubernetes"), ("kube-system", "kube-dns"), ("kube-system", "vcp-metrics"))
    for namespace, name in fixed:
        before = address(namespace, name)
        # Endpoints go with their Service: perhaps before they are asked for, and are back before one waits.
        options = ("--ignore-not-found", "--wait=false")
        place.kubectl("-n", namespace, "delete", "service,endpointslice,endpoints", name, *options)
        eventually(
            f"{name} is back", lambda at=(namespace, name), before=before: address(*at) == before != ""
        )
        for kind, path in (
            ("endpointslice", "{.endpoints[0].addresses[0]}"),
            ("endpoints", "{.subsets[0].addresses[0].ip}"),
        ):
            back = ("-n", namespace, "get", kind, name, "-o", f"jsonpath={path}")
            eventually(
                f"and its {kind}",
                lambda back=back, before=before: place.kubectl(*back, check=False).stdout == before,
            )
        of_it = ("-l", f"kubernetes.io/service-name={name}")
        slices = place.get("-n", namespace, "endpointslices", *of_it)["items"]
        assert [one["metadata"]["name"] for one in slices] == [name], "mirrored"
    hook = ("mutatingwebhookconfiguration", "vcp-services")
    place.kubectl("delete", *hook)
    eventually("the webhook is back", lambda: place.kubectl("get", *hook, check=False).returncode == 0)


def test_every_way_to_create_has_the_hosts_address_in_its_answer(place: Place) -> None:
    path = f"/api/v1/namespaces/{place.namespace}/services"
    json_output = ("-o", "json")

    def body(name: str) -> str:
        return json.dumps(service(name, type="NodePort"))

    bare = {field: value for field, value in service("bare", type="NodePort").items() if field != "kind"}
    del bare["apiVersion"]
    answers = {
        "post": place.kubectl("create", "-f", "-", *json_output, stdin=body("post")),
        "ssa": place.kubectl("apply", "--server-side", "-f", "-", *json_output, stdin=body("ssa")),
        "applied": place.kubectl("apply", "-f", "-", *json_output, stdin=body("applied")),
        "put": place.kubectl("replace", "--raw", f"{path}/put", "-f", "-", stdin=body("put")),
        "bare": place.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(bare)),
    }
    for name, answer in answers.items():
        told = json.loads(answer.stdout)
        assert allotted(told) == allotted(host_services(place)[name])
        eventually("the host Service is the tenant's", lambda name=name: is_equal(place, name))
        assert place.get("service", name)["metadata"]["uid"] == told["metadata"]["uid"]


def test_dry_runs_leave_nothing_and_taken_addresses_are_refused(place: Place) -> None:
    for way in (("create",), ("apply",), ("apply", "--server-side")):
        place.kubectl(*way, "--dry-run=server", "-f", "-", stdin=json.dumps(service("dry")))
    assert host_services(place) == {}
    dns = place.lab.get("-n", "kube-system", "services")["items"][0]["spec"]["clusterIP"]
    refused = place.kubectl(
        "create", "-f", "-", stdin=json.dumps(service("taken", clusterIP=dns)), check=False
    )
    assert "provided IP is already allocated" in refused.stderr
    assert host_services(place) == {}
    place.kubectl("create", "-f", "-", stdin=json.dumps(service("twice")))
    again = place.kubectl("create", "-f", "-", stdin=json.dumps(service("twice")), check=False)
    assert "already exists" in again.stderr


def test_every_change_of_type_ends_equal(place: Place) -> None:
    types = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
    for old, new in itertools.permutations(types, 2):
        name = f"{old}-{new}".lower()
        place.apply(service(name, type=old, externalName="www.example.com"))
    for old, new in itertools.permutations(types, 2):
        name = f"{old}-{new}".lower()
        patch = {"spec": {"type": new, "externalName": "www.example.com" if new == "ExternalName" else None}}
        place.kubectl("patch", "service", name, "-p", json.dumps(patch))
        if new == "ExternalName":
            eventually(f"{name} has left the host", lambda name=name: name not in host_services(place))
        else:
            eventually(f"{name} is equal", lambda name=name: is_equal(place, name))
    reasons = [one["reason"] for one in place.get("events")["items"]]
    assert "HostRefused" not in reasons
    assert "AddressChanged" not in reasons


def test_a_balancers_address_is_shown_until_the_type_changes(place: Place) -> None:
    place.apply(service("web", type="LoadBalancer"))
    eventually("the host Service", lambda: is_equal(place, "web"))
    host = host_services(place)["web"]["metadata"]["name"]
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10", "ipMode": "VIP"}]}}}
    place.lab.kubectl(
        "-n", place.tenant.work, "patch", "service", host, "--subresource=status", "-p", json.dumps(status)
    )
    eventually("shown", lambda: place.get("service", "web")["status"] == status["status"])
    place.kubectl("patch", "service", "web", "-p", '{"spec":{"type":"ClusterIP"}}')
    eventually("cleared", lambda: place.get("service", "web")["status"] == {"loadBalancer": {}})
    eventually("cleared on the host", lambda: host_services(place)["web"]["status"] == {"loadBalancer": {}})


def test_slices_by_hand_lead_to_the_tenants_own_pods_only(place: Place) -> None:
    place.apply(pod("client"), web("web"), without_selector("by-hand"))
    place.wait("--for=condition=Ready", "pod/client", "pod/web")
    own = place.get("pod", "web")["status"]["podIP"]
    foreign = place.lab.get("-n", "kube-system", "pods")["items"][0]["status"]["podIP"]
    outside = "198.51.100.7"
    place.apply(slice_of("by-hand", own, outside, foreign))
    eventually("only what may be", lambda: host_addresses(place, "by-hand") == {own, outside})
    told = eventually("an Event", lambda: place.events("by-hand-by-hand", "Refused"))
    assert f"{foreign} is none of the tenant's own pods" in told[0]
    place.apply(slice_of("by-hand", own))
    eventually("alone", lambda: host_addresses(place, "by-hand") == {own})
    assert eventually("reached", lambda: fetched(place, "http://by-hand/hostname")) == "web"
    patch = json.dumps({"spec": {"selector": {"app": "none"}}})
    place.kubectl("patch", "service", "by-hand", "-p", patch)
    eventually("the host computes now", lambda: host_addresses(place, "by-hand") == set())


def test_addresses_of_the_deprecated_endpoints_reach_the_host(place: Place) -> None:
    place.apply(web("web"), without_selector("old"))
    place.wait("--for=condition=Ready", "pod/web")
    own = place.get("pod", "web")["status"]["podIP"]
    subset = {"addresses": [{"ip": own}], "ports": [{"name": "http", "port": 8080}]}
    place.apply({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "old"}, "subsets": [subset]})
    eventually("mirrored", lambda: host_addresses(place, "old") == {own})


def test_the_host_service_of_a_refused_create_is_swept(place: Place) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}}
    place.apply({**quota, "spec": {"hard": {"services": "0"}}})
    eventually("the quota counts", lambda: place.get("resourcequota", "none").get("status", {}).get("used"))
    refused = place.kubectl("create", "-f", "-", stdin=json.dumps(service("over")), check=False)
    assert "exceeded quota" in refused.stderr
    assert "over" in host_services(place)
    eventually("swept", lambda: "over" not in host_services(place), seconds=90)


def test_what_the_host_says_about_a_service_is_told_in_the_tenants_words(place: Place) -> None:
    place.apply(web("told"), service("told"))
    work = place.tenant.work
    host = eventually("the host's Service", lambda: host_services(place).get("told"))["metadata"]
    running = eventually("the host's pod", lambda: place.on_host().get("told"))["metadata"]["name"]
    involved = {"apiVersion": "v1", "kind": "Service", "namespace": work}
    involved |= {"name": host["name"], "uid": host["uid"]}
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{host['name']}.{secrets.token_hex(4)}", "namespace": work},
        "involvedObject": involved,
        "reason": "SyncLoadBalancerFailed",
        "message": f"no address for {work}/{host['name']}, which leads to {running}",
        "type": "Warning",
        "source": {"component": "e2e"},
    }
    place.lab.apply(event, namespace=work)
    told = eventually("the Event", lambda: place.events("told", "SyncLoadBalancerFailed"))
    assert told == [f"no address for {place.namespace}/told, which leads to told"]
