"""Services of two tenants beside each other, and of one whose syncer is away."""

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

from ..conftest import eventually
from ..objects import pod, service, web
from ..tenants.conftest import Tenant
from .conftest import Obj, Place
from .test_services import allotted, dig, fetched, host_services


def test_two_tenants_with_the_same_names_do_not_meet(working: Tenant, neighbour: Tenant) -> None:
    name = f"e2e-{secrets.token_hex(4)}"
    here, there = Place(working, name), Place(neighbour, name)
    for place, own in ((here, "mine"), (there, "theirs")):
        place.apply(
            pod("client"), web(own, hostname=own), service("web", selector={"app": own}), service(own)
        )
    for place, own in ((here, "mine"), (there, "theirs")):
        place.wait("--for=condition=Ready", f"pod/{own}", "pod/client")
        assert eventually("reached", lambda place=place: fetched(place, "http://web/hostname")) == own
    assert dig(here, f"theirs.{name}.svc.cluster.local") == set()
    assert dig(there, f"theirs.{name}.svc.cluster.local") != set()
    host = host_services(there)["web"]["metadata"]["name"]
    assert dig(here, f"{host}.{there.tenant.work}.svc.cluster.local") == set()
    # Many at once, in both.
    wanted = [(place, f"many-{number}") for number in range(50) for place in (here, there)]

    def create(one: tuple[Place, str]) -> Obj:
        place, many = one
        answer = place.kubectl(
            "create", "-f", "-", "-o", "json", stdin=json.dumps(service(many, type="NodePort"))
        )
        told: Obj = json.loads(answer.stdout)
        return told

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, wanted))
    hosts = {id(place): host_services(place) for place in (here, there)}
    for (place, many), told in zip(wanted, answers, strict=True):
        assert allotted(told) == allotted(hosts[id(place)][many])
    assert len({told["spec"]["clusterIP"] for told in answers}) == len(wanted)
    assert len({told["spec"]["ports"][0]["nodePort"] for told in answers}) == len(wanted)
    for place in (here, there):
        place.tenant.kubectl("delete", "namespace", name, "--wait=false")
        eventually("nothing left", lambda place=place: not host_services(place))


def test_services_made_without_the_syncer_are_equal_once_it_is_back(neighbour: Tenant) -> None:
    place = Place(neighbour, f"e2e-{secrets.token_hex(4)}")
    host = ("-n", neighbour.namespace)
    place.lab.kubectl(*host, "scale", "deployment/syncer", "--replicas=0")
    place.lab.kubectl(*host, "wait", "--for=delete", "pod", "-l", "vcp.dev/component=syncer", "--timeout=60s")
    place.apply(*(service(f"early-{number}", type="NodePort") for number in range(50)))
    assert host_services(place) == {}
    # One address and one node port that the host gives to somebody else in the meantime.
    first = place.get("service", "early-0")["spec"]
    thief = service("thief", type="NodePort", clusterIP=first["clusterIP"])
    thief["spec"]["ports"][0]["nodePort"] = first["ports"][0]["nodePort"]
    place.lab.apply(thief, namespace="default")
    place.lab.kubectl(*host, "scale", "deployment/syncer", "--replicas=1")
    try:
        names = [f"early-{number}" for number in range(50)]

        def all_equal() -> bool:
            tenant = {one["metadata"]["name"]: allotted(one) for one in place.get("services")["items"]}
            there = {name: allotted(one) for name, one in host_services(place).items()}
            return set(there) >= set(names) and all(tenant[name] == there[name] for name in names)

        eventually("all are equal", all_equal)
        moved = place.get("service", "early-0")["spec"]
        assert moved["clusterIP"] != first["clusterIP"]
        assert moved["type"] == "NodePort"
        assert place.events("early-0", "AddressChanged")
    finally:
        place.lab.kubectl("-n", "default", "delete", "service", "thief")
